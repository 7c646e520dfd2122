import { deepEqual, equal, match, ok } from "node:assert/strict";
import { wasmOf } from "../../../support/wat.ts";
import { run, runBytes, type RunOptions } from "./support/runs.ts";

/** Runs the body of `handle` of a plug-in with helpers. */
const plugIn = (body: string, options: RunOptions = {}, more = "") =>
  run(
    `
    (memory (export "memory") 1 4)
    ;; A block with so many bytes, all the same.
    (func $fill (param $byte i32) (param $length i64) (result i64) (local $at i64) (local $i i64)
      (local.set $at (call $extism.alloc (local.get $length)))
      (if (i64.eqz (local.get $at)) (then (return (i64.const 0))))
      (block (loop
        (br_if 1 (i64.ge_u (local.get $i) (local.get $length)))
        (call $extism.store_u8 (i64.add (local.get $at) (local.get $i)) (local.get $byte))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br 0)))
      (local.get $at))
    (func $byte (param $byte i32) (result i64) (call $fill (local.get $byte) (i64.const 1)))
    (func $answer (param $block i64)
      (call $extism.output_set (local.get $block) (call $extism.length (local.get $block))))
    (func $i64 (param $value i64) (local $at i64)
      (call $extism.store_u64 (local.tee $at (call $extism.alloc (i64.const 8))) (local.get $value))
      (call $extism.output_set (local.get $at) (i64.const 8)))
    ${more}
    (func (export "handle") ${body})`,
    { abi: "extism", ...options },
  );

/** The number that a plug-in answered. */
const number = async (body: string, options: RunOptions = {}) => {
  const ran = await plugIn(`(call $i64 ${body})`, options);
  equal(ran.end, "done", ran.message);
  return new BigUint64Array(ran.output.slice().buffer)[0];
};

Deno.test("input arrives and an answer leaves, byte for byte", async () => {
  const echo = await wasmOf("extism_echo.wat");
  for (const length of [0, 1, 7, 8, 9, 100, 65_536, 999_999]) {
    const input = new Uint8Array(length).map((_, at) => at * 7);
    const ran = runBytes(echo, { abi: "extism", input });
    deepEqual([ran.end, ran.output.length], ["done", length], ran.message);
    deepEqual(ran.output, input);
  }
});

Deno.test("input can be read as a block, too, and no further than its end", async () => {
  const input = "abcdefghij";
  equal(await number("(call $extism.load_u64 (call $extism.input_offset))", { input }), 0x6867666564636261n);
  equal(await number("(call $extism.length (call $extism.input_offset))", { input }), 10n);
  equal(await number("(call $extism.input_load_u64 (i64.const 2))", { input }), 0x6a69686766656463n);
  equal(await number("(call $extism.input_load_u64 (i64.const 3))", { input }), 0n);
  equal(await number("(call $extism.input_load_u64 (i64.const -1))", { input }), 0n);
  equal(await number("(i64.extend_i32_u (call $extism.input_load_u8 (i64.const 9)))", { input }), 0x6an);
  for (const at of ["10", "-1", "0x7fffffffffffffff"]) {
    equal(await number(`(i64.extend_i32_u (call $extism.input_load_u8 (i64.const ${at})))`, { input }), 0n);
  }
  equal(await number("(call $extism.input_offset)"), 0n);
});

Deno.test("blocks are places in one memory: what lies within has an offset, what lies outside is 0 and stays so", async () => {
  const ran = await plugIn(`
    (local $block i64)
    (local.set $block (call $fill (i32.const 65) (i64.const 32)))
    (call $extism.store_u8 (i64.add (local.get $block) (i64.const 31)) (i32.const 0x142))
    (call $extism.store_u64 (i64.add (local.get $block) (i64.const 3)) (i64.const 0x4343434343434343))
    (call $extism.output_set (i64.add (local.get $block) (i64.const 2)) (i64.const 30))`);
  equal(ran.text, "ACCCCCCCC" + "A".repeat(20) + "B");
  for (const at of [0, 1, 15, -1, -8, 100_000]) {
    equal(
      await number(
        `(i64.or (call $extism.load_u64 (i64.const ${at})) (i64.extend_i32_u (call $extism.load_u8 (i64.const ${at}))))`,
      ),
      0n,
    );
    equal(
      (await plugIn(
        `(call $extism.store_u64 (i64.const ${at}) (i64.const -1)) (call $extism.store_u8 (i64.const ${at}) (i32.const 1))`,
      )).end,
      "done",
    );
  }
});

