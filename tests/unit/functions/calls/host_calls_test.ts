import { deepEqual, equal, ok } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { GuestReply } from "../../../../services/functions/parts.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { randomFrom } from "../../cache/support/random.ts";
import { Calls, refused, resultOf, scopeOf, textOf, utf8, valueOf } from "./support/calls.ts";

Deno.test("a secret is the namespace's own, or nothing", async () => {
  await using calls = await Calls.start();
  calls.secrets.set("shop/TOKEN", "söme").set("shop-2/OTHER", "theirs").set("shop/EMPTY", "");
  equal(textOf(await calls.perform("get_secret", "TOKEN")), "söme");
  equal(textOf(await calls.perform("get_secret", "EMPTY")), "");
  for (const name of ["token", "OTHER", "", "__proto__"]) equal(valueOf(await calls.perform("get_secret", name)), null);
  refused(await calls.perform("get_secret", "N".repeat(2_000)), "INVALID_REQUEST", "name: ");
});

Deno.test("another function is called in the namespace's name, one deeper, within the caller's time", async () => {
  await using calls = await Calls.start();
  calls.invoke = () => resultOf("answer");
  const scope = scopeOf({ depth: 3, traceparent: "00-trace" });
  const reply = await calls.performer().perform(["function_invoke", "other@prod", utf8("input")], scope);
  equal(textOf(reply), "answer");
  const [{ invocation, context }] = calls.invoked as [typeof calls.invoked[0]];
  deepEqual(invocation, {
    namespace: "shop",
    name: "other",
    reference: "prod",
    input: utf8("input"),
    trigger: "function",
    caller: "namespace",
    depth: 4,
  });
  deepEqual([context.signal, context.traceparent, context.requestId], [scope.signal, "00-trace", "req-1"]);
  await calls.perform("function_invoke", "other", utf8(""));
  equal(calls.invoked[1]!.invocation.reference, undefined);
});

Deno.test("a function that fails, or cannot be called, is an error with its code", async () => {
  await using calls = await Calls.start();
  calls.invoke = () => resultOf("half", { code: "FUNCTION_TRAPPED", message: "unreachable" });
  refused(await calls.perform("function_invoke", "other", utf8("")), "FUNCTION_TRAPPED", "other: unreachable");
  calls.invoke = () => {
    throw new GatewayError("INVOCATION_TOO_DEEP", "functions call each other more than 8 deep");
  };
  refused(await calls.perform("function_invoke", "other", utf8("")), "INVOCATION_TOO_DEEP", "8 deep");
});

Deno.test("a result is given up to a bound, and is an error beyond it", async () => {
  await using calls = await Calls.start();
  const invoked = async (length: number) => {
    calls.invoke = () => ({ ...resultOf(""), output: new Uint8Array(length) });
    return await calls.perform("function_invoke", "other", utf8(""));
  };
  const value = valueOf(await invoked(16 * 2 ** 20));
  equal(value instanceof Uint8Array && value.length, 16 * 2 ** 20);
  refused(await invoked(16 * 2 ** 20 + 1), "RESULT_TOO_LARGE", "the result has more than");
});

Deno.test("no spelling names a function of another namespace", async () => {
  await using calls = await Calls.start();
  const spellings = [
    "",
    " ",
    ".",
    "..",
    "@",
    "@1",
    "other@",
    "other@1@2",
    "other@../x",
    "shop-2/other",
    "/shop-2/other",
    "shop-2:other",
    "../shop-2/other",
    "shop-2%2fother",
    "shop-2\\other",
    "shop-2\0other",
    "other\0",
    "other\n",
    "other?namespace=shop-2",
    "other#shop-2",
    "shop-2∕other",
    "ｓｈｏｐ",
    "other@prod/../../x",
    "a".repeat(65),
    "a".repeat(5_000),
    "\ud800",
  ];
  for (const name of spellings) {
    refused(await calls.perform("function_invoke", name, utf8("")), "INVALID_REQUEST", "name: ");
  }
  equal(calls.invoked.length, 0);
  for (const name of ["shop-2.other", "shop-2..other", "shop-2-other"]) {
    await calls.perform("function_invoke", name, utf8(""));
  }
  deepEqual(calls.invoked.map(({ invocation }) => invocation.namespace), ["shop", "shop", "shop"]);
});

