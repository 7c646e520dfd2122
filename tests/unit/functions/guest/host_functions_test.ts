import { deepEqual, equal, match } from "node:assert/strict";
import type { GuestCall, GuestReply } from "../../../../services/functions/parts.ts";
import { wasmOf } from "../../../support/wat.ts";
import { command, i32s, i64s, run, runBytes, type RunOptions, start } from "./support/runs.ts";

const encoder = new TextEncoder();
const bytes = (text: string) => encoder.encode(text);

/** Makes the host calls that the lines name, each with its arguments behind tabs, and gives the lines of answers. */
async function calls(lines: readonly string[], answer?: RunOptions["answer"], options: RunOptions = {}) {
  const input = lines.join("\n");
  const ran = runBytes(await wasmOf("calls.wat"), { ...options, input, ...(answer && { answer }) });
  equal(ran.end, "done", ran.message);
  return { ...ran, lines: ran.text.trimEnd().split("\n") };
}

/** What each host call asks of the parent, what that answers, and what the module then gets. */
const CASES: readonly (readonly [line: string, asked: GuestCall, value: GuestReply, got: string])[] = [
  ["db_query\tSELECT 1\t[1]", ["db_query", "SELECT 1", "[1]"], { value: bytes("[]") }, "[]"],
  ["db_query\tSELECT 1", ["db_query", "SELECT 1", ""], { value: null }, "null"],
  ["db_execute\tDELETE", ["db_execute", "DELETE", ""], { value: 7 }, "7"],
  ["db_execute\tDELETE", ["db_execute", "DELETE", ""], { value: 2 ** 40 }, String(2 ** 31 - 1)],
  ["db_transaction\t[]", ["db_transaction", "[]"], { value: bytes("[1]") }, "[1]"],
  ["cache_get\tkey", ["cache_get", "key"], { value: bytes("v") }, "v"],
  ["cache_get\tkey", ["cache_get", "key"], { value: null }, "0"],
  ["cache_set\tkey\tvalue\t60", ["cache_set", "key", bytes("value"), 60], { value: null }, "done"],
  ["cache_delete\tkey", ["cache_delete", "key"], { value: 1 }, "1"],
  ["cache_delete\tkey", ["cache_delete", "key"], { value: 0 }, "0"],
  ["cache_incr\tkey", ["cache_incr", "key", 1n], { value: 5n }, "5"],
  ["cache_incr_by\tkey\t-3", ["cache_incr", "key", -3n], { value: -(2n ** 62n) }, String(-(2n ** 62n))],
  ["cache_incr_by\tkey\t3", ["cache_incr", "key", 3n], { value: 8 }, "8"],
  ["storage_put\tname\tdata", ["storage_put", "name", bytes("data")], { value: bytes("bafk") }, "bafk"],
  ["storage_get\tbafk", ["storage_get", "bafk"], { value: bytes("data") }, "data"],
  ["pubsub_publish\ttopic\tdata", ["pubsub_publish", "topic", bytes("data")], { value: null }, "1"],
  [
    "http_fetch\tGET\thttps://a.example\t{}\tbody",
    ["http_fetch", "GET", "https://a.example", "{}", bytes("body")],
    { value: bytes(`{"status":200}`) },
    `{"status":200}`,
  ],
  ["get_secret\tname", ["get_secret", "name"], { value: bytes("s3cret") }, "s3cret"],
  ["function_invoke\tother@3\tinput", ["function_invoke", "other@3", bytes("input")], { value: bytes("é") }, "é"],
];

for (const [line, asked, reply, got] of CASES) {
  const [name] = line.split("\t");
  Deno.test(`${name} hands over what it was given and gives what was answered: ${got}`, async () => {
    const ran = await calls([line], () => reply);
    deepEqual(ran.asked, [asked]);
    deepEqual(ran.lines, [got]);
    equal(ran.calls, 1);
  });

  Deno.test(`${name} gives 0 for an error, which last_error then tells: ${got}`, async () => {
    const error = { code: "UNAVAILABLE", message: "the back end “is” away" };
    const ran = await calls([line, "last_error"], () => ({ error }));
    deepEqual(ran.lines, [name === "cache_set" ? "done" : "0", JSON.stringify(error)]);
  });
}

Deno.test("what a call knows itself is answered without the parent, and is no host call", async () => {
  const lines = [
    "get_caller_wallet",
    "get_request_id",
    "get_env\tNAME",
    "get_env\tnone",
    "get_env\t__proto__",
    "last_error",
  ];
  const ran = await calls(lines, undefined, { caller: "0xabc", env: { NAME: "välue", EMPTY: "" } });
  deepEqual(ran.lines, ["0xabc", "11111111-2222-4333-8444-555555555555", "välue", "0", "0", "0"]);
  deepEqual([ran.asked, ran.calls], [[], 0]);
});

Deno.test("nobody as a caller is nothing", async () => {
  deepEqual((await calls(["get_caller_wallet"])).lines, ["0"]);
});

