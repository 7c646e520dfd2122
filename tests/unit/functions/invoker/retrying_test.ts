import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { InvocationTrigger } from "../../../../src/contracts/function_invocations.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { settled } from "../../cache/support/fake_clock.ts";
import { ENDS, principalOf, refused, textOf, World } from "./support/invoker.ts";

/** What a call answered, and how often it was tried; time passes as it likes. */
async function resultOf(world: World, call: ReturnType<World["invoke"]>, step = 500) {
  let isOver = false;
  const over = call.then(() => isOver = true, () => isOver = true);
  await settled();
  for (let steps = 0; !isOver && steps < 1_000; steps++) await world.clock.advance(step);
  await withinDeadline(over, "the call is over", 5_000);
  return await call;
}

Deno.test("what failed is tried again as often as the function says, with pauses that double", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 3, retryDelay: 1_000, dlqTopic: "dead" });
  const began = world.clock.monotonic(), at: number[] = [];
  world.guest = () => {
    at.push(world.clock.monotonic() - began);
    return at.length < 4 ? ENDS.exit(1, `try ${at.length}`) : ENDS.done("at last");
  };
  const result = await resultOf(world, world.invoke("shop", "hello"));
  deepEqual([textOf(result), result.attempts, result.failure], ["at last", 4, undefined]);
  deepEqual(at, [0, 1_000, 3_000, 7_000]);
  deepEqual(world.invocations.map(({ attempt, status, error }) => [attempt, status, error?.split(": ").at(-1)]), [
    [1, "error", "try 1"],
    [2, "error", "try 2"],
    [3, "error", "try 3"],
    [4, "success", undefined],
  ]);
  equal(result.duration, 7_000);
  deepEqual(world.published, []);
});

Deno.test("where a function says no pause, the first has five seconds", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 2, retryDelay: 0 });
  world.guest = () => ENDS.exit();
  equal((await resultOf(world, world.invoke("shop", "hello"))).duration, 15_000);
});

Deno.test("only what the function itself ended in is tried again", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 2, retryDelay: 10 });
  for (
    const [end, tries] of [
      [ENDS.exit(), 3],
      [ENDS.of("trap"), 3],
      [ENDS.deadline, 1],
      [ENDS.crashed(), 1],
      [ENDS.crashed(true), 1],
      [ENDS.closed, 1],
      [ENDS.of("memory"), 1],
      [ENDS.of("output"), 1],
      [ENDS.of("calls"), 1],
    ] as const
  ) {
    world.guest = () => end;
    equal((await resultOf(world, world.invoke("shop", "hello"))).attempts, tries, JSON.stringify(end));
  }
});

Deno.test("no further try begins a minute after a call that somebody waits for; triggers have five minutes a pause", async () => {
  for (
    const trigger of ["http", "websocket", "route", "function", "cron", "topic", "database"] as InvocationTrigger[]
  ) {
    const world = new World();
    world.deploy("shop", "hello", { retryCount: 9, retryDelay: 20_000 });
    const began = world.clock.monotonic(), at: number[] = [];
    world.guest = () => {
      at.push((world.clock.monotonic() - began) / 1_000);
      return ENDS.exit();
    };
    await resultOf(world, world.invoke("shop", "hello", { trigger }), 20_000);
    const isAwaited = !["cron", "topic", "database"].includes(trigger);
    deepEqual(at, isAwaited ? [0, 20] : [0, 20, 60, 140, 300, 600, 900, 1_200, 1_500, 1_800], trigger);
  }
});

Deno.test("a further try may run for what is left of the minute; a first one, and those of triggers, as long as they may", async () => {
  for (const trigger of ["http", "function", "cron"] as InvocationTrigger[]) {
    const world = new World();
    world.deploy("shop", "hello", { retryCount: 2, retryDelay: 15_000, timeout: 50_000 });
    world.guest = () => ENDS.exit();
    await resultOf(world, world.invoke("shop", "hello", { trigger }), 15_000);
    const times = world.works.map(({ timeout }) => timeout);
    deepEqual(times, trigger === "cron" ? [50_000, 50_000, 50_000] : [50_000, 45_000, 15_000], trigger);
  }
});