Deno.test("the length of a block is that of its beginning alone", async () => {
  equal(await number("(call $extism.length (call $extism.alloc (i64.const 77)))"), 77n);
  equal(await number("(call $extism.length_unsafe (call $extism.alloc (i64.const 77)))"), 77n);
  for (const at of ["(i64.const 0)", "(i64.const -1)", "(i64.add (call $extism.alloc (i64.const 77)) (i64.const 1))"]) {
    equal(await number(`(call $extism.length ${at})`), 0n);
    equal(await number(`(call $extism.length_unsafe ${at})`), 0n);
  }
  equal(await number("(call $extism.alloc (i64.const 0))"), 0n);
});

Deno.test("a block that was given back is taken again; twice, or one that is none, is no harm", async () => {
  const ran = await plugIn(`
    (local $first i64) (local $i i32)
    (local.set $first (call $extism.alloc (i64.const 1000)))
    (loop
      (call $extism.free (local.get $first))
      (call $extism.free (local.get $first))
      (call $extism.free (i64.const 12345))
      (call $extism.free (i64.const -1))
      (if (i64.ne (call $extism.alloc (i64.const 1000)) (local.get $first)) (then unreachable))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
    (if (i64.eq (call $extism.alloc (i64.const 1000)) (local.get $first)) (then unreachable))`);
  equal(ran.end, "done", ran.message);
  equal(
    await number(
      "(block (result i64) (call $extism.free (call $extism.input_offset)) (call $extism.input_length))",
      { input: "abc" },
    ),
    0n,
  );
});

Deno.test("blocks take as much as the memory of a call may have, and not more", async () => {
  const count = (length: number) => `
    (local $i i64)
    (block (loop
      (br_if 1 (i64.eqz (call $extism.alloc (i64.const ${length}))))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br 0)))
    (call $extism.free (i64.const 16))
    (call $i64 (local.get $i))`;
  const counted = async (length: number, input = "") => {
    const ran = await plugIn(count(length), { limits: { pages: 16 }, input });
    return new BigUint64Array(ran.output.slice().buffer)[0] ?? ran.end;
  };
  equal(await counted(65_536), 16n);
  equal(await counted(65_536, "x".repeat(100_000)), 16n, "the input is beside it");
  equal(await counted(2 ** 20), 1n);
  for (const length of ["1048577", "-1", "0x7fffffffffffffff"]) {
    equal(await number(`(call $extism.alloc (i64.const ${length}))`, { limits: { pages: 16 } }), 0n);
  }
  const many = await plugIn(count(1), { limits: { pages: 64 } });
  equal(new BigUint64Array(many.output.slice().buffer)[0], 65_536n, "blocks of a byte are counted");
});

Deno.test("a thousand blocks of 16 MiB take no more of the process than they may", async () => {
  const before = Deno.memoryUsage().rss;
  const ran = await plugIn(
    `
    (local $i i32)
    (loop
      (drop (call $extism.alloc (i64.const 16777216)))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))`,
    {
      limits: { pages: 1_024 },
    },
  );
  equal(ran.end, "done");
  ok(Deno.memoryUsage().rss - before < 200e6);
});

Deno.test("what is set as an answer outside of the blocks, or is too long, ends the call", async () => {
  for (const [offset, length] of [[0, 1], [16, 1], [-1, 1], [-1, 2]]) {
    const ran = await plugIn(`(call $extism.output_set (i64.const ${offset}) (i64.const ${length}))`);
    deepEqual([ran.end, ran.message], ["trap", "output_set: no block of the plug-in is there"]);
  }
  for (const length of ["101", "-1"]) {
    const ran = await plugIn(
      `(try (do (call $extism.output_set (call $extism.alloc (i64.const 101)) (i64.const ${length}))) (catch_all))`,
      {
        limits: { output: 100 },
      },
    );
    equal(ran.end, "output");
  }
  equal((await plugIn("(call $extism.output_set (i64.const 0) (i64.const 0))")).end, "done");
});

Deno.test("an answer is what stands there at the end, and the last that was set", async () => {
  const ran = await plugIn(`
    (local $block i64)
    (call $answer (call $fill (i32.const 90) (i64.const 50)))
    (local.set $block (call $fill (i32.const 65) (i64.const 3)))
    (call $answer (local.get $block))
    (call $extism.store_u8 (local.get $block) (i32.const 66))
    (call $extism.free (local.get $block))`);
  equal(ran.text, "BAA");
});

