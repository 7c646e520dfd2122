import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { FunctionHosts } from "../../../../services/functions/hosts/pool.ts";
import { until } from "../../../engines/support/wait.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { isThere } from "../../hosts/support/hosts.ts";
import type { TestTask, Told } from "../hosts/support/guest.ts";
import { withPool } from "../hosts/support/pool.ts";
import { textOf, World } from "./support/invoker.ts";

/** Runs something with an invoker on real processes, whose guests do as the input says. */
const onHosts = (
  run: (
    world: World,
    call: (namespace: string, task: TestTask, signal?: AbortSignal) => ReturnType<World["invoke"]>,
    pool: FunctionHosts,
  ) => Promise<void>,
) =>
  withPool(async (pool) => {
    const world = new World({ hosts: pool });
    world.rules = { maxInputBytes: 100_000, maxOutputBytes: 100_000 };
    for (const namespace of ["shop", "cafe"]) {
      world.deploy(namespace, "f", { retryCount: 3, retryDelay: 1_000, dlqTopic: "dead" });
    }
    await run(world, (namespace, task, signal) => {
      const input = new TextEncoder().encode(JSON.stringify(task));
      return world.invoke(namespace, "f", { input }, signal);
    }, pool);
  });

Deno.test("a process killed in mid call is told once as an unknown outcome, and hurts no neighbour", () =>
  onHosts(async (world, call) => {
    const { pid } = JSON.parse(textOf(await call("shop", { do: "tell" }))) as Told;
    const neighbour = call("cafe", { do: "spin", ms: 300 });
    const killed = call("shop", { do: "spin", ms: 60_000, say: true });
    await until("it runs", () => world.lines.some(({ message }) => message === "it runs"));
    Deno.kill(pid, "SIGKILL");
    const { failure, attempts } = await withinDeadline(killed, "it is told", 10_000);
    deepEqual([failure?.code, attempts], ["OUTCOME_UNKNOWN", 1]);
    equal((await neighbour).failure, undefined);
    deepEqual(world.published.map(({ namespace }) => namespace), ["shop"]);
    equal(world.invocations.filter(({ status }) => status === "error").length, 1);
    equal((await call("shop", { do: "tell" })).failure, undefined);
  }));

Deno.test("a call that runs for ever is ended at its deadline, and its process with it", () =>
  onHosts(async (world, call) => {
    world.rules = { ...world.rules, maxTimeout: 300 };
    const { pid } = JSON.parse(textOf(await call("shop", { do: "tell" }))) as Told;
    const began = performance.now();
    const { failure, attempts } = await call("shop", { do: "spin", ms: 60_000 });
    ok(performance.now() - began < 3_000);
    deepEqual([failure?.code, attempts], ["FUNCTION_TIMEOUT", 1]);
    await until("its process is gone", () => !isThere(pid));
    equal(world.invocations.at(-1)!.status, "timeout");
  }));

Deno.test("a host that calls and logs without end is held to the limits", () =>
  onHosts(async (world, call) => {
    const storm = await call("shop", { do: "call", times: 100_000 });
    equal(storm.failure?.code, "FUNCTION_CALLS_EXCEEDED");
    ok(world.performed.length <= 10, String(world.performed.length));
    world.lines.length = 0;
    await call("shop", { do: "note", notes: [{ level: "info", message: "x".repeat(50) }], times: 50_000 });
    const bytes = world.lines.reduce((sum, { message }) => sum + message.length, 0);
    ok(bytes > 1_000 && bytes < 4_000, String(bytes));
  }));

Deno.test("what a compromised host sends is an unknown outcome, never an answer", () =>
  onHosts(async (_world, call) => {
    for (
      const outcome of [null, { end: "__proto__", output: "x" }, { end: "done", output: 7 }]
    ) {
      const { failure, output } = await call("shop", { do: "outcome", outcome });
      deepEqual([failure?.code, output.length], ["OUTCOME_UNKNOWN", 0], JSON.stringify(outcome));
    }
    equal((await call("cafe", { do: "output", bytes: 100_000 })).output.length, 100_000);
    // An honest host says itself that it is too much.
    equal((await call("cafe", { do: "output", bytes: 100_001 })).failure?.code, "OUTCOME_UNKNOWN");
  }));

Deno.test("a deleted namespace's calls end, those that run and those that wait, and no other's", () =>
  onHosts(async (world, call) => {
    world.rules = { ...world.rules, maxConcurrency: 1 };
    const { pid } = JSON.parse(textOf(await call("shop", { do: "tell" }))) as Told;
    const running = call("shop", { do: "spin", ms: 60_000, say: true });
    await until("it runs", () => world.lines.some(({ message }) => message === "it runs"));
    const waiting = awaitedLater(call("shop", { do: "tell" }));
    const neighbour = call("cafe", { do: "spin", ms: 300 });
    await until("both wait or run", () => world.invoker.figures().waiting === 1);
    world.revoke("shop");
    equal((await withinDeadline(running, "it is ended", 10_000)).failure?.code, "OUTCOME_UNKNOWN");
    await rejects(withinDeadline(waiting, "it is refused", 10_000), { code: "NOT_FOUND" });
    equal((await neighbour).failure, undefined);
    await until("its process is gone", () => !isThere(pid));
    deepEqual(world.published, []);
  }));

Deno.test("a caller who leaves the line gives its place to the next; one whose call runs does not end it", () =>
  onHosts(async (world, call) => {
    world.rules = { ...world.rules, maxConcurrency: 1 };
    const left = new AbortController(), leaving = new AbortController();
    const running = call("shop", { do: "spin", ms: 500, say: true }, leaving.signal);
    await until("it runs", () => world.lines.some(({ message }) => message === "it runs"));
    const gone = awaitedLater(call("shop", { do: "tell" }, left.signal)), next = call("shop", { do: "tell" });
    await until("both wait", () => world.invoker.figures().waiting === 2);
    left.abort(new Error("left"));
    leaving.abort(new Error("left"));
    await rejects(gone, /left/);
    equal((await running).failure, undefined);
    equal((await next).failure, undefined);
    equal(world.invocations.length, 2);
  }));

Deno.test("a function that another one called ends with its caller, and its process with it", () =>
  onHosts(async (world, call) => {
    const host = JSON.parse(textOf(await call("shop", { do: "tell" }))) as Told;
    const nested: Promise<Awaited<ReturnType<World["invoke"]>>>[] = [];
    world.deploy("shop", "called", { retryCount: 3, retryDelay: 1_000, timeout: 60_000 });
    world.perform = async (_call, { signal, depth }) => {
      const input = new TextEncoder().encode(JSON.stringify({ do: "spin", ms: 60_000, say: true }));
      const more = { input, trigger: "function", caller: "namespace", depth: depth + 1 } as const;
      nested.push(awaitedLater(world.invoke("shop", "called", more, signal)));
      await until("it runs", () => world.lines.some(({ message }) => message === "it runs"));
      // The caller ends before it is answered.
      Deno.kill(host.pid, "SIGKILL");
      return { value: null };
    };
    equal((await call("shop", { do: "call", times: 1 })).failure?.code, "OUTCOME_UNKNOWN");
    const { failure, attempts } = await withinDeadline(nested[0]!, "it ends with its caller", 10_000);
    deepEqual([failure?.code, attempts], ["OUTCOME_UNKNOWN", 1]);
    await until("nothing runs", () => world.invoker.figures().running === 0);
    deepEqual(world.errors, []);
  }));
