import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { RqliteResult } from "../../../services/rqlite/wire.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { change, Engine, is, statement, turn } from "./lane_fixture.ts";

Deno.test("a lane sends at once when nothing is on its way, and what comes meanwhile together", async () => {
  const engine = new Engine();
  const first = engine.lane.run(statement(1));
  await turn();
  const others = [2, 3, 4].map((n) => engine.lane.run(statement(n)));
  await turn();
  deepEqual(engine.sent, [[1]]);
  engine.answer();
  deepEqual(await first, change(1));
  await turn();
  deepEqual(engine.sent, [[1], [2, 3, 4]]);
  engine.answer();
  deepEqual(await Promise.all(others), [2, 3, 4].map(change));
  deepEqual(engine.groups, [1, 3]);
  engine.lane.close();
});

Deno.test("a lane has one request on its way, of at most 512 statements and about a million characters", async () => {
  const engine = new Engine();
  const many = Array.from({ length: 1_100 }, (_, n) => engine.lane.run(statement(n)));
  const large = Array.from({ length: 5 }, (_, n) => engine.lane.run(statement(n, { args: [n, "x".repeat(400_000)] })));
  for (let round = 0; round < 5; round++) {
    await turn();
    equal(engine.inFlight, 1);
    engine.answer();
  }
  await Promise.all([...many, ...large]);
  deepEqual(engine.groups, [512, 512, 78, 2, 1]);
  deepEqual(engine.sent.flat().slice(0, 1_100), Array.from({ length: 1_100 }, (_, n) => n));
  engine.lane.close();
});

Deno.test("what goes together is one transaction, reads too; one alone needs none", async () => {
  for (const access of ["write", "read"] as const) {
    const engine = new Engine({ access });
    for (const count of [1, 3]) {
      const all = Array.from({ length: count }, (_, n) => engine.lane.run(statement(n)));
      await turn();
      engine.answer();
      await Promise.all(all);
    }
    deepEqual(engine.atomic, [false, true]);
    engine.lane.close();
  }
});

Deno.test("a value that SQLite cannot hold fails for itself alone", async () => {
  const engine = new Engine();
  const good = engine.lane.run(statement(1));
  await rejects(engine.lane.run(statement(2, { args: [2n ** 64n] })), is("SQL_INVALID"));
  await turn();
  engine.answer();
  deepEqual(await good, change(1));
  deepEqual(engine.sent, [[1]]);
  engine.lane.close();
});

Deno.test("what happened to a group happened to each of its statements, and the next group is another matter", async () => {
  for (const code of ["UNAVAILABLE", "OUTCOME_UNKNOWN"] as const) {
    const engine = new Engine();
    const all = awaitedLater([1, 2].map((n) => engine.lane.run(statement(n))));
    await turn();
    const next = awaitedLater(engine.lane.run(statement(3)));
    engine.answer(new GatewayError(code, "x"));
    for (const one of all) await rejects(one, is(code));
    await turn();
    engine.answer();
    deepEqual(await next, change(3));
    engine.lane.close();
  }
});

Deno.test("too few results are no results: a write is OUTCOME_UNKNOWN, a read UNAVAILABLE", async () => {
  for (const [access, code] of [["write", "OUTCOME_UNKNOWN"], ["read", "UNAVAILABLE"]] as const) {
    const engine = new Engine({ access });
    const all = awaitedLater([1, 2].map((n) => engine.lane.run(statement(n))));
    await turn();
    engine.answer({ results: [change(1)], error: undefined });
    for (const one of all) await rejects(one, is(code));
    engine.lane.close();
  }
});

Deno.test("where one statement spoils the answer of all, each is to be asked alone", async () => {
  for (const code of ["SQL_INVALID", "SQL_NOT_ALLOWED", "RESULT_TOO_LARGE"] as const) {
    const engine = new Engine();
    const all = [1, 2].map((n) => engine.lane.run(statement(n)));
    await turn();
    engine.answer(new GatewayError(code, "x"));
    deepEqual(await Promise.all(all), [undefined, undefined]);
    engine.lane.close();
  }
});

Deno.test("whoever leaves takes nobody else's statement away: unknown when it was sent, not applied when it was not", async () => {
  const engine = new Engine();
  const leaving = new AbortController();
  const left = { waiter: { signal: leaving.signal } };
  const [sentLeft, sentStays] = awaitedLater([engine.lane.run(statement(1, left)), engine.lane.run(statement(2))]);
  await turn();
  const [waitingLeft, waitingStays] = awaitedLater([
    engine.lane.run(statement(3, left)),
    engine.lane.run(statement(4)),
  ]);
  leaving.abort();
  await Promise.all([rejects(sentLeft, is("OUTCOME_UNKNOWN")), rejects(waitingLeft, is("UNAVAILABLE"))]);
  engine.answer();
  deepEqual(await sentStays, change(2));
  await turn();
  engine.answer();
  deepEqual(await waitingStays, change(4));
  deepEqual(engine.sent, [[1, 2], [4]]);
  engine.lane.close();
});

Deno.test("a signal is looked at only when something takes long", async () => {
  const engine = new Engine();
  let looked = 0;
  const signal = () => (looked++, new AbortController().signal);
  const one = engine.lane.run(statement(1, {
    waiter: {
      get signal() {
        return signal();
      },
    },
  }));
  await turn();
  engine.answer();
  await one;
  equal(looked, 0);
  void engine.lane.run(statement(2, {
    waiter: {
      get signal() {
        return signal();
      },
    },
  }));
  await until("the signal was looked at", () => looked > 0);
  engine.answer();
  engine.lane.close();
});

Deno.test("a group may run as long as the most patient of its statements", async () => {
  const engine = new Engine();
  const all = [10, 3_000, 200].map((timeout, n) => engine.lane.run(statement(n, { timeout })));
  await turn();
  deepEqual(engine.timeouts, [3_000]);
  engine.answer();
  await Promise.all(all);
  engine.lane.close();
});

Deno.test("what has to be asked before the others takes nobody's result", async () => {
  const seen: RqliteResult[] = [];
  const wildcards: boolean[] = [];
  const engine = new Engine({
    access: "read",
    before(wildcard) {
      wildcards.push(wildcard);
      return wildcard ? { body: '["B"]', seen: (result) => seen.push(result) } : undefined;
    },
  });
  const plain = engine.lane.run(statement(1));
  await turn();
  const all = [engine.lane.run(statement(2)), engine.lane.run(statement(3, { wildcard: true }))];
  engine.answer();
  await plain;
  await turn();
  engine.answer({ results: [change(9), change(2), change(3)], error: undefined });
  deepEqual(await Promise.all(all), [change(2), change(3)]);
  deepEqual([wildcards, seen], [[false, true], [change(9)]]);
  ok(engine.bodies[1]!.startsWith('["B"],["S ?",2]'));
  engine.lane.close();
});
