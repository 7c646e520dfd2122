import type { ErrorCode } from "../../src/contracts/errors.ts";
import type { CommandName } from "./frames.ts";

/** What any command may be answered: before anybody is known, where something is wrong with it, or with the gateway. */
export const COMMON_ERRORS: readonly ErrorCode[] = [
  "UNAUTHENTICATED",
  "INVALID_REQUEST",
  "RATE_LIMITED",
  "UNAVAILABLE",
  "INTERNAL",
];

const RIGHTS: readonly ErrorCode[] = ["INSUFFICIENT_SCOPE", "FORBIDDEN"];
const CREDENTIALS: readonly ErrorCode[] = [
  "INVALID_CREDENTIAL",
  "FORBIDDEN",
  "NAMESPACE_MISMATCH",
  "TOO_MANY_SOCKETS",
];

/** What each command may be answered beside that. */
export const ERRORS: Readonly<Record<CommandName, readonly ErrorCode[]>> = {
  connect: CREDENTIALS,
  refresh: CREDENTIALS,
  subscribe: [...RIGHTS, "CONFLICT", "TOO_MANY_SUBSCRIPTIONS", "TOO_MANY_TOPICS", "NOT_FOUND"],
  unsubscribe: ["NOT_FOUND"],
  publish: [...RIGHTS, "BODY_TOO_LARGE", "IDEMPOTENCY_KEY_REUSED", "TOO_MANY_TOPICS"],
  presence: RIGHTS,
  history: RIGHTS,
  ping: [],
};
