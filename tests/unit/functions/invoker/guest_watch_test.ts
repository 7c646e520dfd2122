import { deepEqual, equal, ok } from "node:assert/strict";
import type { HostWork } from "../../../../services/functions/hosts/contract.ts";
import type { GuestReply } from "../../../../services/functions/parts.ts";
import { settled } from "../../cache/support/fake_clock.ts";
import { ENDS, World } from "./support/invoker.ts";

/** Calls a function whose guest does something to its listener. */
async function called(world: World, act: (work: HostWork) => Promise<void> | void): Promise<void> {
  world.deploy("shop", "hello");
  world.guest = async (work) => {
    await act(work);
    return ENDS.done();
  };
  await world.invoke("shop", "hello", { depth: 2 });
}

const codeOf = (reply: GuestReply) => "error" in reply ? reply.error.code : undefined;

Deno.test("host calls are made in the name of the function's namespace, with one scope for each call, which ends with it", async () => {
  const world = new World();
  await called(world, async ({ listener }) => {
    await listener.call(["cache_get", "a"]);
    await listener.call(["cache_get", "b"]);
  });
  await called(world, async ({ listener }) => void await listener.call(["cache_get", "c"]));
  const [a, b, c] = world.performed.map(({ scope }) => scope);
  ok(a === b && a !== c);
  const { namespace, functionName, requestId, traceparent, depth, signal } = a!;
  deepEqual([namespace, functionName, requestId, traceparent, depth], ["shop", "hello", "r1", "00-1", 2]);
  ok(signal.aborted);
});

Deno.test("a host that broke out makes no more calls than may be, and none when its call is over", async () => {
  const world = new World();
  let kept: HostWork | undefined;
  const replies: (string | undefined)[] = [];
  await called(world, async (work) => {
    kept = work;
    for (let i = 0; i < 15; i++) replies.push(codeOf(await work.listener.call(["cache_get", `${i}`])));
  });
  deepEqual(replies, [...Array(10).fill(undefined), ...Array(5).fill("FUNCTION_CALLS_EXCEEDED")]);
  equal(codeOf(await kept!.listener.call(["cache_get", "late"])), "UNAVAILABLE");
  equal(world.performed.length, 10);
});

Deno.test("no host call is made in the name of a namespace that was deleted, and the one that is being made ends", async () => {
  const world = new World();
  world.perform = (_call, { signal }) =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve({ value: null })));
  await called(world, async ({ listener }) => {
    const first = listener.call(["db_query", "SELECT 1", ""]);
    await settled();
    world.revoke("cafe");
    equal(world.performed[0]!.scope.signal.aborted, false);
    world.revoke("shop");
    await first;
    equal(codeOf(await listener.call(["db_query", "SELECT 1", ""])), "UNAVAILABLE");
  });
  equal(world.performed.length, 1);
});

Deno.test("host calls are timed by names that are known, whatever a host sends", async () => {
  const world = new World();
  world.perform = (call) =>
    Promise.resolve(
      Array.isArray(call) && call[0] === "get_secret" ? { error: { code: "X", message: "" } } : { value: 1 },
    );
  const sent = [["cache_get", "a"], ["get_secret", "a"], ["evil\n{}"], ["constructor"], [{}], "cache_get", null, 7, {
    0: "cache_get",
  }];
  await called(world, async ({ listener }) => {
    for (const call of sent) await listener.call(call);
  });
  const counted = world.events.flatMap((event) => event.kind === "call" ? [[event.name, event.ok]] : []);
  deepEqual(counted, [["cache_get", true], ["get_secret", false], ...Array(7).fill(["unknown", true])]);
});

Deno.test("a bug in a host call is told to whoever runs the gateway, and not to the function", async () => {
  const world = new World();
  world.perform = () => Promise.reject(new Error("secret particulars"));
  await called(world, async ({ listener }) => {
    deepEqual(await listener.call(["cache_get", "a"]), { error: { code: "INTERNAL", message: "internal error" } });
  });
  equal(world.errors.length, 1);
});

Deno.test("lines are kept up to the limit, with a word that there were more, and none when the call is over", async () => {
  const world = new World();
  let kept: HostWork | undefined;
  await called(world, (work) => {
    kept = work;
    for (let i = 0; i < 1_000; i++) work.listener.note({ level: "debug", message: "x".repeat(100) });
  });
  const lines = world.lines.length;
  // 2,000 bytes, and what a host may say beyond them.
  ok(lines > 20 && lines <= 29, String(lines));
  deepEqual([world.lines.at(-1)!.level, world.lines.at(-1)!.message], [
    "warn",
    "further lines of this call were dropped",
  ]);
  kept!.listener.note({ level: "info", message: "late" });
  equal(world.lines.length, lines);
});

Deno.test("lines without text are not for nothing", async () => {
  const world = new World();
  await called(world, ({ listener }) => {
    for (let i = 0; i < 100_000; i++) listener.note({ level: "info", message: "" });
  });
  ok(world.lines.length < 400, String(world.lines.length));
});

Deno.test("each try of a call may log and call as much as the first", async () => {
  const world = new World();
  world.deploy("shop", "hello", { retryCount: 1, retryDelay: 1 });
  world.guest = async ({ listener }) => {
    for (let i = 0; i < 10; i++) await listener.call(["cache_get", "a"]);
    listener.note({ level: "info", message: "said" });
    return ENDS.exit();
  };
  const call = world.invoke("shop", "hello");
  await settled();
  await world.clock.advance(1);
  equal((await call).attempts, 2);
  equal(world.performed.length, 20);
  equal(world.lines.filter(({ message }) => message === "said").length, 2);
});
