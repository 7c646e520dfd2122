import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { CallRefused, type HostWork, type RefusalReason } from "../../../../services/functions/hosts/contract.ts";
import { until } from "../../../engines/support/wait.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { isThere } from "../../hosts/support/hosts.ts";
import { children, LONG, saying, STAYS, told, withPool, workOf } from "./support/pool.ts";

const refused = (reason: RefusalReason) => (error: unknown) => {
  ok(error instanceof CallRefused, String(error));
  equal(error.reason, reason);
  ok(Number.isInteger(error.retryAfter) && error.retryAfter >= 1, String(error.retryAfter));
  return true;
};

/** What became of each, by the reason of its refusal or how it ended. */
const endings = async (calls: readonly Promise<{ readonly ended: string }>[]) =>
  Object.entries(Object.groupBy(
    await Promise.allSettled(calls),
    (call) => call.status === "fulfilled" ? call.value.ended : (call.reason as CallRefused).reason,
  )).map(([ending, all]) => [ending, all?.length]);

const concurrency = (namespace: number, of?: number, waiting = 2_000): Pick<HostWork, "concurrency"> => ({
  concurrency: { namespace, function: of, waiting },
});

Deno.test("a thousand waiting calls of a namespace delay no other's first", () =>
  withPool(async (pool, call) => {
    const order: string[] = [];
    const many = Array.from({ length: 1_000 }, (_, i) =>
      awaitedLater(call("a", { do: "spin", ms: 5 }, concurrency(10)).then(() => order.push(`a${i}`))));
    await until("they wait", () =>
      pool.figures().waiting > 900);
    await call("b", { do: "tell" });
    const before = order.length;
    ok(before < 300, `${before} of the others went first`);
    await pool.forget("a");
    await Promise.allSettled(many);
  }, { max: 2, patience: LONG }));

Deno.test("calls of one module go in the order in which they came, also those that wait", () =>
  withPool(async (_, call) => {
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => call("a", { do: "tell" }, concurrency(1)).then(() => order.push(i))),
    );
    deepEqual(order, Array.from({ length: 50 }, (_, i) => i));
  }));

Deno.test("namespaces that all have more to do than there are hosts for get even shares", () =>
  withPool(async (_, call) => {
    const served = new Map<string, number>();
    const end = performance.now() + 3_000;
    const client = async (namespace: string) => {
      while (performance.now() < end) {
        await call(namespace, { do: "spin", ms: 10 }, concurrency(8));
        served.set(namespace, (served.get(namespace) ?? 0) + 1);
      }
    };
    // One of them asks for eight times as much as the others.
    const clients = [...Array(16).fill("greedy"), "b", "b", "c", "c"];
    await Promise.all(clients.map(client));
    const [least, most] = [Math.min(...served.values()), Math.max(...served.values())];
    equal(served.size, 3);
    ok(most < 4 * least, JSON.stringify([...served]));
  }, { max: 3, patience: LONG }));

Deno.test("so many calls of a namespace and of a function run at once as may", () =>
  withPool(async (pool, call) => {
    const running = (functionId: string, n: number) =>
      Array.from({ length: n }, () => call("a", { do: "spin", ms: 200 }, { functionId, ...concurrency(3, 2) }));
    const calls = [...running("f", 4), ...running("g", 1)];
    await until("three run", () => pool.figures().running === 3);
    deepEqual(await endings(calls), [["outcome", 5]]);
  }));

Deno.test("a function that has as many calls as it may lets others of its namespace go past", () =>
  withPool(async (_, call) => {
    const order: string[] = [];
    const named = (functionId: string, ms: number) =>
      call("a", { do: "spin", ms }, { functionId, moduleKey: functionId, ...concurrency(4, 1) })
        .then(() => order.push(functionId));
    await Promise.all([named("slow", 400), named("slow", 1), named("quick", 1)]);
    deepEqual(order, ["quick", "slow", "slow"]);
  }));

Deno.test("more calls than may wait are refused, with the time after which to come back", () =>
  withPool(async (_, call) => {
    const calls = Array.from({ length: 10 }, () => call("a", { do: "spin", ms: 50 }, concurrency(1, undefined, 4)));
    const others = call("b", { do: "tell" });
    await rejects(calls.at(-1)!, refused("busy"));
    deepEqual(await endings(calls), [["outcome", 5], ["busy", 5]]);
    equal((await others).ended, "outcome");
  }));

