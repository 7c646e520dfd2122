import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { FunctionAlias, FunctionVersion } from "../../src/contracts/functions.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import { rfc3339 } from "../../src/http/formats.ts";

/** Longer ones name nothing. */
const MAX_NAME = 256;

/** A function in a path, without a reference. */
export const nameInPath = z.object({ name: z.string().max(MAX_NAME).describe("The function's name.") });

/** A function in a path, with a reference where one is wanted. */
export const calledInPath = z.object({
  name: z.string().max(MAX_NAME).describe(
    "The function's name; behind it may stand `@` and a version, an alias or `latest`: `resize@3`. Default: the version that serves.",
  ),
});

/** The namespace that an address may name, for those clients that do. */
export const namespaceInQuery = z.string().max(64).optional().describe(
  "The namespace of the credential, for clients that say it. Another one is 403.",
);

/** The same alone. */
export const namespaceQuery = z.object({ namespace: namespaceInQuery });

/** What a path names: a function, and what stands behind its `@`. */
export interface Called {
  readonly name: string;
  readonly reference: string | undefined;
}

/** The parts of `name@reference`; nothing behind the `@` is as good as no reference. */
export function calledOf(text: string): Called {
  const at = text.indexOf("@");
  return at < 0 ? { name: text, reference: undefined } : {
    name: text.slice(0, at),
    reference: text.slice(at + 1) || undefined,
  };
}

/** The name of a path on which nothing may stand behind it. @throws GatewayError `INVALID_REQUEST` */
export function bareName(text: string): string {
  if (!text.includes("@")) return text;
  const problem = "must be the name alone: what is asked for is of all versions";
  throw new GatewayError("INVALID_REQUEST", `name: ${problem}`, { details: [{ field: "name", problem }] });
}

/**
 * The namespace of a call, which is the credential's.
 * @param call whose query may name it
 * @throws GatewayError `NAMESPACE_MISMATCH` where it names another one
 */
export function namespaceOf(
  { principal, query }: {
    readonly principal: Principal;
    readonly query: { readonly namespace?: string | undefined };
  },
): string {
  assertOwn(principal, query.namespace, "namespace");
  return principal.namespace;
}

/** @throws GatewayError `NAMESPACE_MISMATCH` for another namespace than the credential's; none that is said is its own */
export function assertOwn({ namespace }: Principal, said: string | undefined, field: string): void {
  if (said === undefined || said === "" || said === namespace) return;
  throw new GatewayError("NAMESPACE_MISMATCH", `${field}: this credential belongs to another namespace`, {
    details: [{ field, problem: "is not the credential's" }],
  });
}

/** A version of a function as the API shows it. */
export const functionAnswer = z.object({
  id: z.string().describe("The same for all versions."),
  name: z.string(),
  namespace: z.string(),
  version: z.int(),
  wasm_cid: z.string().describe("The content id of the module."),
  size: z.int().describe("Bytes of the module."),
  abi: z.enum(["wasi", "extism"]).describe(
    "How it is called: as a command of WASI preview 1, or as a plug-in of Extism.",
  ),
  entry: z.string().describe("The export that is called."),
  memory_limit_mb: z.int(),
  timeout_seconds: z.number(),
  is_public: z.boolean().describe("Whether anyone may call it."),
  retry_count: z.int(),
  retry_delay_seconds: z.number(),
  dlq_topic: z.string().optional(),
  concurrency: z.int().optional().describe("Calls of it that run at once on one gateway."),
  env_vars: z.array(z.string()).describe("The names of what it reads by `get_env`."),
  serving: z.boolean().describe("Whether calls get this version that name none."),
  status: z.enum(["active", "inactive", "error"]),
  created_at: z.string(),
  updated_at: z.string(),
  created_by: z.string(),
}).meta({ id: "Function" });

/** From the contract's words to those of the wire. */
export const functionJson = (one: FunctionVersion): z.input<typeof functionAnswer> => ({
  id: one.id,
  name: one.name,
  namespace: one.namespace,
  version: one.version,
  wasm_cid: one.wasmCid,
  size: one.size,
  abi: one.abi,
  entry: one.entry,
  memory_limit_mb: one.memoryLimit,
  timeout_seconds: one.timeout / 1000,
  is_public: one.isPublic,
  retry_count: one.retryCount,
  retry_delay_seconds: one.retryDelay / 1000,
  ...(one.dlqTopic !== undefined && { dlq_topic: one.dlqTopic }),
  ...(one.concurrency !== undefined && { concurrency: one.concurrency }),
  // Their values may be secrets, although there are secrets for that.
  env_vars: Object.keys(one.env),
  serving: one.serving,
  status: "active",
  created_at: rfc3339(one.createdAt),
  updated_at: rfc3339(one.updatedAt),
  created_by: one.createdBy,
});

/** Which versions an alias stands for. */
export const targets = z.array(z.object({
  version: z.int().min(1),
  weight: z.int().min(1).max(100).describe("How many of a hundred calls it gets."),
})).min(1).max(100);

/** An alias as the API shows it. */
export const aliasAnswer = z.object({
  name: z.string(),
  targets: z.array(z.object({ version: z.int(), weight: z.int() })),
  updated_at: z.string(),
});

/** The same, filled. */
export const aliasJson = ({ name, targets, updatedAt }: FunctionAlias): z.input<typeof aliasAnswer> => ({
  name,
  targets: targets.map(({ version, weight }) => ({ version, weight })),
  updated_at: rfc3339(updatedAt),
});