Deno.test("an error with its words is a failure, with what was returned or 1; 0 takes it back", async () => {
  const failing = `(call $extism.error_set (call $fill (i32.const 33) (i64.const 4)))`;
  const ran = await plugIn(`(call $answer (call $byte (i32.const 65))) ${failing}`);
  deepEqual([ran.end, ran.exitCode, ran.message, ran.output.length], ["exit", 1, "!!!!", 0]);
  const coded = await run(`(func (export "handle") (result i32) (i32.const -3))`, { abi: "extism" });
  deepEqual([coded.end, coded.exitCode, coded.message], ["exit", -3, ""]);
  equal((await plugIn(`${failing} (call $extism.error_set (i64.const 0))`)).end, "done");
  const wrong = await plugIn("(call $extism.error_set (i64.const 12345))");
  deepEqual([wrong.end, wrong.message], ["trap", "error_set: no block of the plug-in is there"]);
  const long = await plugIn("(call $extism.error_set (call $fill (i32.const 33) (i64.const 100000)))");
  equal(long.message.length, 16_384);
  const bytes = runBytes(await wasmOf("extism_error.wat"), { abi: "extism" });
  deepEqual([bytes.end, bytes.exitCode], ["exit", 1], bytes.message);
});

Deno.test("an entry may return anything", async () => {
  const entry = (type: string, body: string) =>
    run(`(func (export "handle") (result ${type}) ${body})`, { abi: "extism" });
  for (
    const [type, body, end] of [
      ["i64", "(i64.const 0)", "done"],
      ["i64", "(i64.const 0x100000000)", "exit"],
      ["f64", "(f64.const nan)", "done"],
      ["f32", "(f32.const 2.5)", "exit"],
      ["externref", "(ref.null extern)", "done"],
      ["funcref", "(ref.null func)", "done"],
      ["i32 i32", "(i32.const 1) (i32.const 1)", "done"],
    ] as const
  ) equal((await entry(type, body)).end, end, type);
});

Deno.test("_initialize runs before the entry; an entry that is not there is said", async () => {
  const ran = await plugIn(
    "(call $answer (call $byte (global.get $ready)))",
    {},
    `
    (global $ready (mut i32) (i32.const 65))
    (func (export "_initialize") (global.set $ready (i32.const 66)))`,
  );
  equal(ran.text, "B");
  const missing = await run(`(memory (export "other") 1 1)`, { abi: "extism", entry: "other" });
  deepEqual([missing.end, missing.message], ["link", `the module exports no function "other"`]);
  equal(
    (await run(`(func (export "_initialize") unreachable) (func (export "handle"))`, { abi: "extism" })).end,
    "trap",
  );
  equal((await run(`(func (export "__proto__"))`, { abi: "extism", entry: "__proto__" })).end, "done");
});

Deno.test("configuration is what get_env gives, and nothing else", async () => {
  const read = (byte: number) => `(call $answer (call $extism.config_get (call $byte (i32.const ${byte}))))`;
  const env = { A: "välue", B: "" };
  equal((await plugIn(read(65), { env })).text, "välue");
  for (const byte of [66, 67]) {
    equal(await number(`(call $extism.config_get (call $byte (i32.const ${byte})))`, { env }), 0n);
  }
  match((await plugIn("(drop (call $extism.config_get (i64.const 5)))")).message, /^config_get: no block/);
  const broken = await plugIn("(drop (call $extism.config_get (call $byte (i32.const 255))))");
  equal(broken.end, "done");
});

Deno.test("variables are remembered, replaced and forgotten, as copies", async () => {
  const ran = await plugIn(`
    (local $value i64)
    (local.set $value (call $byte (i32.const 65)))
    (call $extism.var_set (call $byte (i32.const 107)) (local.get $value))
    (call $extism.store_u8 (local.get $value) (i32.const 66))
    (call $answer (call $extism.var_get (call $byte (i32.const 107))))
    (call $extism.var_set (call $byte (i32.const 108)) (local.get $value))
    (call $extism.var_set (call $byte (i32.const 108)) (i64.const 0))
    (if (i64.ne (call $extism.var_get (call $byte (i32.const 108))) (i64.const 0)) (then unreachable))`);
  deepEqual([ran.end, ran.text], ["done", "A"], ran.message);
  match((await plugIn("(call $extism.var_set (i64.const 5) (i64.const 0))")).message, /^var_set: no block/);
  match(
    (await plugIn("(call $extism.var_set (call $byte (i32.const 107)) (i64.const 5))")).message,
    /^var_set: no block/,
  );
  match((await plugIn("(drop (call $extism.var_get (i64.const 0)))")).message, /^var_get: no block/);
});

