import { deepEqual, equal, rejects } from "node:assert/strict";
import type { RqliteAnswer, RqliteResult } from "../../../services/rqlite/wire.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { change, Engine, failure, is, statement, turn, undone } from "./lane_fixture.ts";

const late = (sentence: string): RqliteResult => ({ kind: "error", error: sentence });
const TIMED_OUT: readonly (readonly ["read" | "write", RqliteAnswer])[] = [
  ["write", { results: [change(1), late("execute timeout")], error: undefined }],
  ["write", { results: [late("execute timeout")], error: undefined }],
  ["read", { results: [], error: "query timeout" }],
  ["read", { results: [change(1), late("query timeout"), late("query timeout")], error: undefined }],
];

Deno.test("of a group that ran out of its time each is to be asked alone, and none together again", async () => {
  for (const [access, answer] of TIMED_OUT) {
    const engine = new Engine({ access });
    const all = [1, 2, 3].map((n) => engine.lane.run(statement(n)));
    await turn();
    engine.answer(answer);
    deepEqual(await Promise.all(all), [undefined, undefined, undefined]);
    const next = engine.lane.run(statement(4));
    await turn();
    engine.answer();
    deepEqual(await next, change(4));
    deepEqual(engine.sent, [[1, 2, 3], [4]]);
    engine.lane.close();
  }
});

Deno.test("a write that fails in a group is to be asked alone, and what it undid is sent again without it", async () => {
  const engine = new Engine();
  const all = awaitedLater([1, 2, 3].map((n) => engine.lane.run(statement(n))));
  await turn();
  engine.answer(undone);
  equal(await all[1], undefined);
  await turn();
  deepEqual([engine.sent, engine.atomic], [[[1, 2, 3], [1, 3]], [true, true]]);
  engine.answer();
  deepEqual(await Promise.all(all), [change(1), undefined, change(3)]);
  engine.lane.close();
});

Deno.test("where nobody knows which one failed, and where a second one fails, each is to be asked alone", async () => {
  const whole: RqliteAnswer = { results: [], error: "FOREIGN KEY constraint failed" };
  for (const answers of [[whole], [undone, undone], [undone, whole], [undone, TIMED_OUT[0]![1]]]) {
    const engine = new Engine();
    const all = [1, 2, 3, 4].map((n) => engine.lane.run(statement(n)));
    for (const answer of answers) {
      await turn();
      engine.answer(answer);
    }
    deepEqual(await Promise.all(all), all.map(() => undefined));
    deepEqual(engine.atomic, answers.map(() => true));
    engine.lane.close();
  }
});

Deno.test("the one that is left of a group gets its own result, whichever", async () => {
  const engine = new Engine();
  const all = [1, 2].map((n) => engine.lane.run(statement(n)));
  await turn();
  engine.answer(undone);
  await turn();
  engine.answer({ results: [failure], error: undefined });
  deepEqual(await Promise.all(all), [failure, undefined]);
  deepEqual([engine.sent, engine.atomic], [[[1, 2], [1]], [true, false]]);
  engine.lane.close();
});

Deno.test("what was undone, and then cannot be sent again, has not happened, or nobody knows", async () => {
  for (const code of ["UNAVAILABLE", "OUTCOME_UNKNOWN"] as const) {
    const engine = new Engine();
    const all = awaitedLater([1, 2, 3].map((n) => engine.lane.run(statement(n))));
    await turn();
    engine.answer(undone);
    await turn();
    engine.answer(new GatewayError(code, "x"));
    equal(await all[1], undefined);
    for (const one of [all[0]!, all[2]!]) await rejects(one, is(code));
    engine.lane.close();
  }
});

Deno.test("after a group has failed twice writes are asked alone for a while", async () => {
  const engine = new Engine();
  const group = (count: number) => Array.from({ length: count }, (_, n) => engine.lane.run(statement(n)));
  const failing = group(3);
  await turn();
  engine.answer(undone);
  await turn();
  engine.answer(undone);
  await Promise.all(failing);
  deepEqual(new Set(await Promise.all(group(256))), new Set([undefined]));
  equal(engine.sent.length, 2);
  const together = group(3);
  await turn();
  engine.answer();
  deepEqual(await Promise.all(together), [0, 1, 2].map(change));
  engine.lane.close();
});

Deno.test("whoever has left is not sent again", async () => {
  const engine = new Engine();
  const leaving = new AbortController();
  const all = awaitedLater(
    [1, 2, 3].map((n) => engine.lane.run(statement(n, n === 3 ? { waiter: { signal: leaving.signal } } : {}))),
  );
  await turn();
  leaving.abort();
  await rejects(all[2]!, is("OUTCOME_UNKNOWN"));
  engine.answer(undone);
  await turn();
  engine.answer();
  deepEqual(await Promise.all(all.slice(0, 2)), [change(1), undefined]);
  deepEqual(engine.sent, [[1, 2, 3], [1]]);
  engine.lane.close();
});

Deno.test("a transaction that went on behind a failure was not undone: nobody knows what is there", async () => {
  const engine = new Engine();
  const all = awaitedLater([1, 2, 3].map((n) => engine.lane.run(statement(n))));
  await turn();
  engine.answer({ results: [change(1), failure, change(3)], error: undefined });
  for (const one of all) await rejects(one, is("OUTCOME_UNKNOWN"));
  equal(engine.sent.length, 1);
  engine.lane.close();
});
