import { deepEqual, equal, throws } from "node:assert/strict";
import { BOUNDS, prepareModule, readModule } from "../../../../services/functions/modules/index.ts";
import { hasCode } from "../../../../src/contracts/errors.ts";
import { entries, exported, module, section } from "../../../fixtures/functions/support/binary.ts";
import { assembled, wasmOf } from "../../../support/wat.ts";

const exportsOf = (wasm: BufferSource) => new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
const memoryOf = (wasm: BufferSource) => exportsOf(wasm)["memory"] as WebAssembly.Memory;
const tableOf = (wasm: BufferSource) => exportsOf(wasm)["table"] as WebAssembly.Table;

/** How many pages a memory has when it grows no further. */
function most(memory: WebAssembly.Memory): number {
  for (let step = 65_536; step >= 1; step = Math.floor(step / 2)) {
    try {
      for (;;) memory.grow(step);
    } catch {
      // That many more it may not have.
    }
  }
  return memory.buffer.byteLength / 65_536;
}

/** How many elements a table has when it grows no further. */
function longest(table: WebAssembly.Table): number {
  for (let step = 1 << 23; step >= 1; step >>= 1) {
    try {
      for (;;) table.grow(step);
    } catch {
      // As above.
    }
  }
  return table.length;
}

Deno.test("a memory grows exactly to its limit, whatever maximum it came with", async () => {
  for (const own of ["1", "1 2", "1 64", "1 65536", "0", "64", "64 64"]) {
    const wasm = await assembled("test.wat", `(module (memory (export "memory") ${own}))`);
    const declared = Number(own.split(" ")[1] ?? Infinity);
    for (const pages of [64, 100, 127, 128, 129, 16_383, 16_384]) {
      equal(most(memoryOf(prepareModule(wasm, pages))), Math.min(declared, pages), `${own}, ${pages}`);
    }
  }
});

Deno.test("a module that stays within its limit is left as it is, but for the maximum", async () => {
  const text = (memory: string, table: string) =>
    `(module (table (export "table") ${table} funcref) (memory (export "memory") ${memory}) (global (export "g") i32 (i32.const 7))
       (func $f (export "f") (result i32) (i32.add (i32.load (i32.const 0)) (global.get 0)))
       (elem (i32.const 0) $f) (data (i32.const 0) "\\05"))`;
  const prepared = prepareModule(await assembled("test.wat", text("1", "2")), 200);
  deepEqual(prepared, await assembled("test.wat", text("1 200", "2 10000")));
  equal((exportsOf(prepared)["f"] as () => number)(), 12);
  deepEqual(prepareModule(prepared, 200), prepared, "twice is as once");
});

Deno.test("a table grows exactly to its bound, or stays as large as it came", async () => {
  const wasm = (limits: string) => assembled("test.wat", `(module (table (export "table") ${limits} externref))`);
  equal(longest(tableOf(prepareModule(await wasm("0"), 1))), BOUNDS.tableGrowth);
  equal(longest(tableOf(prepareModule(await wasm("5 20"), 1))), 20);
  equal(longest(tableOf(prepareModule(await wasm("5 10000000"), 1))), BOUNDS.tableGrowth);
  equal(longest(tableOf(prepareModule(await wasm("50000"), 1))), 50_000);
});

Deno.test("several tables and one with an initial value are each bounded", () => {
  // (table (export "first") 0 1 externref) (table (export "table") 3 funcref (ref.null func)), in the form that no assembler writes.
  const wasm = module(
    section(4, entries([[0x6f, 1, 0, 1], [0x40, 0, 0x70, 0, 3, 0xd0, 0x70, 0x0b]])),
    section(7, entries([exported("first", 1, 0), exported("table", 1, 1)])),
  );
  const prepared = prepareModule(wasm, 1);
  equal(longest(exportsOf(prepared)["first"] as WebAssembly.Table), 1);
  equal(longest(tableOf(prepared)), BOUNDS.tableGrowth);
});

Deno.test("a module that begins with more than it may have now is refused, not run", async () => {
  const wasm = await assembled("test.wat", `(module (memory 65) (func (export "_start")))`);
  equal(readModule(wasm, { maxMemory: 5 }, {}).initialPages, 65);
  throws(() => prepareModule(wasm, 64), (error) => hasCode(error, "MODULE_INVALID"));
});

Deno.test("the largest memory that there is can be the limit", async () => {
  const prepared = prepareModule(await wasmOf("memory_hog.wat"), 65_536);
  deepEqual(prepareModule(prepared, 65_536), prepared);
  new WebAssembly.Module(prepared);
});
