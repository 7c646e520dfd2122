import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Deployment } from "../../src/contracts/functions.ts";
import type { DeclaredTriggers } from "../../src/contracts/function_triggers.ts";
import { tooLarge } from "../../src/http/body.ts";
import { boundaryOf, type Part, partsOf, wrongForm } from "../../src/http/multipart.ts";
import { Gathered } from "../../src/http/pieces.ts";
import { check } from "../../src/http/problems.ts";

/** What a form says of a function, and its module. */
export interface DeployForm {
  readonly deployment: Omit<Deployment, "wasm">;
  /** The namespace that the form names. */
  readonly namespace: string | undefined;
  readonly module: Uint8Array;
  readonly triggers: DeclaredTriggers;
}

/** Parts of a form, and bytes of one that is no module; names of fields are cut there. */
const MAX_PARTS = 100, MAX_FIELD = 4_096, MAX_METADATA = 256 * 1024, MAX_NAME = 256;
/** Triggers of one kind that a definition may declare, before anybody looks how many there may be. */
const MAX_DECLARED = 1_000;
/** Where the module stands, and where a definition in JSON. */
const MODULE = "wasm", METADATA = "metadata";

/** Older clients write 0, or nothing, for what they leave to the gateway. */
const amount = z.int().min(0).max(Number.MAX_SAFE_INTEGER).nullish().transform((value) => value || undefined);
const named = z.string().nullish().transform((value) => value || undefined);
const listed = <Item extends z.ZodType>(item: Item) =>
  z.array(item).max(MAX_DECLARED).nullish().transform((value) => value ?? undefined);

/** A definition in JSON, and fields of a form once their texts were read. */
const definition = z.object({
  name: named,
  namespace: named,
  memory_limit_mb: amount,
  timeout_seconds: amount,
  is_public: z.boolean().nullish().transform((value) => value ?? undefined),
  retry_count: amount,
  retry_delay_seconds: amount,
  dlq_topic: named,
  concurrency: amount,
  entry: named,
  env_vars: z.record(z.string(), z.string()).nullish().transform((value) => value ?? undefined),
  cron_expressions: listed(z.string()),
  db_triggers: listed(z.object({ table: z.string(), operation: z.string(), condition: named })),
  pubsub_topics: listed(z.string()),
});
type Definition = z.output<typeof definition>;

/** As Go's `strconv.ParseBool` reads them, which older gateways used. */
const YES = /^(1|t|T|TRUE|true|True)$/, NO = /^(0|f|F|FALSE|false|False)?$/;

const text = z.string().optional();
const whole = z.string().regex(/^[ ]*\d{0,15}[ ]*$/, "must be a whole number").optional()
  .transform((value) => value === undefined ? undefined : Number(value) || undefined);
const flag = z.string().refine((value) => YES.test(value) || NO.test(value), "must be true or false").optional()
  .transform((value) => value === undefined || value === "" ? undefined : YES.test(value));

/** The fields that a form may have beside its module. */
const fields = z.object({
  name: text,
  namespace: text,
  memory_limit_mb: whole,
  timeout_seconds: whole,
  is_public: flag,
  retry_count: whole,
  retry_delay_seconds: whole,
  dlq_topic: text,
  concurrency: whole,
  entry: text,
  metadata: text,
});

/** For the reference: what a form holds. */
export const formBody = z.object({
  wasm: z.string().meta({ format: "binary", description: "The module." }),
  name: z.string().describe("How the function is called: its name in addresses."),
  namespace: z.string().optional().describe("That of the credential; another one is 403."),
  memory_limit_mb: z.int().optional().describe("MiB that the memory of a call may have. Default: 64."),
  timeout_seconds: z.int().optional().describe("How long a call may take. Default: 30."),
  is_public: z.boolean().optional().describe("Whether anyone may call it. Default: false."),
  retry_count: z.int().optional().describe("How often a call is tried again that failed. Default: 0."),
  retry_delay_seconds: z.int().optional().describe("The pause before the first of these tries. Default: 5."),
  dlq_topic: z.string().optional().describe("A topic that is told of calls that failed for good."),
  concurrency: z.int().optional().describe("Calls of it that run at once on one gateway. Default: any number."),
  entry: z.string().optional().describe(
    "Which export of an Extism plug-in is called. Default: its only one, or `handle`.",
  ),
  metadata: z.string().optional().describe(
    "All of that as one JSON object, and `env_vars`, an object of texts, and triggers: `cron_expressions`, `pubsub_topics`, " +
      "`db_triggers` (`{table, operation}`). Fields of the form count more, but for `name` and `namespace`.",
  ),
});

