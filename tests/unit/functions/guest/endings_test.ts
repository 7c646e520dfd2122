import { deepEqual, equal, match, ok } from "node:assert/strict";
import { command, module, run, runBytes, start } from "./support/runs.ts";

const ended = ({ end, message }: { readonly end: string; readonly message: string }) => ({ end, message });

const TRAPS: Readonly<Record<string, string>> = {
  "unreachable": "(unreachable)",
  "divide by zero": "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
  "divide result unrepresentable": "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
  "float unrepresentable in integer range": "(drop (i32.trunc_f64_s (f64.const nan)))",
  "memory access out of bounds": "(drop (i32.load (i32.const -4)))",
};

for (const [message, body] of Object.entries(TRAPS)) {
  Deno.test(`a trap ends with the engine's words: ${message}`, async () => {
    const ran = await start(`(call $write (i32.const 0) (i32.const 10)) ${body}`);
    deepEqual(ended(ran), { end: "trap", message });
    deepEqual([ran.output.length, ran.pages], [0, 1], "an answer of a call that failed is none");
  });

  Deno.test(`no catch_all catches a trap: ${message}`, async () => {
    equal((await start(`(try (do ${body}) (catch_all))`)).end, "trap");
  });
}

Deno.test("recursion without end runs over the stack, caught or not", async () => {
  const deep = `(func $deep (param i32) (result i32)
    (i32.add (call $deep (local.get 0)) (i32.const 1)))`;
  for (
    const body of [
      "(drop (call $deep (i32.const 0)))",
      "(try (do (drop (call $deep (i32.const 0)))) (catch_all))",
    ]
  ) {
    const ran = await run(command(body, deep));
    deepEqual(ended(ran), { end: "stack", message: "Maximum call stack size exceeded" });
  }
});

Deno.test("recursion through host calls runs over before the pipe is touched, and never within it", async () => {
  let within = 0, calls = 0;
  const deep = (call: string) =>
    `(func $deep (param i32) (result i32) ${call} (i32.add (call $deep (local.get 0)) (i32.const 1)))`;
  for (
    const call of [
      "(drop (call $env.cache_get (i32.const 0) (i32.const 1)))",
      "(call $env.log_info (i32.const 0) (i32.const 1))",
    ]
  ) {
    const ran = await run(command("(drop (call $deep (i32.const 0)))", deep(call)), {
      limits: { calls: 1e6, log: 1e9 },
      answer: () => {
        calls++;
        within++;
        // As deep as the pipe goes, and deeper.
        const value = (function dig(n: number): number {
          return n === 0 ? 0 : dig(n - 1) + 1;
        })(30);
        within--;
        return { value };
      },
    });
    equal(ran.end, "stack");
  }
  equal(within, 0, "none was left half way");
  ok(calls > 1_000);
});

Deno.test("an exception that nothing caught is a trap", async () => {
  deepEqual(ended(await run(command("(throw $t)", "(tag $t)"))), {
    end: "trap",
    message: "an exception that nothing caught",
  });
});

Deno.test("proc_exit ends with its code, at once and uncaught; 0 is success with what was written", async () => {
  for (const code of [1, 7, 255, 2 ** 32 - 1]) {
    const ran = await start(`
      (call $write (i32.const 0) (i32.const 3))
      (try (do (call $wasi.proc_exit (i32.const ${code}))) (catch_all))
      (unreachable)`);
    deepEqual([ran.end, ran.exitCode, ran.output.length, ran.message], ["exit", code, 0, ""]);
  }
  const ran = await start(`
    (call $write (i32.const 0) (i32.const 3))
    (call $wasi.proc_exit (i32.const 0))
    (unreachable)`);
  deepEqual([ran.end, ran.exitCode, ran.output.length], ["done", undefined, 3]);
});

Deno.test("a module without _start, with an empty one, or with one that is none, answers nothing", async () => {
  for (
    const fields of [
      "",
      `(func (export "_start"))`,
      `(memory (export "_start") 1 1)`,
      `(global (export "_start") i32 (i32.const 1))`,
    ]
  ) {
    const ran = await run(fields);
    deepEqual([ran.end, ran.output.length, ran.message], ["done", 0, ""]);
  }
});

Deno.test("_start of another type is called all the same, or is a trap", async () => {
  equal((await run(`(func (export "_start") (param i32 f64) (result i32) (i32.const 5))`)).end, "done");
  deepEqual(ended(await run(`(func (export "_start") (param i64))`)), {
    end: "trap",
    message: "Cannot convert undefined to a BigInt",
  });
});

Deno.test("_initialize is for plug-ins: a command's is not called", async () => {
  equal((await run(`(func (export "_initialize") unreachable) (func (export "_start"))`)).end, "done");
});

