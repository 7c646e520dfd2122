import { deepEqual, equal } from "node:assert/strict";
import { CallSocket } from "../../../routes/functions/call_socket.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Invocation, InvocationResult } from "../../../src/contracts/function_invocations.ts";
import { type Principal, SCOPES } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { LiveContext } from "../../../src/http/live/context.ts";
import { principal } from "../auth/support/node.ts";
import { TableAuthenticator } from "../http/support.ts";
import { FakeSocket, liveGateway, RULES } from "../realtime/support/live.ts";
import { FUNCTION_RULES, result } from "./support/workshop.ts";

interface Pending {
  readonly invocation: Invocation;
  readonly context: RequestContext;
  readonly end: (how: InvocationResult | GatewayError) => void;
}

/** A socket of calls, whose calls end when the test says so. */
function callSocket(settings: Parameters<typeof liveGateway>[0] = {}) {
  const live = liveGateway(settings);
  const { connections } = live;
  const shop = principal({ namespace: "shop", scopes: new Set(SCOPES) });
  const authenticator = new TableAuthenticator(new Map([["key", shop]]));
  const pending: Pending[] = [];
  const invocations = {
    invoke: (invocation: Invocation, context: RequestContext) =>
      new Promise<InvocationResult>((resolve, reject) => {
        const end = (how: InvocationResult | GatewayError) => how instanceof GatewayError ? reject(how) : resolve(how);
        pending.push({ invocation, context, end });
      }),
    figures: () => {
      throw new Error("nobody asks");
    },
    health: () => Promise.reject(new Error("nobody asks")),
    close: () => Promise.resolve(),
  };
  const place = connections.enter("function", shop, RULES);
  const context = new LiveContext({ requestId: "r", clientAddress: "192.0.2.1" });
  const socket = new FakeSocket();
  const failures: unknown[] = [];
  const handler = new CallSocket(
    {
      services: { authenticator, connections, invocations },
      called: { name: "resize", reference: "prod" },
      principal: shop,
      credential: "key",
      rules: { functions: FUNCTION_RULES, pubsub: RULES },
      context,
      place,
    },
    socket,
    (error) => failures.push(error),
  );
  const become = (who: Principal | undefined) =>
    who === undefined ? authenticator.known.delete("key") : authenticator.known.set("key", who);
  /** Ends the call that was begun last. */
  const end = async (how: InvocationResult | GatewayError) => {
    pending.at(-1)!.end(how);
    await live.turn();
    await live.turn();
  };
  return { ...live, shop, socket, handler, pending, failures, context, become, end };
}

Deno.test("frames are calls, one after the other, answered in their order", async () => {
  const t = callSocket();
  t.handler.message("one");
  t.handler.message(Uint8Array.of(1, 2).buffer);
  await t.turn();
  equal(t.pending.length, 1);
  const { namespace, name, reference, caller, trigger, depth, input } = t.pending[0]!.invocation;
  deepEqual([namespace, name, reference, caller, trigger, depth], ["shop", "resize", "prod", t.shop, "websocket", 0]);
  equal(new TextDecoder().decode(input), "one");
  await t.end(result('{"a": 1.0}'));
  equal(t.socket.sent.join(), '{"request_id":"r-1","status":"success","duration_ms":12,"output":{"a": 1.0}}');
  deepEqual(t.pending[1]!.invocation.input, Uint8Array.of(1, 2));
  deepEqual(t.pending.map(({ context }) => context.requestId), ["r.1", "r.2"]);
  await t.end(result("{no json"));
  t.handler.message("");
  await t.turn();
  await t.end(result(""));
  deepEqual(t.socket.take().map(({ output }) => output), [{ a: 1 }, "{no json", undefined]);
});

Deno.test("an output is JSON where it is some, whatever it begins with, and within bounds; any other is a text", async () => {
  const t = callSocket();
  const many = `[${Array.from({ length: 20_000 }, () => "{}").join()}]`, deep = "[".repeat(65) + "]".repeat(65);
  const outputs: readonly (readonly [string, unknown])[] = [
    ['"a text"', "a text"],
    ["12.5", 12.5],
    ["true", true],
    ["null", null],
    [' {"a": [1]}\t', { a: [1] }],
    ["\t-1 ", -1],
    ["nothing", "nothing"],
    ['1,"status":"error"', '1,"status":"error"'],
    ['"a', '"a'],
    ["1 2", "1 2"],
    ["NaN", "NaN"],
    [" ", " "],
    [many, many],
    [deep, deep],
  ];
  for (const [output, expected] of outputs) {
    t.handler.message("x");
    await t.turn();
    await t.end(result(output));
    const [answer] = t.socket.take();
    deepEqual([answer!.status, answer!.output], ["success", expected], output.slice(0, 40));
  }
});

