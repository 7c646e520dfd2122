import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Runtime } from "../../../../services/functions/guest/runtime.ts";
import { realSurroundings } from "../../../../services/functions/guest/surroundings.ts";
import { importedFunction, IMPORTS } from "../../../../services/functions/modules/imports.ts";
import { assembled } from "../../../support/wat.ts";
import { importOf, module, runBytes } from "./support/runs.ts";

const all = Object.entries(IMPORTS).flatMap(([from, names]) => Object.keys(names).map((name) => [from, name] as const));

Deno.test("a module that imports everything of the table is linked", async () => {
  const fields = all.map(([from, name]) => importOf(from, name)).join("\n");
  const { end, message } = runBytes(await assembled("all.wat", `(module ${fields} (func (export "_start")))`));
  deepEqual({ end, message }, { end: "done", message: "" });
});

/** What ends a call that names no block of its own, as in the reference. */
const STRICT = /^(env abort|extism:host\/env (output_set|error_set|config_get|var_get|var_set))$/;

for (const from of Object.keys(IMPORTS)) {
  Deno.test(`everything of ${from} has the type of the table, and takes numbers out of all bounds`, async () => {
    for (const [, name] of all.filter(([of]) => of === from)) {
      const type = importedFunction(from, name)!;
      for (const number of [0, -1, 2 ** 31 - 1]) {
        const values = type.params.map((kind) => `(${kind}.const ${number})`).join(" ");
        const bytes = await assembled(
          "one.wat",
          `(module ${importOf(from, name, "$f")} (memory (export "memory") 1 1)
            (func (export "_start") (call $f ${values}) ${type.results.length > 0 ? "drop" : ""}))`,
        );
        const { end, message } = runBytes(bytes, { here: { sleep: () => {} } });
        const expected = STRICT.test(`${from} ${name}`) ? ["done", "trap", "output"] : ["done", "exit"];
        ok(expected.includes(end), `${name}(${number}): ${end} ${message}`);
        if (end === "trap" && name !== "abort") match(message, /no block/);
      }
    }
  });
}

const runtime = new Runtime(realSurroundings());
const check = (bytes: Uint8Array, entry?: string) =>
  runtime.check({ module: "m", bytes, abi: entry === undefined ? "wasi" : "extism", entry: entry ?? "_start" }).problem;

Deno.test("check() finds what is no module, what imports what is not there, and what lacks its entry", async () => {
  match(check(new Uint8Array([1, 2, 3, 4]))!, /^expected magic word/);
  match(check(await module(`(func (export "_start") (result i32))`))!, /_start|expected 1 elements/);
  match(
    check(await assembled("a.wat", `(module (import "env" "open_file" (func)))`))!,
    /^it imports function "env.open_file", which is not there$/,
  );
  match(check(await assembled("a.wat", `(module (import "env" "__proto__" (func)))`))!, /__proto__/);
  match(check(await assembled("a.wat", `(module (import "constructor" "name" (func)))`))!, /constructor/);
  match(check(await assembled("a.wat", `(module (import "env" "memory" (memory 1)))`))!, /^it imports memory/);
  match(check(await module(`(memory (export "handle") 1)`), "handle")!, /^it exports no function "handle"$/);
  equal(check(await module(`(func (export "handle"))`), "handle"), undefined);
  equal(check(await module(`(func (export "_start") (call $env.log_info (i32.const 0) (i32.const 0)))`)), undefined);
});

Deno.test("check() runs nothing, and remembers nothing", async () => {
  equal(check(await module(`(func $s unreachable) (start $s)`)), undefined);
  const task = { name: "", requestId: "", caller: "", env: {}, input: new Uint8Array(0) };
  const limits = { pages: 1, output: 1, log: 1, calls: 1 };
  const { end, message } = runtime.run({ ...task, module: "m", limits }, { call() {}, note() {}, flush() {} });
  deepEqual({ end, message }, { end: "link", message: "the module was not loaded" });
});

Deno.test("an import of another type than the table's is an ending, not a crash", async () => {
  const { end, message } = runBytes(
    await assembled("a.wat", `(module (import "env" "get_env" (func (param f64) (result f64))))`),
  );
  deepEqual(end, "done", message);
  const called = runBytes(
    await assembled(
      "a.wat",
      `(module (import "env" "get_env" (func $f (param f64) (result f64)))
        (func (export "_start") (drop (call $f (f64.const nan)))))`,
    ),
  );
  equal(called.end, "trap");
});
