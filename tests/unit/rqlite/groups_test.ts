import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type GroupedStatement, Lane, type LaneOptions } from "../../../services/rqlite/groups.ts";
import type { RqliteAnswer, RqliteResult } from "../../../services/rqlite/wire.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";

const waiter = { signal: new AbortController().signal };
const statement = (n: number, more: Partial<GroupedStatement> = {}): GroupedStatement => (
  { text: '"S ?"', args: [n], timeout: 1_000, waiter, wildcard: false, ...more }
);
const is = (code: ErrorCode) => (error: unknown) => error instanceof GatewayError && error.code === code;

/** What was sent, and when it is answered: by default with the number of each statement. */
class Engine {
  readonly sent: number[][] = [];
  readonly bodies: string[] = [];
  readonly timeouts: number[] = [];
  /** Whether each request was one transaction. */
  readonly atomic: boolean[] = [];
  readonly groups: number[] = [];
  readonly #answers: ((answer: RqliteAnswer | Error) => void)[] = [];
  readonly lane: Lane;

  constructor(more: Partial<LaneOptions> = {}) {
    this.lane = new Lane({
      access: "write",
      send: (body, timeout, atomic) => {
        this.atomic.push(atomic);
        return this.#take(body, timeout);
      },
      onGroup: (_access, count) => this.groups.push(count),
      ...more,
    });
  }

  get inFlight(): number {
    return this.#answers.length;
  }

  answer(answer?: RqliteAnswer | Error): void {
    const results = this.sent[this.sent.length - this.#answers.length]!.map(change);
    this.#answers.shift()!(answer ?? { results, error: undefined });
  }

  async #take(body: string, timeout: number): Promise<RqliteAnswer> {
    this.bodies.push(body);
    this.sent.push((JSON.parse(`[${body}]`) as unknown[][]).map((one) => Number(one[1] ?? -1)));
    this.timeouts.push(timeout);
    const { promise, resolve } = Promise.withResolvers<RqliteAnswer | Error>();
    this.#answers.push(resolve);
    const answer = await promise;
    if (answer instanceof Error) throw answer;
    return answer;
  }
}

const change = (n: number): RqliteResult => ({ kind: "change", lastInsertId: n, rowsAffected: 1 });
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

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

const failure: RqliteResult = { kind: "error", error: "UNIQUE constraint failed: t.a" };
const undone: RqliteAnswer = { results: [change(1), failure], error: undefined };

Deno.test("writes that go together are one transaction; one alone, and reads, need none", async () => {
  for (const access of ["write", "read"] as const) {
    const engine = new Engine({ access });
    for (const count of [1, 3]) {
      const all = Array.from({ length: count }, (_, n) => engine.lane.run(statement(n)));
      await turn();
      engine.answer();
      await Promise.all(all);
    }
    deepEqual(engine.atomic, [false, access === "write"]);
    engine.lane.close();
  }
});

Deno.test("each statement gets its own result, and a failing one touches no other: what it undid is sent again", async () => {
  for (const first of [undone, { results: [], error: "FOREIGN KEY constraint failed" }]) {
    const engine = new Engine();
    const all = [1, 2, 3].map((n) => engine.lane.run(statement(n)));
    await turn();
    engine.answer(first);
    await turn();
    deepEqual([engine.sent, engine.atomic], [[[1, 2, 3], [1, 2, 3]], [true, false]]);
    engine.answer({ results: [change(1), failure, change(3)], error: undefined });
    deepEqual(await Promise.all(all), [change(1), failure, change(3)]);
    engine.lane.close();
  }
});

Deno.test("after a transaction was undone writes stand alone for a while", async () => {
  const engine = new Engine();
  const group = async (...answers: (RqliteAnswer | undefined)[]) => {
    const all = [1, 2].map((n) => engine.lane.run(statement(n)));
    for (const answer of answers) {
      await turn();
      engine.answer(answer);
    }
    await Promise.all(all);
  };
  await group(undone, undefined);
  for (let i = 0; i < 32; i++) await group(undefined);
  await group(undefined);
  deepEqual(engine.atomic, [true, ...Array<boolean>(33).fill(false), true]);
  engine.lane.close();
});

Deno.test("a transaction that went on behind a failure was not undone: nobody knows what is there", async () => {
  const engine = new Engine();
  const all = [1, 2, 3].map((n) => engine.lane.run(statement(n)));
  await turn();
  engine.answer({ results: [change(1), failure, change(3)], error: undefined });
  for (const one of all) await rejects(one, is("OUTCOME_UNKNOWN"));
  equal(engine.sent.length, 1);
  engine.lane.close();
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
    const all = [1, 2].map((n) => engine.lane.run(statement(n)));
    await turn();
    const next = engine.lane.run(statement(3));
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
    const all = [1, 2].map((n) => engine.lane.run(statement(n)));
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
  const [sentLeft, sentStays] = [engine.lane.run(statement(1, left)), engine.lane.run(statement(2))];
  await turn();
  const [waitingLeft, waitingStays] = [engine.lane.run(statement(3, left)), engine.lane.run(statement(4))];
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