Deno.test("a call may run at once where none may wait", () =>
  withPool(async (_, call) => {
    equal((await call("a", { do: "tell" }, concurrency(1, 1, 0))).ended, "outcome");
    equal((await call("a", { do: "tell" }, concurrency(1, 1, 0))).ended, "outcome");
    const four = Array.from({ length: 4 }, () => call("a", { do: "spin", ms: 300 }, concurrency(3, undefined, 0)));
    deepEqual(await endings(four), [["outcome", 3], ["busy", 1]]);
  }));

Deno.test("who waits too long is refused", () =>
  withPool(async (pool, call) => {
    const { said, listener } = saying();
    const busy = awaitedLater(call("a", { do: "spin", ms: LONG, say: true }, { listener }));
    await until("it runs", () => said() === 1);
    await rejects(call("b", { do: "tell" }), refused("busy"));
    equal(pool.figures().waiting, 0);
    await pool.forget("a");
    equal((await busy).ended, "closed");
    equal((await call("b", { do: "tell" })).ended, "outcome");
  }, { max: 1, patience: 100 }));

Deno.test("the host idle for longest makes room for another namespace", () =>
  withPool(async (pool, call) => {
    for (const namespace of ["a", "b", "a", "c"]) await call(namespace, { do: "tell" });
    equal((await call("a", { do: "tell" })).coldStart, false);
    deepEqual(pool.figures().ended, { evicted: 1 });
    equal((await call("b", { do: "tell" })).coldStart, true);
  }, { max: 2 }));

Deno.test("a caller that leaves while its call waits takes it out of the line; what runs goes on", () =>
  withPool(async (pool, call) => {
    const leaver = new AbortController();
    const { said, listener } = saying();
    const running = awaitedLater(
      pool.run(workOf("a", { do: "spin", ms: 300, say: true }, { listener }), leaver.signal),
    );
    const waiting = awaitedLater(rejects(pool.run(workOf("b", { do: "tell" }), leaver.signal), /left/));
    await until("one runs and one waits", () => pool.figures().waiting === 1 && said() === 1);
    leaver.abort(new Error("left"));
    await waiting;
    equal(pool.figures().waiting, 0);
    equal((await running).ended, "outcome");
    await rejects(pool.run(workOf("b", { do: "tell" }), leaver.signal), /left/);
    equal((await call("b", { do: "tell" })).ended, "outcome");
  }, { max: 1 }));

Deno.test("a call that is to be killed ends while it runs, and does not begin", () =>
  withPool(async (_, call) => {
    const killer = new AbortController();
    const { said, listener } = saying();
    const running = awaitedLater(call("a", { do: "spin", ms: LONG, say: true }, { listener, kill: killer.signal }));
    await until("it runs", () => said() === 1);
    killer.abort();
    equal((await running).ended, "closed");
    await rejects(call("a", { do: "tell" }, { kill: killer.signal }), refused("closed"));
  }));

Deno.test("a forgotten namespace has nothing any more: what runs ends, what waits is refused", () =>
  withPool(async (pool, call) => {
    const { pid } = await told(call("b", { do: "tell" }));
    const fetching = awaitedLater(
      call("a", { do: "tell" }, { moduleKey: "m2", module: () => new Promise<never>(() => {}) }),
    );
    const { said, listener } = saying();
    const spin = { do: "spin", ms: LONG, say: true } as const;
    const running = Array.from({ length: 2 }, () => awaitedLater(call("a", spin, { listener, ...concurrency(3) })));
    const waiting = Array.from({ length: 5 }, () => awaitedLater(call("a", { do: "tell" }, concurrency(3))));
    await until("two run, one has a place", () => said() === 2 && pool.figures().waiting === 5);
    await pool.forget("a");
    deepEqual(await endings([fetching, ...running, ...waiting]), [["forgotten", 6], ["closed", 2]]);
    equal(children().length, 1);
    // Whoever takes the name gets nothing of what was there.
    const next = await told(call("a", { do: "tell" }));
    deepEqual([next.loads, next.modules], [1, ["m1"]]);
    equal((await told(call("b", { do: "tell" }))).pid, pid);
    await pool.forget("nobody");
  }));

