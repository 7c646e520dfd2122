import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { settled } from "../../cache/support/fake_clock.ts";
import { ENDS, principalOf, refused, textOf, World } from "./support/invoker.ts";

Deno.test("a call runs within what its version and its namespace allow, whichever is less", async () => {
  const world = new World();
  const { id } = world.deploy("shop", "hello", {
    timeout: 90_000,
    memoryLimit: 256,
    concurrency: 2,
    env: { A: "b" },
    version: 3,
  });
  const result = await world.invoke("shop", "hello");
  equal(textOf(result), "ok");
  deepEqual([result.requestId, result.attempts, result.failure, result.version.version], ["r1", 1, undefined, 3]);
  const [work] = world.works;
  deepEqual([work!.namespace, work!.functionId, work!.timeout], ["shop", id, 60_000]);
  deepEqual(work!.concurrency, { namespace: 8, function: 2, waiting: 4 });
  deepEqual({ ...work!.task, input: textOf({ output: work!.task.input }) }, {
    name: "hello",
    requestId: "r1",
    caller: "shop",
    env: { A: "b" },
    input: "in",
    limits: { pages: 1_024, output: 1_024, log: 2_000, calls: 10 },
  });
  const module = await work!.module(new AbortController().signal);
  equal(module.bytes.length, 64, "its memory's maximum is the namespace's");
  world.rules = { maxMemory: 512 };
  await world.invoke("shop", "hello");
  ok(world.works[1]!.moduleKey !== work!.moduleKey, "with another maximum it is another module");
});

Deno.test("every end of a call has its code, and the engine's own words", async () => {
  const world = new World();
  world.deploy("shop", "hello");
  const cases = [
    [ENDS.exit(3), "FUNCTION_FAILED", /exit code 3/, 3],
    [ENDS.exit(1, "plug-in says no"), "FUNCTION_FAILED", /plug-in says no/, 1],
    [ENDS.of("trap", { message: "unreachable" }), "FUNCTION_TRAPPED", /unreachable/],
    [ENDS.of("stack", { message: "Maximum call stack" }), "FUNCTION_TRAPPED", /Maximum call stack/],
    [ENDS.of("link", { message: "no env.x" }), "FUNCTION_TRAPPED", /no env\.x/],
    [ENDS.of("memory"), "FUNCTION_OUT_OF_MEMORY", /64 MiB/],
    [ENDS.of("output", { output: new Uint8Array(9) }), "FUNCTION_OUTPUT_TOO_LARGE", /1024 bytes/],
    [ENDS.of("calls"), "FUNCTION_CALLS_EXCEEDED", /10 host calls/],
    [ENDS.deadline, "FUNCTION_TIMEOUT", /30000 ms/],
    [ENDS.crashed(), "OUTCOME_UNKNOWN", /mid call/],
    [ENDS.crashed(true), "FUNCTION_OUT_OF_MEMORY", /memory/],
    [ENDS.closed, "OUTCOME_UNKNOWN", /before the function was done/],
  ] as const;
  for (const [end, code, words, exitCode] of cases) {
    world.guest = () => end;
    const { failure, output } = await world.invoke("shop", "hello");
    equal(failure?.code, code);
    ok(words.test(failure!.message), failure!.message);
    equal(failure?.exitCode, exitCode);
    equal(output.length, 0);
    equal(world.invocations.at(-1)!.status, code === "FUNCTION_TIMEOUT" ? "timeout" : "error");
    ok(world.lines.at(-1)!.message.startsWith(`${code}: `) && world.lines.at(-1)!.level === "error");
  }
});

Deno.test("a call that did not begin is an error, and is remembered nowhere", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 5, dlqTopic: "dead" });
  for (
    const [reason, code] of [
      ["busy", "TOO_MANY_INVOCATIONS"],
      ["unavailable", "UNAVAILABLE"],
      ["not_ready", "UNAVAILABLE"],
      ["closed", "UNAVAILABLE"],
      ["forgotten", "NOT_FOUND"],
    ] as const
  ) {
    world.guest = () => {
      throw refused(reason);
    };
    await rejects(world.invoke("shop", "hello"), (error: GatewayError) => {
      equal(error.code, code);
      if (code !== "NOT_FOUND") equal(error.extra.retryAfter, 3);
      return true;
    });
  }
  world.guest = () => {
    throw new GatewayError("UNAVAILABLE", "the module cannot be read");
  };
  await rejects(world.invoke("shop", "hello"), { code: "UNAVAILABLE" });
  deepEqual([world.works.length, world.invocations, world.lines, world.published], [6, [], [], []]);
});