Deno.test("variables have room for 1 MiB, names and their number included", async () => {
  const set = (key: number, length: number) =>
    `(call $extism.var_set (call $byte (i32.const ${key})) (call $extism.alloc (i64.const ${length})))`;
  equal((await plugIn(set(65, 1_000_000) + set(65, 1_000_000) + set(65, 10) + set(66, 1_000_000))).end, "done");
  const full = await plugIn(`(try (do ${set(65, 600_000) + set(66, 600_000)}) (catch_all))`);
  deepEqual([full.end, full.message], ["trap", "the variables of the plug-in have no room for more"]);
  const empty = await plugIn(`
    (local $i i64) (local $name i64)
    (local.set $name (call $extism.alloc (i64.const 8)))
    (loop
      (call $extism.store_u64 (local.get $name) (i64.and (local.get $i) (i64.const 0x7f7f7f7f7f7f7f7f)))
      (call $extism.var_set (local.get $name) (local.get $name))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br 0))`);
  match(empty.message, /have no room/);
});

Deno.test("HTTP is a host call, and who asks for it otherwise is told so", async () => {
  const ran = await plugIn(`
    (if (i64.ne (call $extism.http_request (i64.const 0) (i64.const 0)) (i64.const 0)) (then unreachable))
    (if (call $extism.http_status_code) (then unreachable))
    (if (i64.ne (call $extism.http_headers) (i64.const 0)) (then unreachable))
    (call $answer (call $user.last_error))`);
  equal(ran.end, "done", ran.message);
  match(ran.text, /^{"code":"NOT_SUPPORTED","message":"http_request is not there: call the host function http_fetch/);
  deepEqual(ran.notes.map(({ level }) => level), ["error"]);
  deepEqual(ran.asked, []);
});

Deno.test("lines are logged with their levels; of what is no block nothing is", async () => {
  const ran = await plugIn(`
    (call $extism.log_trace (call $byte (i32.const 65)))
    (call $extism.log_debug (call $byte (i32.const 66)))
    (call $extism.log_info (call $byte (i32.const 67)))
    (call $extism.log_warn (call $byte (i32.const 68)))
    (call $extism.log_error (call $byte (i32.const 69)))
    (call $extism.log_info (i64.const 12345))
    (call $i64 (i64.extend_i32_u (call $extism.get_log_level)))`);
  deepEqual(ran.notes.map(({ level, message }) => level + message), ["debugA", "debugB", "infoC", "warnD", "errorE"]);
  equal(ran.output[0], 1);
});

Deno.test("a plug-in that knows WASI has no input there, and what it writes is logged", async () => {
  const ran = await plugIn(
    `
    (i32.store (i32.const 0) (i32.const 100))
    (i32.store (i32.const 4) (i32.const 2))
    (i32.store (i32.const 100) (i32.const 0x6948))
    (if (call $wasi.fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
    (if (i32.load (i32.const 8)) (then unreachable))
    (drop (call $wasi.fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $answer (call $byte (i32.const 65)))`,
    { input: "input" },
  );
  deepEqual([ran.end, ran.text], ["done", "A"], ran.message);
  deepEqual(ran.notes, [{ level: "warn", message: "Hi" }, { level: "info", message: "Hi" }]);
});

Deno.test("an answer that no block can take is an error that is told", async () => {
  const ran = await plugIn(
    `
    (drop (call $extism.alloc (i64.const 60000)))
    (if (i64.ne (call $user.cache_get (i64.const 0)) (i64.const 0)) (then unreachable))
    (call $user.log_error (call $user.last_error))`,
    { limits: { pages: 1 }, answer: () => ({ value: new Uint8Array(60_000) }) },
  );
  equal(ran.end, "done", ran.message);
  match(ran.notes[0]!.message, /^{"code":"RESULT_TOO_LARGE"/);
});

Deno.test("proc_exit ends a plug-in, too", async () => {
  const ran = await plugIn(
    "(call $answer (call $byte (i32.const 65))) (call $wasi.proc_exit (i32.const 0)) unreachable",
  );
  deepEqual([ran.end, ran.text], ["done", "A"]);
  equal((await plugIn("(call $wasi.proc_exit (i32.const 9))")).exitCode, 9);
});