Deno.test("close() refuses what waits, lets what runs end, and kills what does not", () =>
  withPool(async (pool, call) => {
    const { said, listener } = saying();
    const short = awaitedLater(call("a", { do: "spin", ms: 300, say: true }, { listener }));
    const long = awaitedLater(call("b", { do: "spin", ms: LONG, say: true }, { listener }));
    const waiting = awaitedLater(call("c", { do: "tell" }));
    await until("two run", () => said() === 2);
    const pids = children();
    const begun = performance.now();
    await pool.close();
    ok(performance.now() - begun < 5_000);
    deepEqual(await endings([short, long, waiting]), [["outcome", 1], ["closed", 2]]);
    deepEqual(pids.filter(isThere), []);
    await rejects(call("a", { do: "tell" }), refused("closed"));
    await rejects(
      pool.check({ bytes: new Uint8Array(), abi: "wasi", entry: "_start" }, LONG, STAYS),
      refused("closed"),
    );
  }, { max: 2, grace: 1_000 }));

Deno.test("inputs of calls that wait have a bound in bytes, of one namespace and of all", () =>
  withPool(async (pool, call) => {
    const { said, listener } = saying();
    const running = awaitedLater(call("z", { do: "spin", ms: LONG, say: true }, { listener }));
    await until("it runs", () => said() === 1);
    const input = new Uint8Array(16 * 1024 * 1024), { task } = workOf("a", { do: "tell" });
    const large = (namespace: string) => awaitedLater(call(namespace, { do: "tell" }, { task: { ...task, input } }));
    const names = ["a", "b", "c", "d"];
    const waiting = names.flatMap((name) => Array.from({ length: 4 }, () => large(name)));
    await rejects(large("a"), refused("busy"), "64 MiB of one namespace");
    await rejects(large("e"), refused("busy"), "256 MiB of all");
    const small = awaitedLater(call("e", { do: "tell" }, { task: { ...task, input: new Uint8Array() } }));
    equal(pool.figures().waiting, 17);
    await pool.forget("a");
    const again = large("e");
    equal(pool.figures().waiting, 14, "what left makes room");
    for (const name of [...names, "e", "z"]) await pool.forget(name);
    deepEqual(await endings([...waiting, small, again]), [["forgotten", 18]]);
    await running;
  }, { max: 1, patience: LONG }));

Deno.test("where no process can be started, calls are told so; once it can, they run", {
  ignore: Deno.build.os !== "linux",
}, () =>
  withPool(async (_, call) => {
    const restore = await noMoreDescriptors();
    const calls = Array.from({ length: 5 }, () => awaitedLater(call("a", { do: "tell" })));
    const refusals = await endings(calls).finally(restore);
    deepEqual(refusals, [["unavailable", 5]]);
    equal((await call("a", { do: "tell" })).ended, "outcome");
  }));

/** This process may open one more file and no pipes, until what this returns is called. */
async function noMoreDescriptors(): Promise<() => Promise<void>> {
  const [, before] = /Max open files\s+(\d+)/.exec(await Deno.readTextFile("/proc/self/limits"))!;
  const limit = (soft: string) => `prlimit --pid ${Deno.pid} --nofile=${soft}:`;
  // Whoever is to undo it must be there before.
  const args = ["-c", `read soft; ${limit('"$soft"')}; read _; ${limit(before!)}`];
  const child = new Deno.Command("/bin/sh", { args, stdin: "piped" }).spawn();
  const open = new Set([...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name)));
  let soft = 0;
  for (let free = 2; free > 0; soft++) if (!open.has(soft)) free--;
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(`${soft}\n`));
  const inForce = () => Number(/Max open files\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/limits"))![1]) === soft;
  await until("it is in force", inForce);
  return async () => {
    await input.close();
    await child.status;
  };
}

Deno.test("calls that wait for further calls never wait for each other's places", () =>
  withPool(async (_, call) => {
    // Each holds the namespace's only place, and the pool's, until the one behind it has ended.
    const chain = async (depth: number): Promise<void> => {
      const behind = depth === 3 ? undefined : awaitedLater(chain(depth + 1));
      const run = await call("a", { do: "call", times: 1 }, {
        depth,
        ...concurrency(1, 1),
        listener: { call: async () => (await behind, { value: null }), note: () => {} },
      });
      equal(run.ended, "outcome");
    };
    await Promise.all([chain(0), chain(0)]);
  }, { max: 1 }));