Deno.test("a call that fails is answered, and the next one runs", async () => {
  const t = callSocket();
  for (let i = 0; i < 4; i++) t.handler.message("x");
  await t.turn();
  await t.end(result("", { failure: { code: "FUNCTION_TIMEOUT", message: "too long" } }));
  await t.end(result("", { failure: { code: "FUNCTION_TRAPPED", message: "unreachable" } }));
  await t.end(new GatewayError("TOO_MANY_INVOCATIONS", "no place", { retryAfter: 3 }));
  await t.end(result("done"));
  deepEqual(
    t.socket.take().map(({ status, code, error, output, retry_after }) => [status, code, error, output, retry_after]),
    [
      ["timeout", "FUNCTION_TIMEOUT", "too long", undefined, undefined],
      ["error", "FUNCTION_TRAPPED", "unreachable", undefined, undefined],
      ["error", "TOO_MANY_INVOCATIONS", "no place", undefined, 3],
      ["success", undefined, undefined, "done", undefined],
    ],
  );
  deepEqual(t.failures, []);
});

Deno.test("what is not the gateway's to say is not said, and told to the log", async () => {
  const t = callSocket();
  t.handler.message("x");
  await t.turn();
  await t.end(new GatewayError("UNAVAILABLE", "later", { cause: new Error("10.0.0.1 refused") }));
  equal(JSON.stringify(t.socket.take()).includes("10.0.0.1"), false);
  equal(t.failures.length, 1);
});

Deno.test("a frame beyond the limit is refused in its turn, and so is what waits beyond the room", async () => {
  const t = callSocket();
  t.handler.message("first");
  t.handler.message("x".repeat(FUNCTION_RULES.maxInputBytes + 1));
  for (let i = 0; i < 22; i++) t.handler.message("y".repeat(100));
  await t.turn();
  deepEqual([t.pending.length, t.socket.sent.length], [1, 0]);
  await t.end(result("1"));
  deepEqual(t.socket.take().map(({ code }) => code), [undefined, "BODY_TOO_LARGE"]);
  while (t.pending.length < 20) await t.end(result("1"));
  await t.end(result("1"));
  const codes = t.socket.take().map(({ code }) => code);
  equal(codes.filter((code) => code === undefined).length, 19);
  equal(codes.at(-1), "TOO_MANY_INVOCATIONS");
  equal(t.socket.code(), undefined);
});

Deno.test("a frame right behind one that is refused is taken, in whichever turn of promises it comes", async () => {
  for (let turns = 0; turns < 10; turns++) {
    const t = callSocket();
    t.handler.message("x".repeat(FUNCTION_RULES.maxInputBytes + 1));
    for (let i = 0; i < turns; i++) await Promise.resolve();
    t.handler.message("next");
    await t.turn();
    equal(t.pending.length, 1, `${turns} turns later`);
  }
});

Deno.test("a flood ends the socket, and the call that runs with it", async () => {
  const t = callSocket();
  for (let i = 0; i < 2_000; i++) t.handler.message("y");
  await t.turn();
  equal(t.socket.code(), 4429);
  equal(t.pending[0]!.context.signal.aborted, true);
  await t.end(new GatewayError("UNAVAILABLE", "ended"));
  deepEqual([t.socket.sent, t.pending.length], [[], 1]);
  t.handler.closed(4429, false);
  equal(t.connections.figures().open.function, 0);
});

Deno.test("frames that come too fast are refused, and ever more of them end the socket", async () => {
  const t = callSocket({ commandsPerSecond: 1 });
  for (let i = 0; i < 11; i++) t.handler.message("x");
  await t.turn();
  for (let i = 0; i < 10; i++) await t.end(result("1"));
  deepEqual(t.socket.take().map(({ code }) => code).at(-1), "TOO_MANY_INVOCATIONS");
  for (let i = 0; i < 30; i++) t.handler.message("x");
  equal(t.socket.code(), 4429);
});

Deno.test("a credential that is revoked, or may call functions no more, ends the socket", async () => {
  for (const then of [undefined, principal({ namespace: "shop", scopes: new Set(["functions:read"] as const) })]) {
    const t = callSocket();
    t.handler.message("x");
    await t.turn();
    t.become(then);
    await t.pass(1_000);
    equal(t.socket.code(), 4403);
    equal(t.pending[0]!.context.signal.aborted, true);
  }
});

Deno.test("who does not read the answers is let go", async () => {
  const t = callSocket();
  t.socket.reads = false;
  for (let i = 0; i < 20 && t.socket.code() === undefined; i++) {
    t.handler.message("x");
    await t.turn();
    if (t.pending.length > i) await t.end(result("y".repeat(1_000)));
  }
  equal(t.socket.code(), 4409);
});
