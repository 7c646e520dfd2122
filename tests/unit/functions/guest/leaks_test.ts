import { deepEqual, equal, match, ok } from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Runtime } from "../../../../services/functions/guest/runtime.ts";
import { realSurroundings } from "../../../../services/functions/guest/surroundings.ts";
import type { FunctionAbi } from "../../../../src/contracts/functions.ts";
import { wasmOf } from "../../../support/wat.ts";
import { command, module, runIn } from "./support/runs.ts";

async function loaded(modules: Readonly<Record<string, readonly [bytes: Uint8Array, abi?: FunctionAbi]>>) {
  const runtime = new Runtime(realSurroundings());
  for (const [name, [bytes, abi = "wasi"]] of Object.entries(modules)) {
    deepEqual(runtime.load({ module: name, bytes, abi, entry: abi === "wasi" ? "_start" : "handle" }), {});
  }
  return await Promise.resolve(runtime);
}

Deno.test("globals, tables and memory begin anew with each call", async () => {
  const bytes = await module(command(
    `
    (if (ref.is_null (table.get $t (i32.const 0))) (then) (else unreachable))
    (if (i32.load (i32.const 0)) (then unreachable))
    (if (i32.ne (memory.size) (i32.const 1)) (then unreachable))
    (if (global.get $g) (then unreachable))
    (table.set $t (i32.const 0) (ref.func $f))
    (i32.store (i32.const 0) (i32.const 1))
    (drop (memory.grow (i32.const 2)))
    (global.set $g (i32.const 1))
    (call $write (i32.const 0) (i32.const 1))`,
    `(table $t 1 funcref) (elem declare func $f) (func $f) (global $g (mut i32) (i32.const 0))`,
  ));
  const runtime = await loaded({ m: [bytes] });
  for (let i = 0; i < 3; i++) {
    const ran = runIn(runtime, "m");
    deepEqual([ran.end, ran.output.length, ran.pages], ["done", 1, 3], ran.message);
  }
});

Deno.test("who calls, in which name, with what, is of one call", async () => {
  const runtime = await loaded({ caller: [await wasmOf("caller.wat")] });
  const texts = ["a", "b", ""].map((caller) =>
    runIn(runtime, "caller", { caller, env: caller ? { X: caller } : {} }).text
  );
  deepEqual(texts.map((text) => text.replaceAll(/request=.*\n/g, "")), [
    "caller=a\nX=a\n",
    "caller=b\nX=b\n",
    "caller=\nX=\n",
  ]);
});

Deno.test("a call that failed leaves nothing: no output, error, line, count, input, descriptor, variable or block", async () => {
  const dirty = await module(command(`
    (call $write (i32.const 0) (i32.const 100))
    (drop (call $env.cache_get (i32.const 0) (i32.const 1)))
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 3))
    (i32.store8 (i32.const 100) (i32.const 65))
    (drop (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $wasi.fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $wasi.fd_close (i32.const 2)))
    (call $env.log_info (i32.const 0) (i32.const 60000))
    (call $env.log_info (i32.const 0) (i32.const 60000))
    (loop (drop (call $env.cache_get (i32.const 0) (i32.const 1))) (br 0))`));
  const clean = await module(command(`
    (call $bytes (call $env.last_error))
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 50))
    (drop (call $wasi.fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $write (i32.const 100) (i32.load (i32.const 8)))
    (i32.store (i32.const 4) (i32.const 2))
    (drop (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $env.cache_get (i32.const 0) (i32.const 0)))`));
  const plugIn = await module(`
    (memory (export "memory") 1 1)
    (func (export "handle") (local $name i64)
      (local.set $name (call $extism.alloc (i64.const 8)))
      (if (i64.ne (call $extism.load_u64 (local.get $name)) (i64.const 0)) (then unreachable))
      (call $extism.store_u64 (local.get $name) (i64.const 0x6161616161616161))
      (if (i64.ne (call $extism.var_get (local.get $name)) (i64.const 0)) (then unreachable))
      (call $extism.var_set (local.get $name) (local.get $name))
      (call $extism.output_set (local.get $name) (i64.const 8))
      (call $extism.error_set (local.get $name)))`);
  const silent = await module(`(func (export "handle"))`);
  const runtime = await loaded({
    dirty: [dirty],
    clean: [clean],
    plugIn: [plugIn, "extism"],
    silent: [silent, "extism"],
  });
  for (let i = 0; i < 3; i++) {
    const failed = runIn(runtime, "dirty", {
      input: "secret",
      limits: { calls: 5, log: 20_000 },
      answer: () => ({ error: { code: "SECRET", message: "secret" } }),
    });
    deepEqual([failed.end, failed.calls, failed.notes.length], ["calls", 5, 2], "the begun line has no room any more");
    const ran = runIn(runtime, "clean", { input: "mine" });
    deepEqual([ran.end, ran.text, ran.calls], ["done", "mine", 1], ran.message);
    deepEqual(ran.notes, [{ level: "warn", message: "mi" }]);
    const first = runIn(runtime, "plugIn");
    deepEqual([first.end, first.message], ["exit", "aaaaaaaa"]);
    const second = runIn(runtime, "silent");
    deepEqual([second.end, second.text], ["done", ""]);
  }
});

Deno.test("modules and instances that nobody needs any more are collected", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const bytes = await module(command("(call $write (i32.const 0) (i32.const 1))").replace("1 8", "64 64"));
  const runtime = await loaded({ m: [bytes] });
  const refs: WeakRef<WebAssembly.Instance>[] = [];
  const { Instance } = WebAssembly;
  // The only way to see one is where it is made.
  WebAssembly.Instance = class extends Instance {
    constructor(...given: ConstructorParameters<typeof Instance>) {
      super(...given);
      refs.push(new WeakRef(this));
    }
  };
  try {
    for (let i = 0; i < 20; i++) equal(runIn(runtime, "m").end, "done");
  } finally {
    WebAssembly.Instance = Instance;
  }
  equal(refs.length, 20);
  // A WeakRef holds on until the turn of the event loop is over.
  await new Promise((resolve) => setTimeout(resolve, 0));
  collect();
  ok(refs.every((ref) => ref.deref() === undefined));
});

Deno.test("a module that is forgotten is not there, one that is loaded again is the new one", async () => {
  const runtime = await loaded({ m: [await module("")] });
  runtime.forget("m");
  runtime.forget("never");
  deepEqual(runIn(runtime, "m").end, "link");
  equal(
    runtime.load({ module: "m", bytes: await wasmOf("hello.wat"), abi: "wasi", entry: "_start" }).problem,
    undefined,
  );
  match(runIn(runtime, "m").text, /^Hello/);
  match(runtime.load({ module: "m", bytes: new Uint8Array(9), abi: "wasi", entry: "_start" }).problem!, /magic word/);
  equal(runIn(runtime, "m").end, "link", "what could not be loaded has not left the old one");
});