Deno.test("a further try that is refused, or cannot be begun, leaves the failure before it as the answer", async () => {
  const refusals = [
    () => refused("busy"),
    () => refused("unavailable"),
    () => refused("forgotten"),
    () => new GatewayError("UNAVAILABLE", "no module"),
    () => new Error("a bug"),
  ];
  for (const refusal of refusals) {
    const world = new World();
    world.deploy("shop", "hello", { retryCount: 5, retryDelay: 100, dlqTopic: "dead" });
    let tries = 0;
    world.guest = () => {
      if (tries++ === 0) return ENDS.exit(7, "the first");
      throw refusal();
    };
    const result = await resultOf(world, world.invoke("shop", "hello"));
    deepEqual([result.attempts, result.failure?.exitCode, tries], [1, 7, 2]);
    equal(world.published.length, 1);
    equal(world.errors.length, refusal() instanceof GatewayError || refusal().name === "CallRefused" ? 0 : 1);
  }
});

Deno.test("a function that was replaced, deleted or made somebody else's while its call paused is not called again", async () => {
  const changes: Record<string, (world: World) => void> = {
    "deleted": (world) => void world.functions.clear(),
    "another one of the name": (world) => void world.deploy("shop", "hello", { isPublic: true }),
    "the control plane is away": (world) =>
      void (world.onResolve = () => {
        throw new GatewayError("UNAVAILABLE", "away");
      }),
    "the namespace is deleted": (world) => world.revoke("shop"),
  };
  for (const [name, change] of Object.entries(changes)) {
    const world = new World();
    world.deploy("shop", "hello", { retryCount: 5, retryDelay: 1_000 });
    world.guest = () => ENDS.exit(7);
    const call = world.invoke("shop", "hello");
    await world.clock.advance(500);
    change(world);
    const result = await resultOf(world, call);
    deepEqual([result.attempts, result.failure?.exitCode, world.works.length], [1, 7, 1], name);
  }
});

Deno.test("a function that became private while its call paused is not called again for a stranger", async () => {
  const world = new World();
  const version = world.deploy("shop", "hello", { retryCount: 5, retryDelay: 1_000, isPublic: true });
  world.guest = () => ENDS.exit();
  const call = world.invoke("shop", "hello", { caller: principalOf("cafe") });
  await world.clock.advance(500);
  world.functions.set("shop/hello", { ...version, isPublic: false });
  equal((await resultOf(world, call)).attempts, 1);
});

Deno.test("a further try calls the version that serves by then", async () => {
  const world = new World();
  const version = world.deploy("shop", "hello", { retryCount: 1, retryDelay: 1_000 });
  world.guest = ({ task }) => task.env.FIXED ? ENDS.done("fixed") : ENDS.exit();
  const call = world.invoke("shop", "hello");
  await world.clock.advance(500);
  world.functions.set("shop/hello", { ...version, version: 2, env: { FIXED: "1" } });
  const result = await resultOf(world, call);
  deepEqual([textOf(result), result.version.version, result.attempts], ["fixed", 2, 2]);
  deepEqual(world.invocations.map((one) => one.version), [1, 2]);
});

Deno.test("whoever leaves in a pause is not called for again, and the call failed for good", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 5, retryDelay: 10_000, dlqTopic: "dead" });
  world.guest = () => ENDS.exit();
  const left = new AbortController();
  const call = world.invoke("shop", "hello", {}, left.signal);
  await world.clock.advance(500);
  left.abort();
  const result = await withinDeadline(call, "the call is over", 5_000);
  deepEqual([result.attempts, world.works.length, world.published.length], [1, 1, 1]);
  equal(world.clock.timers, 0);
});

Deno.test("calls that pause hold bounded memory: of a namespace no more than may wait, and in all so many bytes", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 5, retryDelay: 10_000 });
  world.deploy("cafe", "hello", { retryCount: 5, retryDelay: 10_000 });
  world.rules = { maxInputBytes: 2 ** 30 };
  world.guest = () => ENDS.exit();
  const calls = Array.from({ length: 10 }, () => world.invoke("shop", "hello"));
  await settled();
  equal(world.clock.timers, 4);
  const large = Array.from({ length: 4 }, () => world.invoke("cafe", "hello", { input: new Uint8Array(20 * 2 ** 20) }));
  await settled();
  equal(world.clock.timers, 7);
  await world.invoker.close();
  const results = await Promise.all([...calls, ...large]);
  ok(results.every(({ attempts }) => attempts === 1));
  equal(world.clock.timers, 0);
});