Deno.test("last_error is of the last host call: gone after one that went well, and left by what only looks or logs", async () => {
  const answer = ([, key]: GuestCall): GuestReply =>
    key === "bad" ? { error: { code: "X", message: "y" } } : { value: bytes("v") };
  const error = `{"code":"X","message":"y"}`;
  const { lines } = await calls([
    "last_error",
    "cache_get\tbad",
    "log_error\tfailed",
    "get_request_id",
    "last_error",
    "last_error",
    "cache_get\tgood",
    "last_error",
    "cache_get\tbad",
    "get_env\tnone",
    "last_error",
  ], answer);
  deepEqual(lines.filter((_line, at) => [0, 4, 5, 7, 10].includes(at)), ["0", error, error, "0", "0"]);
});

Deno.test("lines are logged with their levels while the call runs, and whatever their bytes are", async () => {
  const { notes } = await calls(["log_debug\ta", "log_info\té", "log_warn\t", "log_error\td"]);
  deepEqual(notes, [
    { level: "debug", message: "a" },
    { level: "info", message: "é" },
    { level: "warn", message: "" },
    { level: "error", message: "d" },
  ]);
  const broken = await start(
    `(i32.store (i32.const 0) (i32.const 0xff4100c3)) (call $env.log_info (i32.const 0) (i32.const 4))`,
  );
  deepEqual(broken.notes, [{ level: "info", message: "\ufffd\0A\ufffd" }]);
});

Deno.test("a text that is no UTF-8 is an error with a code, and is not asked", async () => {
  const ran = await start(`
    (i32.store (i32.const 0) (i32.const 0x41ff41))
    (call $i64 (call $env.cache_get (i32.const 0) (i32.const 3)))
    (call $bytes (call $env.last_error))`);
  equal(ran.end, "done", ran.message);
  deepEqual(ran.asked, []);
  equal(ran.text.slice(8), `{"code":"INVALID_UTF8","message":"a text must be UTF-8"}`);
});

Deno.test("a text keeps its byte order mark", async () => {
  const ran = await start(`
    (i32.store (i32.const 0) (i32.const 0x41bfbbef))
    (drop (call $env.cache_get (i32.const 0) (i32.const 4)))`);
  deepEqual(ran.asked, [["cache_get", "\ufeffA"]]);
});

Deno.test("more bytes than a host call takes are refused before they are sent", async () => {
  const text = command(`
    (drop (memory.grow (i32.const 300)))
    (call $i64 (call $env.storage_put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 16777216)))
    (call $bytes (call $env.last_error))
    (call $i64 (call $env.storage_put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 16777215)))`).replace(
    "1 8",
    "1 400",
  );
  const ran = await run(text, { limits: { pages: 400 } });
  match(ran.text, /"code":"INVALID_REQUEST"/);
  equal(ran.asked.length, 1);
});

Deno.test("seconds and amounts arrive as they are, also absurd ones", async () => {
  const ran = await start(`
    (call $env.cache_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i64.const -5))
    (drop (call $env.cache_incr_by (i32.const 0) (i32.const 1) (i64.const 0x8000000000000000)))`);
  deepEqual(ran.asked, [["cache_set", "\0", new Uint8Array(0), -5], ["cache_incr", "\0", -(2n ** 63n)]]);
});

Deno.test("host and env are the same, and share their errors", async () => {
  const ran = await start(
    `
    (drop (call $host.cache_get (i32.const -1) (i32.const 9)))
    (call $bytes (call $env.last_error))`,
  );
  match(ran.text, /INVALID_POINTER/);
});

Deno.test("a plug-in makes the same calls with blocks", async () => {
  const ran = await run(
    `
    (memory (export "memory") 1 1)
    (func $block (param $byte i32) (result i64) (local $at i64)
      (call $extism.store_u8 (local.tee $at (call $extism.alloc (i64.const 1))) (local.get $byte))
      (local.get $at))
    (func (export "handle") (local $got i64)
      (drop (call $user.db_execute (call $block (i32.const 65)) (i64.const 0)))
      (call $user.cache_set (call $block (i32.const 66)) (call $block (i32.const 67)) (i64.const 9))
      (drop (call $user.cache_get (i64.const 12345)))
      (call $user.log_warn (call $user.last_error))
      (local.set $got (call $user.cache_get (call $block (i32.const 68))))
      (call $extism.output_set (local.get $got) (call $extism.length (local.get $got))))`,
    { abi: "extism", answer: ([name]) => ({ value: name === "cache_get" ? bytes("from the cache") : null }) },
  );
  equal(ran.end, "done", ran.message);
  deepEqual(ran.asked, [["db_execute", "A", ""], ["cache_set", "B", bytes("C"), 9], ["cache_get", "D"]]);
  equal(ran.text, "from the cache");
  match(ran.notes[0]!.message, /^{"code":"INVALID_POINTER","message":"an offset at which no block begins"}$/);
});

Deno.test("numbers come back as numbers: i32 and i64 both ways", async () => {
  const ran = await start(
    `(call $i32 (call $env.cache_delete (i32.const 0) (i32.const 0)))
     (call $i32 (call $env.db_execute (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))`,
    { answer: ([name]) => ({ value: name === "db_execute" ? 3 : 1 }) },
  );
  deepEqual(i32s(ran), [1, 3]);
  const wide = await start(`(call $i64 (call $env.cache_incr (i32.const 0) (i32.const 0)))`, {
    answer: () => ({ value: 2n ** 63n - 1n }),
  });
  deepEqual(i64s(wide), [2n ** 63n - 1n]);
});
