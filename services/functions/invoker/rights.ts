import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { Invocation } from "../../../src/contracts/function_invocations.ts";
import type { FunctionVersion } from "../../../src/contracts/functions.ts";
import type { RevocationFeed } from "../../control_plane/revocations.ts";
import type { FunctionDirectory } from "../parts.ts";
import { functionNotFound } from "./endings.ts";

/** Finds functions for those who may call them. */
export interface CallableParts {
  readonly directory: Pick<FunctionDirectory, "resolve">;
  readonly revocations: Pick<RevocationFeed, "find">;
}

/**
 * The function that somebody may call.
 *
 * To whoever is not of the namespace a private function is the same as none: the status would otherwise tell anybody what a
 * namespace's functions are called. So without a credential both are 401, which says what may help, and with another namespace's
 * both are 404. Of a public function everybody may know which versions it has.
 * @throws GatewayError `NOT_FOUND`, `UNAUTHENTICATED`, `INSUFFICIENT_SCOPE`, `UNAVAILABLE`
 */
export function callable(
  { directory, revocations }: CallableParts,
  { namespace, name, reference, functionId, caller, admittedByRoute = false }: Invocation,
  pick: () => number,
  signal: AbortSignal,
): FunctionVersion | Promise<FunctionVersion> {
  const isOf = caller !== "namespace" && caller?.namespace === namespace;
  // Somebody else may have the name by now.
  const isDead = isOf && (revocations.find("namespace", namespace)?.seq ?? 0) > caller.asOf;
  const isOwn = caller === "namespace" || isOf && !isDead;
  const hidden = () => caller === undefined || isDead ? unauthenticated() : functionNotFound();
  const admitted = (version: FunctionVersion): FunctionVersion => {
    if (functionId !== undefined && version.id !== functionId) throw functionNotFound();
    // Where everybody may call, it would be told as its caller what the one that has the name by now is told as.
    if (isDead) throw hidden();
    if (caller === "namespace" || admittedByRoute || version.isPublic) return version;
    if (!isOwn || caller === undefined) throw hidden();
    if (caller.scopes.has("functions:invoke")) return version;
    throw new GatewayError("INSUFFICIENT_SCOPE", "this credential lacks the scope functions:invoke", {
      details: { required_scope: "functions:invoke" },
    });
  };
  const missing = async (error: unknown): Promise<never> => {
    if (isOwn || admittedByRoute && !isDead || !hasCode(error, "NOT_FOUND")) throw error;
    if (reference !== undefined && await isPublic(directory, namespace, name, signal)) throw error;
    throw hidden();
  };
  try {
    const found = directory.resolve(namespace, name, reference, pick, signal);
    return found instanceof Promise ? found.catch(missing).then(admitted) : admitted(found);
  } catch (error) {
    return missing(error);
  }
}

async function isPublic(
  directory: Pick<FunctionDirectory, "resolve">,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return (await directory.resolve(namespace, name, undefined, () => 0, signal)).isPublic;
  } catch (error) {
    if (hasCode(error, "NOT_FOUND")) return false;
    throw error;
  }
}

const unauthenticated = (): GatewayError =>
  new GatewayError(
    "UNAUTHENTICATED",
    "unauthorized: the namespace has no public function of this name; others need a credential of the namespace",
  );

/**
 * What `get_caller_wallet` answers, and the log says: the wallet behind the credential; without one the subject of a token, or the
 * namespace that a key is for; nothing for nobody. What a request says in its headers is not asked.
 */
export function callerText(caller: Invocation["caller"], namespace: string): string {
  if (caller === undefined) return "";
  if (caller === "namespace") return namespace;
  const isKey = caller.kind === "api_key" || caller.subject.startsWith("key:");
  return caller.wallet ?? (isKey ? caller.namespace : caller.subject);
}
