import { deepEqual, equal, rejects } from "node:assert/strict";
import type { DriverReply, DriverRequest, SqlDriver } from "../../../services/database/driver.ts";
import { own } from "../../../services/database/own.ts";
import { DEFAULT_RULES, Runner, type RunnerOptions } from "../../../services/database/runner.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { awaitedLater } from "../../support/awaited_later.ts";

const REQUEST: RequestContext = {
  requestId: "test",
  signal: new AbortController().signal,
  clientAddress: "127.0.0.1",
};
const ASKED = { namespace: "shop", mode: "read", statements: [own("SELECT 1")] } as const;
const DONE: DriverReply = { kind: "done", outcomes: [] };

/** A runner, and what its driver was asked. */
function runnerWith(options: RunnerOptions, reply: () => Promise<DriverReply> = () => Promise.resolve(DONE)) {
  const asked: DriverRequest[] = [];
  const driver = {
    run(request: DriverRequest) {
      asked.push(request);
      return reply();
    },
  } as unknown as SqlDriver;
  return { runner: new Runner(driver, options), asked };
}

const boundsOf = ({ level, freshness, timeout }: DriverRequest) => ({ level, freshness, timeout });

Deno.test("what a request does not say the namespace's rules say, and then the gateway's", async () => {
  const { runner, asked } = runnerWith({ level: "linearizable" });
  equal((await runner.run(ASKED, REQUEST, {})).level, "linearizable");
  deepEqual(boundsOf(asked[0]!), { level: "linearizable", freshness: undefined, timeout: DEFAULT_RULES.timeout });

  const rules = { ...DEFAULT_RULES, level: "none", freshness: 700, timeout: 5, maxTimeout: 10 } as const;
  const other = runnerWith({ rulesOf: () => Promise.resolve(rules), level: "strong" });
  equal((await other.runner.run(ASKED, REQUEST, {})).level, "none");
  await other.runner.run(ASKED, REQUEST, { level: "strong", timeout: 10 });
  await other.runner.run(ASKED, REQUEST, { level: "none", freshness: 3 });
  await other.runner.run(ASKED, REQUEST, { freshness: 3 });
  await other.runner.run(ASKED, REQUEST, { level: "none" });
  deepEqual(other.asked.map(boundsOf), [
    { level: "none", freshness: 700, timeout: 5 },
    { level: "strong", freshness: undefined, timeout: 10 },
    { level: "none", freshness: 3, timeout: 5 },
    { level: "none", freshness: 3, timeout: 5 },
    { level: "none", freshness: undefined, timeout: 5 },
  ]);
});

Deno.test("a timeout above the ceiling is refused before anything runs", async () => {
  const { runner, asked } = runnerWith({ rulesOf: () => ({ ...DEFAULT_RULES, maxTimeout: 10 }) });
  await rejects(runner.run(ASKED, REQUEST, { timeout: 11 }), (error: GatewayError) => {
    equal(error.code, "INVALID_REQUEST");
    deepEqual(error.extra.details, [{
      field: "timeout",
      problem: "must be at most 10 milliseconds, the ceiling of this namespace",
    }]);
    return true;
  });
  deepEqual(asked, []);
});

Deno.test("so many statements of a namespace run at once, and no more; others have room of their own", async () => {
  const waiting: PromiseWithResolvers<DriverReply>[] = [];
  const { runner } = runnerWith({ rulesOf: () => ({ ...DEFAULT_RULES, maxInFlight: 2 }) }, () => {
    waiting.push(Promise.withResolvers());
    return waiting.at(-1)!.promise;
  });
  const run = (namespace: string) => runner.run({ ...ASKED, namespace }, REQUEST, {});
  const running = awaitedLater([run("shop"), run("shop"), run("cafe")]);
  const full = (error: GatewayError) => error.code === "TOO_MANY_STATEMENTS" && error.extra.retryAfter === 1;
  await rejects(run("shop"), full);
  waiting[0]!.reject(new Error("ends, too"));
  await rejects(running[0]!, /ends, too/);
  const next = awaitedLater(run("shop"));
  await rejects(run("shop"), full);
  for (const one of waiting) one.resolve(DONE);
  await Promise.all([...running.slice(1), next]);
});

Deno.test("a stream is a statement that runs until its last row, its failure, or until nobody wants more of it", async () => {
  const ends: (() => AsyncGenerator<never[]>)[] = [
    async function* () {
      yield [];
    },
    async function* () {
      yield [];
      throw new Error("breaks");
    },
    async function* () {
      for (;;) yield [];
    },
  ];
  let opened = 0;
  const driver = {
    run: () => Promise.resolve(DONE),
    stream: () => {
      const batches = ends[opened++];
      return batches ? Promise.resolve({ batches: batches() }) : Promise.reject(new Error("does not begin"));
    },
  } as unknown as SqlDriver;
  const runner = new Runner(driver, { rulesOf: () => ({ ...DEFAULT_RULES, maxInFlight: 1 }) });
  const open = (namespace = "shop") => runner.stream(namespace, own("SELECT 1"), REQUEST, {});
  const isFull = async () => {
    const full = (error: GatewayError) => error.code === "TOO_MANY_STATEMENTS";
    await rejects(open(), full);
    await rejects(runner.run(ASKED, REQUEST, {}), full);
  };
  const isFree = () => runner.run(ASKED, REQUEST, {});

  const whole = await open();
  await isFull();
  deepEqual(await Array.fromAsync(whole.batches), [[]]);
  await isFree();

  const broken = (await open()).batches[Symbol.asyncIterator]();
  await broken.next();
  await isFull();
  await rejects(broken.next(), /breaks/);
  await broken.return?.();
  await isFree();

  const unread = (await open()).batches[Symbol.asyncIterator]();
  await isFull();
  await unread.return?.();
  await unread.return?.();
  await isFree();

  await rejects(open(), /does not begin/);
  await isFree();
});