Deno.test("a start section runs, and ends the call as anything else does", async () => {
  deepEqual(ended(await run(`(func $s unreachable) (start $s)`)), { end: "trap", message: "unreachable" });
  const exited = await run(
    `(func $s (call $wasi.proc_exit (i32.const 3))) (start $s) (func (export "_start") unreachable)`,
  );
  deepEqual([exited.end, exited.exitCode], ["exit", 3]);
  const early = await run(`
    (memory (export "memory") 1 1)
    (func $s (drop (call $env.cache_get (i32.const 0) (i32.const 1))) (drop (call $env.get_request_id)))
    (start $s)`);
  deepEqual([early.end, early.asked], ["done", []], "its memory cannot be reached yet");
  const storm = await run(
    `(func $s (loop (drop (call $env.cache_incr (i32.const 0) (i32.const 0))) (br 0))) (start $s)`,
    {
      limits: { calls: 5 },
    },
  );
  deepEqual([storm.end, storm.calls], ["calls", 5]);
});

Deno.test("data and elements out of bounds are traps", async () => {
  const ran = await run(`(memory 1 1) (data (i32.const 65536) "x")`);
  equal(ran.end, "trap");
  match(ran.message, /^data segment 0 is out of bounds/);
  equal((await run(`(table 1 funcref) (func $f) (elem (i32.const 1) $f)`)).end, "trap");
});

Deno.test("what was loaded and cannot be linked ends so", async () => {
  const ran = await run(`(import "env" "open_file" (func))`);
  deepEqual(ended(ran), {
    end: "link",
    message: `Import #0 "env" "open_file": function import requires a callable`,
  });
});

Deno.test("names of a module do not make long messages", async () => {
  const ran = await run(`(import "env" "${"x".repeat(50_000)}" (func))`);
  equal(ran.end, "link");
  ok(ran.message.length <= 1_000);
});

/** Grows the memory while that goes, then does something. */
const hog = (then: string) =>
  `(block (loop (br_if 1 (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) (br 0))) ${then}`;

Deno.test("a trap with a memory that grew until it was full is for want of memory, at the limit or at the module's own", async () => {
  for (const pages of [8, 64]) {
    for (const body of [hog("unreachable"), hog("(drop (i32.load (i32.const -4)))")]) {
      const ran = await start(body, { limits: { pages } });
      deepEqual([ran.end, ran.pages], ["memory", 8], ran.message);
    }
  }
});

Deno.test("so is one of a module that asks for more at once than there is, and ends without it", async () => {
  const body = "(loop (if (i32.eq (memory.grow (i32.const 3)) (i32.const -1)) (then unreachable)) (br 0))";
  const ran = await start(body);
  deepEqual([ran.end, ran.message, ran.pages], ["memory", "unreachable", 7]);
});

Deno.test("a trap is none for want of memory where that has room, never grew, or the trap is of arithmetic", async () => {
  const grown = await start("(drop (memory.grow (i32.const 3))) unreachable");
  deepEqual([grown.end, grown.pages], ["trap", 4], "looking whether it could grow is not told as growth");
  equal((await run(`(memory (export "memory") 1 1) (func (export "_start") unreachable)`)).end, "trap");
  equal((await start(hog(TRAPS["divide by zero"]!), { limits: { pages: 8 } })).end, "trap");
  equal((await start(hog(""), { limits: { pages: 8 } })).end, "done");
});

Deno.test("a memory beyond the limit ends the call before the module runs, and after it", async () => {
  const early = await run(`(memory (export "memory") 3 9) (func (export "_start") unreachable)`, {
    limits: { pages: 2 },
  });
  deepEqual([early.end, early.pages, early.output.length], ["memory", 3, 0]);
  const late = await start("(drop (memory.grow (i32.const 3)))", { limits: { pages: 2 } });
  deepEqual([late.end, late.pages], ["memory", 4]);
});

Deno.test("AssemblyScript's abort is a trap with its text and place, whatever it points to", async () => {
  const text = (value: string) => [...value].map((c) => `${c}\\00`).join("");
  const fields = (message: number, file: number) =>
    run(`
      (memory (export "memory") 1 1)
      (data (i32.const 8) "\\08\\00\\00\\00${text("oops")}")
      (data (i32.const 28) "\\08\\00\\00\\00${text("a.ts")}")
      (data (i32.const 65528) "\\ff\\ff\\ff\\ff")
      (func (export "_start")
        (try (do (call $env.abort (i32.const ${message}) (i32.const ${file}) (i32.const 3) (i32.const 9))) (catch_all))
        (unreachable))`);
  equal((await fields(12, 32)).message, "oops in a.ts(3:9)");
  equal((await fields(12, 0)).message, "oops");
  for (const [message, file] of [[0, 0], [3, 1], [-1, -8], [65_532, 65_536], [65_540, 70_000]]) {
    deepEqual(ended(await fields(message!, file!)), { end: "trap", message: "abort" });
  }
});

Deno.test("what a module passes to itself never reaches JavaScript's objects", async () => {
  // Whatever type an export has that is called, it gets numbers or nothing, and what it gives is looked at, not used.
  const bytes = await module(`
    (memory (export "memory") 1 1)
    (global $kept (mut externref) (ref.null extern))
    (func (export "orama_alloc") (param externref) (result externref)
      (global.set $kept (local.get 0)) (local.get 0))
    (func (export "_start") (param externref) (result externref)
      (drop (call $env.cache_get (i32.const 0) (i32.const 1))) (global.get $kept))`);
  const ran = runBytes(bytes, { answer: () => ({ value: new Uint8Array(9) }) });
  deepEqual([ran.end, ran.message], ["done", ""]);
});