Deno.test("a call that hangs ends with the function's, and nothing is performed afterwards", async () => {
  await using calls = await Calls.start();
  calls.invoke = () => new Promise(() => {});
  const call = new AbortController();
  const scope = scopeOf({ signal: call.signal });
  const performer = calls.performer({ secretOf: () => new Promise<never>(() => {}) });
  const hangs = awaitedLater(performer.perform(["get_secret", "x"], scope));
  call.abort(new GatewayError("STATEMENT_TIMEOUT", "its own words"));
  refused(await hangs, "STATEMENT_TIMEOUT", "its own words");
  refused(await performer.perform(["cache_incr", "n", 1n], scope), "STATEMENT_TIMEOUT");
  equal(valueOf(await calls.perform("cache_get", "n")), null);
});

Deno.test("what a call ends in after its function has ended is nobody's uncaught error", async () => {
  await using calls = await Calls.start();
  const secret = Promise.withResolvers<string>();
  const call = new AbortController();
  const hangs = calls.performer({ secretOf: () => secret.promise })
    .perform(["get_secret", "x"], scopeOf({ signal: call.signal }));
  call.abort();
  refused(await hangs, "UNAVAILABLE", "the call of the function has ended");
  secret.reject(new Error("too late"));
  await new Promise((resolve) => setTimeout(resolve));
  deepEqual(calls.errors, []);
});

Deno.test("a function makes one call at a time; its neighbours are not in the way", async () => {
  await using calls = await Calls.start();
  const secret = Promise.withResolvers<string>();
  const performer = calls.performer({ secretOf: () => secret.promise });
  const scope = scopeOf();
  const first = awaitedLater(performer.perform(["get_secret", "x"], scope));
  refused(await performer.perform(["cache_incr", "n", 1n], scope), "INVALID_REQUEST", "not done yet");
  equal(valueOf(await performer.perform(["cache_incr", "n", 1n], scopeOf())), 1n);
  secret.resolve("value");
  equal(textOf(await first), "value");
  equal(valueOf(await performer.perform(["cache_incr", "n", 1n], scope)), 2n);
});

Deno.test("what is wrong with the gateway is logged with the request, and told as nothing else", async () => {
  await using calls = await Calls.start();
  const bug = new Error("SELECT * FROM /var/lib/secret");
  const performer = calls.performer({
    secretOf: () => {
      throw bug;
    },
  });
  equal(refused(await performer.perform(["get_secret", "x"], scopeOf()), "INTERNAL"), "internal error");
  deepEqual(calls.errors, [["req-1", bug]]);
});

const NAMES = [
  ...["db_query", "db_execute", "db_transaction", "cache_get", "cache_set", "cache_incr", "cache_delete"],
  ...["storage_put", "storage_get", "pubsub_publish", "http_fetch", "get_secret", "function_invoke"],
];

/** Whatever a message may hold, chosen by chance. */
function anything(random: () => number, depth = 0): unknown {
  const pick = <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  switch (pick(0, 0, 0, 1, 2, 3, 4, 5, 6, 7)) {
    case 0:
      return pick(...NAMES, "", "k", "n@1", "SELECT 1", "[1]", `{"a":"b"}`, `[{"sql":"SELECT 1"}]`, "[".repeat(5_000));
    case 1:
      return pick(0, -1, 1.5, NaN, Infinity, 2 ** 60);
    case 2:
      return pick(0n, -1n, 2n ** 63n, -(10n ** 39n));
    case 3:
      return new Uint8Array(pick(0, 1, 1_000));
    case 4:
      return pick<unknown>(null, undefined, true, false);
    case 5:
      return pick("\0", "\ud800", "x".repeat(100_000), "../..", "__proto__", "constructor", "toString");
    case 6:
      return depth > 3 ? [] : Array.from({ length: pick(0, 1, 2, 3, 5) }, () => anything(random, depth + 1));
    default:
      return depth > 3 ? {} : { [pick("a", "length", "0", "then", "toJSON")]: anything(random, depth + 1) };
  }
}

