import { deepEqual, equal } from "node:assert/strict";
import { judgeError, judgeSilence, type Verdict } from "../../../services/rqlite/failures.ts";

const applied = { unknown: "unknown", lost: "not_applied, look for the leader", other: "not_applied" } as const;

function inWords(verdict: Verdict): string {
  switch (verdict.fate) {
    case "not_applied":
      return verdict.leaderless ? applied.lost : applied.other;
    case "refused":
      return verdict.code;
    default:
      return verdict.fate;
  }
}

// What rqlite v8.43.4 was seen to answer, or has in its source: status, text, verdict on a write, verdict on a read.
const table: readonly (readonly [number, string, string, string?])[] = [
  [500, "leader address: leader not found", applied.lost],
  [503, "leader not found", applied.lost],
  [200, "leader not found", applied.lost],
  [200, "not leader", applied.lost],
  [200, "node is not the leader", applied.lost],
  [200, "node failed to process Execute on remote node at 127.0.0.1:4002: not leader", applied.lost],
  [
    200,
    "node failed to process Execute on remote node at 127.0.0.1:4002: pool get: dial tcp 127.0.0.1:4002: connect: connection refused",
    applied.lost,
  ],
  [
    200,
    "node failed to process Query on remote node at 127.0.0.1:4002: pool get: dial tcp 127.0.0.1:4002: i/o timeout",
    applied.lost,
  ],
  [200, "leadership transfer in progress", applied.lost],
  [200, "timed out enqueuing operation", applied.lost],
  [200, "store not ready", applied.other],
  [503, "store not open", applied.other],
  [200, "load in progress", applied.other],
  [200, "stale read", applied.other],
  [200, "leadership lost while committing log", applied.unknown],
  [
    200,
    "node failed to process Request on remote node at 127.0.0.1:4002: leadership lost while committing log",
    applied.unknown,
  ],
  [200, "snapshot restored while committing log", applied.unknown],
  [200, "raft is already shutdown", applied.unknown],
  [200, "node failed to process Execute on remote node at 127.0.0.1:4002: read protobuf length: EOF", applied.unknown],
  [
    200,
    "node failed to process Execute on remote node at 127.0.0.1:4002: read protobuf length: read tcp 127.0.0.1:1->127.0.0.1:2: i/o timeout",
    applied.unknown,
  ],
  [
    200,
    "node failed to process Execute on remote node at 127.0.0.1:4002: write protobuf bytes: broken pipe",
    applied.unknown,
  ],
  [200, "context deadline exceeded", applied.unknown, "failed"],
  [200, "sql: transaction has already been committed or rolled back", applied.unknown, "failed"],
  [500, "context deadline exceeded", applied.unknown],
  [200, "disallowed pragma", "SQL_NOT_ALLOWED"],
  [200, "FOREIGN KEY constraint failed", "failed"],
  [500, "FOREIGN KEY constraint failed", applied.unknown],
  [
    500,
    "json: error calling MarshalJSON for type *http.DBResults: json: unsupported value: +Inf",
    applied.unknown,
    "SQL_INVALID",
  ],
  [500, 'SQL rewrite: panic during SQL processing: near "leader not found"', "SQL_INVALID"],
  [500, "", applied.unknown],
  [502, "<html>Bad Gateway</html>", applied.unknown],
  [504, "gateway timeout", applied.unknown],
  [400, "invalid JSON body", "INTERNAL"],
  [400, "timeout is not a valid duration", "INTERNAL"],
  [401, "", "UNAVAILABLE"],
  [404, "", "UNAVAILABLE"],
  [405, "", "UNAVAILABLE"],
  [301, "", "UNAVAILABLE"],
];

for (const [status, text, write, read = write] of table) {
  Deno.test(`judgeError() says ${write} of a write answered by ${status} ${JSON.stringify(text.slice(0, 110))}`, () => {
    equal(inWords(judgeError(status, text, false)), write);
    equal(inWords(judgeError(status, text, true)), read);
  });
}

Deno.test("judgeError() puts no address and no text of the engine into a public message", () => {
  for (const [status, text] of table) {
    const verdict = judgeError(status, `${text} 10.1.2.3:4001`, true);
    if (verdict.fate === "refused") equal(/\d|rqlite|raft|pragma:|json/i.test(verdict.message), false, verdict.message);
  }
});

Deno.test("judgeSilence() tells a request that was never sent from one that may have arrived", () => {
  deepEqual(judgeSilence(false), { fate: "not_applied", leaderless: false });
  deepEqual(judgeSilence(true), { fate: "unknown" });
});