Deno.test("a call that failed for good is told to its topic, in the function's own namespace, with what the older gateways said", async () => {
  const world = new World();
  const { id } = world.deploy("shop", "hello", { retryCount: 1, retryDelay: 1_000, dlqTopic: "dead", isPublic: true });
  world.guest = () => ENDS.exit(1, "no");
  const input = Uint8Array.of(0, 255, 1);
  await resultOf(world, world.invoke("shop", "hello", { input, caller: principalOf("cafe", { wallet: "0xabc" }) }));
  deepEqual(world.published, [{
    namespace: "shop",
    topic: "dead",
    letter: {
      function_id: id,
      function_name: "hello",
      namespace: "shop",
      request_id: "r1",
      input: "AP8B",
      error: "FUNCTION_FAILED: the function ended with exit code 1: no",
      failed_at: new Date(world.published[0]!.letter.failed_at as string).toISOString(),
      trigger_type: "http",
      caller_wallet: "0xabc",
    },
  }]);
  await resultOf(world, world.invoke("shop", "hello", { caller: undefined, trigger: "cron" }));
  const { letter } = world.published[1]!;
  deepEqual(["caller_wallet" in letter, letter.trigger_type], [false, "cron"]);
});

Deno.test("time-outs and unknown outcomes are told as well; a success and a function without a topic are not", async () => {
  const world = new World();
  world.deploy("shop", "hello", { dlqTopic: "dead" });
  world.deploy("shop", "quiet");
  for (const end of [ENDS.deadline, ENDS.crashed(), ENDS.done()]) {
    world.guest = () => end;
    await world.invoke("shop", "hello");
  }
  world.guest = () => ENDS.exit();
  await world.invoke("shop", "quiet");
  deepEqual(world.published.map(({ letter }) => (letter.error as string).split(":")[0]), [
    "FUNCTION_TIMEOUT",
    "OUTCOME_UNKNOWN",
  ]);
});

Deno.test("a dead letter that cannot be published is a line in the function's log, and nothing to the caller", async () => {
  const world = new World();
  world.deploy("shop", "hello", { dlqTopic: "dead" });
  world.guest = () => ENDS.exit(1, "no");
  world.onPublish = () => {
    throw new GatewayError("RATE_LIMITED", "too many messages");
  };
  equal((await world.invoke("shop", "hello")).failure?.code, "FUNCTION_FAILED");
  await settled();
  ok(/dead: RATE_LIMITED: too many messages/.test(world.lines.at(-1)!.message));
  deepEqual(world.errors, []);
  world.onPublish = () => {
    throw new Error("secret particulars");
  };
  await world.invoke("shop", "hello");
  await settled();
  ok(!world.lines.some(({ message }) => message.includes("secret")));
  equal(world.errors.length, 1);
});

Deno.test("a call that pauses ends at once when its namespace is deleted, and tells no topic of it", async () => {
  const world = new World();
  world.deploy("shop", "hello", { dlqTopic: "dead", retryCount: 3, retryDelay: 10_000 });
  world.guest = () => ENDS.exit(7);
  const call = world.invoke("shop", "hello");
  await settled();
  world.revoke("shop");
  equal((await withinDeadline(call, "it is over", 5_000)).failure?.exitCode, 7);
  deepEqual([world.clock.timers, world.published], [0, []]);
});

Deno.test("nothing is published in the name of a namespace that was deleted while its call ran", async () => {
  const world = new World();
  world.deploy("shop", "hello", { dlqTopic: "dead", retryCount: 3, retryDelay: 10 });
  world.guest = () => {
    world.revoke("shop");
    return ENDS.exit();
  };
  equal((await world.invoke("shop", "hello")).attempts, 1);
  await settled();
  deepEqual([world.published, world.forgotten], [[], ["shop"]]);
});

Deno.test("a call that waited for its place does not begin where its function is another one by then", async () => {
  const world = new World();
  const version = world.deploy("shop", "hello");
  const turn = Promise.withResolvers<void>();
  let began = 0;
  const hosts = {
    run: async (work: Parameters<World["guest"]>[0], signal: AbortSignal) => {
      await turn.promise;
      await work.admit?.(signal);
      began++;
      return ENDS.done();
    },
    forget: () => Promise.resolve(),
    figures: world.invoker.figures.bind(world.invoker),
  };
  const waiting = new World({ hosts });
  waiting.functions.set("shop/hello", version);
  waiting.functions.set("shop/kept", { ...version, name: "kept" });
  const replaced = waiting.invoke("shop", "hello"), kept = waiting.invoke("shop", "kept");
  await waiting.clock.advance(5_000);
  waiting.deploy("shop", "hello");
  turn.resolve();
  await rejects(replaced, { code: "NOT_FOUND" });
  await kept;
  const revoked = waiting.invoke("shop", "kept");
  waiting.revoke("shop", 0);
  await rejects(revoked, { code: "NOT_FOUND" });
  equal(began, 1);
});
