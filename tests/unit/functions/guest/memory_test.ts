import { deepEqual, equal, match } from "node:assert/strict";
import type { GuestReply } from "../../../../services/functions/parts.ts";
import { i64s, run, type RunOptions, start } from "./support/runs.ts";

const value = (length: number): { answer: () => GuestReply } => ({
  answer: () => ({ value: new Uint8Array(length).fill(65) }),
});

/** Pointers and lengths that are not all within one page. */
const LIES: readonly (readonly [pointer: number, length: number])[] = [
  [65_536, 1],
  [65_535, 2],
  [0, 65_537],
  [-1, 1],
  [-1, 2],
  [1, -1],
  [-1, -1],
  [-65_536, 65_537],
  [2 ** 31 - 1, 2 ** 31 - 1],
];

for (const [pointer, length] of LIES) {
  Deno.test(`bytes at ${pointer} with length ${length} are nobody's`, async () => {
    const ran = await start(`
      (call $i64 (call $env.cache_get (i32.const ${pointer}) (i32.const ${length})))
      (call $env.log_info (i32.const ${pointer}) (i32.const ${length}))
      (call $bytes (call $env.last_error))`);
    equal(ran.end, "done", ran.message);
    deepEqual([ran.asked, ran.notes], [[], []]);
    match(ran.text.slice(8), /^{"code":"INVALID_POINTER"/);
  });
}

Deno.test("no bytes may stand anywhere, and the last byte of the memory is the module's", async () => {
  const ran = await start(`
    (i32.store8 (i32.const 65535) (i32.const 90))
    (drop (call $env.cache_get (i32.const -7) (i32.const 0)))
    (drop (call $env.cache_get (i32.const 65535) (i32.const 1)))`);
  deepEqual(ran.asked, [["cache_get", ""], ["cache_get", "Z"]]);
});

/** The body of `orama_alloc(size)`, and what `last_error` says when something is handed over with it. */
const ALLOCATORS: Readonly<Record<string, readonly [fields: string, code: string, options?: RunOptions]>> = {
  "there is none": ["", "NO_ALLOCATOR"],
  "the memory has its name": [`(export "orama_alloc" (memory 0))`, "NO_ALLOCATOR"],
  "it points behind the end": [alloc("(i32.const 65530)"), "INVALID_POINTER"],
  "it points to the very end": [alloc("(i32.const 65536)"), "INVALID_POINTER"],
  "it points far away": [alloc("(i32.const -1)"), "INVALID_POINTER"],
  "it points where the sum would wrap": [alloc("(i32.const -50)"), "INVALID_POINTER"],
  "it gives nothing": [`(func (export "orama_alloc") (param i32))`, "INVALID_POINTER"],
  "it gives an i64": [`(func (export "orama_alloc") (param i32) (result i64) (i64.const 8))`, "INVALID_POINTER"],
  "it gives a fraction": [`(func (export "orama_alloc") (param i32) (result f64) (f64.const 8.5))`, "INVALID_POINTER"],
  "it gives no number": [`(func (export "orama_alloc") (param i32) (result f32) (f32.const nan))`, "INVALID_POINTER"],
  "it gives two": [
    `(func (export "orama_alloc") (param i32) (result i32 i32) (i32.const 8) (i32.const 8))`,
    "INVALID_POINTER",
  ],
  "it has no room": [alloc("(i32.const 0)"), "RESULT_TOO_LARGE"],
  "the result is larger than all of its memory": [alloc("(unreachable)"), "RESULT_TOO_LARGE", value(9 * 65_536)],
};

function alloc(body: string): string {
  return `(func (export "orama_alloc") (param $size i32) (result i32) ${body})`;
}

for (const [name, [fields, code, options]] of Object.entries(ALLOCATORS)) {
  Deno.test(`an allocator that lies gets nothing, whichever way: ${name}`, async () => {
    const ran = await run(
      `
      (memory (export "memory") 1 8)
      ${fields}
      (func (export "_start")
        (i64.store (i32.const 100) (call $env.cache_get (i32.const 0) (i32.const 1)))
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const 8))
        (drop (call $wasi.fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))`,
      { limits: { pages: 8 }, ...options ?? value(100) },
    );
    equal(ran.end, "done", ran.message);
    deepEqual(i64s(ran), [0n]);
  });

  Deno.test(`last_error names it: ${name}`, async () => {
    // The allocator of the errors is another one: Extism's blocks.
    const ran = await run(
      `
      (memory (export "memory") 1 8)
      ${fields}
      (func (export "handle")
        (drop (call $env.cache_get (i32.const 0) (i32.const 1)))
        (call $user.log_info (call $user.last_error)))`,
      { abi: "extism", limits: { pages: 8 }, ...options ?? value(100) },
    );
    equal(ran.end, "done", ran.message);
    equal(JSON.parse(ran.notes[0]!.message).code, code);
  });
}

/** Allocators that end the call. */
const DEADLY: Readonly<Record<string, readonly [fields: string, message: RegExp]>> = {
  "it traps": [alloc("(unreachable)"), /^unreachable$/],
  "it divides by zero": [alloc("(i32.div_u (i32.const 1) (i32.const 0))"), /^divide by zero$/],
  "it throws": [`(tag $t) ${alloc("(throw $t)")}`, /^an exception that nothing caught$/],
  "it wants an i64": [
    `(func (export "orama_alloc") (param i64) (result i32) (i32.const 8))`,
    /Cannot convert 100 to a BigInt/,
  ],
};

for (const [name, [fields, message]] of Object.entries(DEADLY)) {
  Deno.test(`an allocator that ends badly ends the call, caught or not: ${name}`, async () => {
    const ran = await run(
      `
      (memory (export "memory") 1 8)
      ${fields}
      (func (export "_start")
        (try (do (drop (call $env.cache_get (i32.const 0) (i32.const 1)))) (catch_all)))`,
      value(100),
    );
    equal(ran.end, "trap");
    match(ran.message, message);
  });
}

Deno.test("malloc does where orama_alloc is none, and orama_alloc goes first", async () => {
  const both = (first: string) => `
    (memory (export "memory") 1 1)
    ${first}
    (func (export "malloc") (param i32) (result i32) (i32.const 2048))
    (func (export "_start") 
      (if (i64.ne (call $env.cache_get (i32.const 0) (i32.const 1)) (i64.const 0x80000000064))
        (then (if (i32.ne (i32.load8_u (i32.const 1024)) (i32.const 65)) (then unreachable)))
        (else (if (i32.ne (i32.load8_u (i32.const 2147)) (i32.const 65)) (then unreachable)))))`;
  for (const first of ["", alloc("(i32.const 1024)"), `(global (export "orama_alloc") i32 (i32.const 1))`]) {
    equal((await run(both(first), value(100))).end, "done", first);
  }
});

Deno.test("an allocator that grows the memory is followed to where it grew", async () => {
  const ran = await run(
    `
    (memory (export "memory") 1 8)
    (func (export "orama_alloc") (param $size i32) (result i32)
      (i32.shl (memory.grow (i32.const 2)) (i32.const 16)))
    (func $say (param $answer i64)
      (i32.store (i32.const 0) (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32))))
      (i32.store (i32.const 4) (i32.wrap_i64 (local.get $answer)))
      (drop (call $wasi.fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "_start")
      (call $say (call $env.cache_get (i32.const 0) (i32.const 1)))
      (call $say (call $env.cache_get (i32.const 0) (i32.const 1))))`,
    value(100_000),
  );
  equal(ran.end, "done", ran.message);
  deepEqual([ran.output.length, ran.pages], [200_000, 5]);
  equal(ran.output.every((byte) => byte === 65), true);
});

Deno.test("a pointer above the middle comes back as it is, as a negative number", async () => {
  const ran = await run(
    `
    (memory (export "memory") 32769 32769)
    (func (export "orama_alloc") (param i32) (result i32) (i32.const 0x80000008))
    (func (export "_start")
      (if (i64.ne (call $env.cache_get (i32.const 0) (i32.const 1)) (i64.const 0x8000000800000001)) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.const 0x80000008)) (i32.const 65)) (then unreachable)))`,
    { ...value(1), limits: { pages: 40_000 } },
  );
  equal(ran.end, "done", ran.message);
});

Deno.test("an allocator may make host calls of its own", async () => {
  const ran = await run(
    `
    (memory (export "memory") 1 1)
    (global $depth (mut i32) (i32.const 0))
    (func (export "orama_alloc") (param i32) (result i32)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (if (i32.lt_u (global.get $depth) (i32.const 3))
        (then (drop (call $env.cache_get (i32.const 0) (i32.const 1)))))
      (i32.const 1024))
    (func (export "_start") (drop (call $env.cache_get (i32.const 0) (i32.const 1))))`,
    value(10),
  );
  equal(ran.end, "done", ran.message);
  equal(ran.asked.length, 3);
});

Deno.test("a module whose allocator is a host call goes round in circles until a limit, no further", async () => {
  const fields = `
    (memory (export "memory") 1 1)
    (export "malloc" (func $env.get_env))
    (export "orama_alloc" (func $env.get_caller_wallet))
    (func (export "_start") (drop (call $env.get_caller_wallet)))`;
  equal((await run(fields, { caller: "0xabc" })).end, "stack");
});

Deno.test("without a memory there is nothing to point to", async () => {
  const ran = await run(`
    (func (export "_start")
      (if (i32.ne (call $wasi.random_get (i32.const 0) (i32.const 1)) (i32.const 21)) (then unreachable))
      (drop (call $env.cache_get (i32.const 0) (i32.const 1)))
      (drop (call $env.get_request_id)))`);
  deepEqual([ran.end, ran.asked, ran.pages], ["done", [], 0]);
});

Deno.test("what is exported as memory and is none is none", async () => {
  const ran = await run(`
    (func (export "memory"))
    (func (export "_start") (drop (call $env.cache_get (i32.const 0) (i32.const 1))))`);
  deepEqual([ran.end, ran.asked], ["done", []]);
});
