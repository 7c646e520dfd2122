import type { ErrorCode } from "../../src/contracts/errors.ts";

/**
 * What a request came to that was not answered by results.
 * - `not_applied`: certainly nothing happened; another node, or the same a little later, may do it.
 * - `unknown`: a write may have been applied, and may still be.
 * - `refused`: rqlite will not take this request, however often it is sent.
 * - `failed`: SQLite refused the transaction as a whole, or its time was over.
 */
export type Verdict =
  | { readonly fate: "not_applied"; readonly leaderless: boolean }
  | { readonly fate: "unknown" }
  | { readonly fate: "refused"; readonly code: ErrorCode; readonly message: string }
  | { readonly fate: "failed"; readonly error: string };

const refused = (code: ErrorCode, message: string): Verdict => ({ fate: "refused", code, message });

/** The `error` beside `results`, of an answer that is read as it comes: to be judged by {@link judgeError}. */
export class AnswerFailed extends Error {
  override readonly name = "AnswerFailed";
}

/** Texts of rqlite v8 and of its Raft library. The first rule that fits decides, so what forbids a repetition comes first. */
const RULES: readonly (readonly [RegExp, Verdict])[] = [
  // rqlite's own parser runs before anything else does.
  [/^SQL rewrite: /, refused("SQL_INVALID", "the statement cannot be parsed")],
  [/leadership lost|snapshot restored while committing/, { fate: "unknown" }],
  [/disallowed pragma/, refused("SQL_NOT_ALLOWED", "this pragma is not allowed")],
  [/stale read/, { fate: "not_applied", leaderless: false }],
  // No connection to the leader could be had: the statement never left the node that was asked.
  [/pool get: |dial tcp /, { fate: "not_applied", leaderless: true }],
  [/leader not found|no leader|not leader|not the leader/, { fate: "not_applied", leaderless: true }],
  [/leadership transfer in progress|timed out enqueuing/, { fate: "not_applied", leaderless: true }],
  // Asked without TLS. Another node may do without it.
  [/^Client sent an HTTP request to an HTTPS server/, { fate: "not_applied", leaderless: false }],
  [/store not open|store not ready|load in progress/, { fate: "not_applied", leaderless: false }],
];

/** Go's `database/sql` at the end of a transaction. */
const OUT_OF_TIME = /context deadline exceeded|transaction has already been committed or rolled back/;

/**
 * Judges the error of a whole request: the text of a status other than 200, or the `error` beside `results`.
 * @param reading a request that changes nothing
 */
export function judgeError(status: number, text: string, reading: boolean): Verdict {
  for (const [pattern, verdict] of RULES) if (pattern.test(text)) return verdict;
  // The time of a transaction was over before its end, which is then told in place of all results.
  if (status === 200 && reading && OUT_OF_TIME.test(text)) return { fate: "failed", error: "query timeout" };
  // Constraints that were deferred are checked at the end of a transaction, which therefore has no result of its own.
  if (status === 200 && /^[A-Z ]+ constraint failed/.test(text)) return { fate: "failed", error: text };
  if (/unsupported value: [+-]?(Inf|NaN)/.test(text)) {
    // The statements ran; it is their answer that JSON cannot express.
    return reading ? refused("SQL_INVALID", "the result holds a number that is not finite") : { fate: "unknown" };
  }
  if (status === 401) return refused("UNAVAILABLE", "the database refuses to serve this gateway");
  if (status === 400) return refused("INTERNAL", "the database did not understand the gateway");
  if (status < 500 && status !== 200) {
    return refused("UNAVAILABLE", "the database is not where this gateway looks for it");
  }
  return { fate: "unknown" };
}

/**
 * Judges a request without an answer.
 * @param sent whether a connection stood, so that the request may have arrived
 */
export function judgeSilence(sent: boolean): Verdict {
  return sent ? { fate: "unknown" } : { fate: "not_applied", leaderless: false };
}