Deno.test("too much input and too great a depth are refused before anything runs", async () => {
  const world = new World();
  world.deploy("shop", "hello");
  await rejects(world.invoke("shop", "hello", { input: new Uint8Array(1_025) }), { code: "BODY_TOO_LARGE" });
  await world.invoke("shop", "hello", { input: new Uint8Array(1_024), depth: 8 });
  await rejects(world.invoke("shop", "hello", { depth: 9, caller: "namespace", trigger: "function" }), {
    code: "INVOCATION_TOO_DEEP",
  });
  equal(world.works.length, 1);
});

Deno.test("functions of any name run, two calls of one at once, each with its own caller", async () => {
  const world = new World();
  const held = Promise.withResolvers<void>();
  world.guest = async ({ task }) => {
    await held.promise;
    return ENDS.done(`${task.name} ${task.caller}`);
  };
  const calls = ["env", "host", "wasi_snapshot_preview1", "__proto__", "constructor", "hello", "hello"].map(
    (name, i) => {
      world.deploy("shop", name);
      return world.invoke("shop", name, { caller: principalOf("shop", { wallet: `0x${i}` }) });
    },
  );
  await settled();
  equal(world.works.length, 7);
  held.resolve();
  deepEqual((await Promise.all(calls)).map(textOf), [
    "env 0x0",
    "host 0x1",
    "wasi_snapshot_preview1 0x2",
    "__proto__ 0x3",
    "constructor 0x4",
    "hello 0x5",
    "hello 0x6",
  ]);
});

Deno.test("the version of an alias is chosen once, and the same at every try", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 2, retryDelay: 100 });
  world.guest = () => ENDS.exit();
  world.chance = 0.25;
  const call = world.invoke("shop", "hello");
  for (let i = 0; i < 5; i++) {
    world.chance = i / 10;
    await world.clock.advance(200);
  }
  equal((await call).attempts, 3);
  deepEqual([...new Set(world.picks)], [0.25]);
});

Deno.test("what ran is remembered as it was, and counted without anybody's name", async () => {
  const world = new World();
  const { id } = world.deploy("shop", "hello", { version: 4 });
  await world.invoke("shop", "hello", { trigger: "cron", triggerId: "trg_1", caller: "namespace", depth: 1 });
  deepEqual(world.invocations, [{
    of: id,
    requestId: "r1",
    version: 4,
    attempt: 1,
    trigger: "cron",
    triggerId: "trg_1",
    caller: "shop",
    startedAt: world.clock.now() - 7,
    duration: 7,
    status: "success",
    error: undefined,
    inputBytes: 2,
    outputBytes: 2,
    memoryBytes: 131_072,
    hostCalls: 3,
    coldStart: false,
  }]);
  deepEqual(world.events, [
    { kind: "invocation", trigger: "cron", outcome: "success", duration: 7, waited: 1, cold: false },
  ]);
});

Deno.test("a caller who leaves before its turn is not called for; what runs goes on", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 3, retryDelay: 1_000, dlqTopic: "dead" });
  const left = new AbortController();
  left.abort(new Error("left"));
  await rejects(world.invoke("shop", "hello", {}, left.signal), /left/);
  const leaving = new AbortController();
  world.guest = async () => {
    leaving.abort(new Error("left"));
    await settled();
    return ENDS.exit(1, "first");
  };
  const result = await world.invoke("shop", "hello", {}, leaving.signal);
  deepEqual([result.attempts, result.failure?.code], [1, "FUNCTION_FAILED"]);
  equal(world.published.length, 1, "it failed for good");
});

Deno.test("closing refuses calls, ends pauses, and waits for what runs, but not for ever", async () => {
  const world = new World({ grace: 2_000 });
  world.deploy("shop", "hello", { retryCount: 3, retryDelay: 30_000 });
  world.guest = () => ENDS.exit();
  const pausing = world.invoke("shop", "hello");
  await settled();
  world.guest = () => new Promise(() => {});
  awaitedLater(world.invoke("shop", "hello"));
  await settled();
  let isClosed = false;
  const closing = world.invoker.close().then(() => isClosed = true);
  equal((await withinDeadline(pausing, "the pause ends", 5_000)).attempts, 1);
  await rejects(world.invoke("shop", "hello"), { code: "UNAVAILABLE" });
  equal((await world.invoker.health()).status, "down");
  await world.clock.advance(1_999);
  equal(isClosed, false);
  await world.clock.advance(1);
  await withinDeadline(closing, "it is closed", 5_000);

  const idle = new World();
  equal((await idle.invoker.health()).status, "ok");
  await withinDeadline(idle.invoker.close(), "it is closed at once", 5_000);
});