/**
 * Reads a form to its end. Its parts may come in any order, so the module is held in memory until what is said of it is known.
 * @param maxModule bytes of the module
 * @throws GatewayError `INVALID_REQUEST`, `BODY_TOO_LARGE`; what the body throws
 */
export async function deployForm(
  body: AsyncIterable<Uint8Array>,
  headers: Headers,
  maxModule: number,
  parse: (bytes: Uint8Array) => unknown,
): Promise<DeployForm> {
  const parts = partsOf(body, boundaryOf(headers.get("content-type")), { maxParts: MAX_PARTS });
  const texts: Record<string, string> = {};
  let module: Uint8Array | undefined, metadata: Uint8Array | undefined;
  for await (const part of parts) {
    const { name } = part;
    if (name === MODULE) {
      if (module !== undefined) throw refused(MODULE, "is there twice");
      module = await gathered(part, maxModule, () => tooLarge(maxModule));
    } else if (name === METADATA) {
      if (metadata !== undefined) throw refused(METADATA, "is there twice");
      metadata = await gathered(part, MAX_METADATA, () => tooLong(METADATA, MAX_METADATA));
    } else {
      const bytes = await gathered(part, MAX_FIELD, () => tooLong(name.slice(0, MAX_NAME), MAX_FIELD));
      // Let pass, unless it is nearly one of ours: that is found out together with the others.
      if (!Object.hasOwn(fields.shape, name)) texts[name.slice(0, MAX_NAME)] = "";
      else if (Object.hasOwn(texts, name)) throw refused(name, "is there twice");
      else texts[name] = textOf(bytes);
    }
  }
  const { metadata: _, ...said } = check(fields, texts);
  const defined = metadata === undefined || metadata.length === 0 ? undefined : definitionIn(metadata, parse);
  if (module === undefined) {
    throw new GatewayError("INVALID_REQUEST", "WASM file required", details(MODULE, "is missing"));
  }
  return { ...deploymentOf(said, defined), module };
}

function definitionIn(bytes: Uint8Array, parse: (bytes: Uint8Array) => unknown): Definition {
  let value: unknown;
  try {
    value = parse(bytes);
  } catch (cause) {
    const problem = cause instanceof GatewayError ? cause.message : "it must be one JSON value";
    throw new GatewayError("INVALID_REQUEST", `Invalid metadata JSON: ${problem}`, {
      cause,
      ...details(METADATA, "must be a JSON object"),
    });
  }
  return check(definition, value ?? {}, { prefix: "Invalid metadata JSON: " });
}

function deploymentOf(
  said: Omit<z.output<typeof fields>, "metadata">,
  defined: Definition | undefined,
): Omit<DeployForm, "module"> {
  // These two alone count less than what the definition says.
  const name = defined?.name || said.name;
  if (!name) throw new GatewayError("INVALID_REQUEST", "Function name required", details("name", "is missing"));
  const seconds = (value: number | undefined) => value === undefined ? undefined : value * 1000;
  return {
    namespace: defined?.namespace || said.namespace || undefined,
    triggers: {
      cronExpressions: defined?.cron_expressions,
      dbTriggers: defined?.db_triggers,
      pubsubTopics: defined?.pubsub_topics,
    },
    deployment: {
      name,
      ...there({
        memoryLimit: said.memory_limit_mb ?? defined?.memory_limit_mb,
        timeout: seconds(said.timeout_seconds ?? defined?.timeout_seconds),
        isPublic: said.is_public ?? defined?.is_public,
        retryCount: said.retry_count ?? defined?.retry_count,
        retryDelay: seconds(said.retry_delay_seconds ?? defined?.retry_delay_seconds),
        dlqTopic: said.dlq_topic || defined?.dlq_topic,
        concurrency: said.concurrency ?? defined?.concurrency,
        entry: said.entry || defined?.entry,
        env: defined?.env_vars,
      }),
    },
  };
}

/** Members that have a value. */
const there = <Values extends object>(values: Values) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Values]?: NonNullable<Values[Name]>;
  };

async function gathered({ content }: Part, max: number, beyond: () => GatewayError): Promise<Uint8Array> {
  const bytes = new Gathered();
  for await (const piece of content) {
    if (bytes.size + piece.length > max) throw beyond();
    bytes.add(piece);
  }
  return bytes.whole();
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw wrongForm("its fields must be UTF-8");
  }
}

const details = (field: string, problem: string) => ({ details: [{ field, problem }] });
const refused = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, details(field, problem));
const tooLong = (field: string, max: number) => refused(field, `must have at most ${max} bytes`);
