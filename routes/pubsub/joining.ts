import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { SubscribeOptions } from "../../src/contracts/pubsub.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import { nameProblem } from "../../src/contracts/topic_rights.ts";
import { metaWithin } from "../../src/http/live/admission.ts";
import { assertMayUse, assertMember } from "../../src/http/live/standing.ts";

/** What an address says of who is to be present. */
export interface PresenceInQuery {
  readonly presence?: string | undefined;
  readonly member_id?: string | undefined;
  readonly member_meta?: string | undefined;
}

/**
 * As whom a connection is to be present; `undefined` where it is not.
 * @throws GatewayError `INVALID_REQUEST`, `INSUFFICIENT_SCOPE`, `FORBIDDEN`
 */
export function memberIn(
  { presence, member_id: id, member_meta: meta }: PresenceInQuery,
  topics: readonly string[],
  principal: Principal,
  rules: PubSubRules,
): SubscribeOptions["member"] {
  if (presence !== "true") return undefined;
  if (id === undefined || id === "") throw refused("is missing", "missing 'member_id' for presence");
  const problem = nameProblem(id);
  if (problem !== undefined) throw refused(problem, `member_id: ${problem}`);
  for (const topic of topics) assertMayUse(principal, "presence", topic);
  assertMember(principal, id);
  return { id, meta: metaWithin(objectIn(meta), rules, "member_meta") };
}

function objectIn(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}

const refused = (problem: string, sentence: string) =>
  new GatewayError("INVALID_REQUEST", sentence, { details: [{ field: "member_id", problem }] });