/** That it is one that a host understands. */
function isWellFormed(reply: GuestReply, call: unknown): void {
  const told = Deno.inspect(call, { depth: 3, strAbbreviateSize: 80 });
  if ("error" in reply) {
    const { code, message } = reply.error;
    ok(/^[A-Z_]+$/.test(code) && code !== "INTERNAL" && message.length > 0, `${code} for ${told}`);
  } else {
    const { value } = reply;
    ok(value === null || value instanceof Uint8Array || ["number", "bigint"].includes(typeof value), told);
  }
}

Deno.test("whatever comes from a host, the answer is a value or an error", async () => {
  await using calls = await Calls.start();
  calls.invoke = () => resultOf("x");
  const performer = calls.performer();
  const strange = [undefined, null, "db_query", 7, {}, [], [[]], [null], ["get_env", "x"], ["log_info", "x"], [
    "get_secret",
  ]];
  for (
    const call of [...strange, ["get_secret", "a", "b"], ["constructor", "a"], { 0: "get_secret", 1: "x", length: 2 }]
  ) {
    refused(await performer.perform(call, scopeOf()), "INVALID_REQUEST", "call: ");
  }
  const random = randomFrom(20_261_122);
  for (let i = 0; i < 3_000; i++) {
    const name = NAMES[Math.floor(random() * NAMES.length)]!;
    const values = Array.from({ length: Math.floor(random() * 6) }, () => anything(random));
    const call = random() < 0.1 ? anything(random) : [name, ...values];
    isWellFormed(await performer.perform(call, scopeOf()), call);
  }
  deepEqual(calls.errors, []);
});

Deno.test("values of the right kinds that nobody checks are well answered, too", async () => {
  await using calls = await Calls.start();
  calls.invoke = () => resultOf("x");
  const performer = calls.performer();
  const random = randomFrom(7);
  const pick = <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const text = () =>
    pick(
      "",
      "k",
      "t@1",
      "[]",
      "[1,null]",
      "SELECT 1",
      "SELECT ?",
      "PRAGMA user_version=1",
      "\0",
      "\ud800",
      "é".repeat(200),
    ) +
    pick("", "", "\x7f", "%00", "/", "'");
  const bytes = () => new Uint8Array(pick(0, 1, 70_000));
  const SHAPES: Readonly<Record<string, () => readonly unknown[]>> = {
    db_query: () => [text(), text()],
    db_execute: () => [text(), text()],
    db_transaction: () => [pick(text(), JSON.stringify([{ sql: text(), args: [text()] }]))],
    cache_get: () => [text()],
    cache_delete: () => [text()],
    cache_set: () => [text(), bytes(), pick(0, 1, 0.001, 1e300)],
    cache_incr: () => [text(), pick(0n, -1n, 2n ** 52n)],
    storage_put: () => [text(), bytes()],
    storage_get: () => [text()],
    pubsub_publish: () => [text(), bytes()],
    http_fetch: () => [text(), pick(text(), "http://[::1", "https://é/"), text(), bytes()],
    get_secret: () => [text()],
    function_invoke: () => [text(), bytes()],
  };
  for (let i = 0; i < 600; i++) {
    const name = pick(...Object.keys(SHAPES));
    const call = [name, ...SHAPES[name]!()];
    isWellFormed(await performer.perform(call, scopeOf()), call);
  }
  deepEqual(calls.errors, []);
});
