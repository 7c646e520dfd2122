import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { prepareModule, readModule } from "../../../../services/functions/modules/index.ts";
import { hasCode } from "../../../../src/contracts/errors.ts";
import { CASES, type FunctionCase } from "../../../fixtures/functions/index.ts";
import { assembled, wasmOf } from "../../../support/wat.ts";

const pagesOf = ({ settings }: FunctionCase) => (settings?.memoryLimit ?? 64) * 16;
const refusedByReader = ({ refusedAtDeploy, refusedBy = "reader" }: FunctionCase) =>
  refusedBy === "reader" ? refusedAtDeploy : undefined;
const rulesOf = (of: FunctionCase) => ({ maxMemory: pagesOf(of) / 16 });

/** Milliseconds that reading any module may take here, however hostile: far more than it does, and far less than one would notice. */
const LONGEST_READING = 5_000;

/** The sentence with which a module is refused; `undefined` for one that is taken. */
function sentenceOf(read: () => unknown): string | undefined {
  try {
    read();
  } catch (error) {
    ok(hasCode(error, "MODULE_INVALID"), String(error));
    return error.message;
  }
}

Deno.test("each module of the corpus is read as it is listed: refused by that sentence, or taken", async () => {
  for (const each of CASES) {
    const wasm = await wasmOf(each.file);
    const begun = performance.now();
    const sentence = sentenceOf(() => readModule(wasm, rulesOf(each), {}));
    ok(performance.now() - begun < LONGEST_READING, each.file);
    const expected = refusedByReader(each);
    if (expected) match(sentence ?? "taken", expected, each.file);
    else equal(sentence, undefined, each.file);
    // A sentence is one line that a person reads.
    ok((sentence ?? "").length < 400 && !/[\p{Cc}]/u.test(sentence ?? ""), each.file);
  }
});

Deno.test("what the reader takes the engine takes, but for what is listed as the engine's", async () => {
  for (const each of CASES) {
    if (refusedByReader(each) || each.refusedBy === "clock") continue;
    const prepared = prepareModule(await wasmOf(each.file), pagesOf(each));
    if (each.refusedAtDeploy) throws(() => new WebAssembly.Module(prepared), each.refusedAtDeploy, each.file);
    else new WebAssembly.Module(prepared);
  }
});

Deno.test("each file of the corpus is listed, once, and says what it does as its list does", async () => {
  const listed = CASES.map(({ file }) => file);
  deepEqual(listed.length, new Set(listed).size);
  const folder = new URL("../../../fixtures/functions/", import.meta.url);
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".wat"));
  deepEqual(files.toSorted(), listed.filter((name) => name.endsWith(".wat")).toSorted());
  for (const { file, description } of CASES.filter(({ file }) => file.endsWith(".wat"))) {
    const text = await Deno.readTextFile(new URL(file, folder));
    const comment = text.split("\n").slice(0, text.split("\n").findIndex((line) => !line.startsWith(";; ")));
    equal(comment.map((line) => line.slice(3)).join(" "), description, file);
  }
});

Deno.test("each case that is taken says what comes of it", () => {
  const silent = CASES.filter(({ refusedAtDeploy, end, answer }) =>
    [refusedAtDeploy, end, answer].filter((each) => each !== undefined).length !== 1
  );
  deepEqual(silent.map(({ file }) => file), []);
});

const read = async (text: string, entry?: string) =>
  readModule(await assembled("test.wat", text), { maxMemory: 1 }, { entry });
const refusal = async (text: string, entry?: string) => {
  const wasm = await assembled("test.wat", text);
  return sentenceOf(() => readModule(wasm, { maxMemory: 1 }, { entry }));
};
const EXTISM = `(import "extism:host/env" "input_length" (func (result i64)))`;

Deno.test("facts of a module: how it is called, where it begins, how many pages it begins with", async () => {
  deepEqual(await read(`(module (memory 3) (func (export "_start")))`), {
    abi: "wasi",
    entry: "_start",
    initialPages: 3,
  });
  deepEqual(await read(`(module (func (export "_start")))`), { abi: "wasi", entry: "_start", initialPages: 0 });
  deepEqual(await read(`(module (memory 16) (func (export "_start")))`), {
    abi: "wasi",
    entry: "_start",
    initialPages: 16,
  });
  equal(
    await refusal(`(module (memory 17) (func (export "_start")))`),
    "The module's memory begins with 1.063 MiB, and this function may have 1 MiB.",
  );
});

Deno.test("the entry of a plug-in is what is named, else its only candidate, else handle", async () => {
  const plugIn = (...exports: readonly string[]) =>
    `(module ${EXTISM} ${exports.map((name) => `(func (export "${name}") (result i32) (i32.const 0))`).join(" ")})`;
  const entry = async (text: string, wanted?: string) => (await read(text, wanted)).entry;
  equal(await entry(plugIn("greet")), "greet");
  equal(await entry(plugIn("greet", "leave"), "leave"), "leave");
  equal(await entry(plugIn("greet", "handle")), "handle");
  for (const other of ["_start", "_initialize", "__wasm_call_ctors", "main", "malloc"]) {
    equal(await entry(plugIn("greet", other)), "greet", other);
  }
  equal(await entry(`(module ${EXTISM} (func (export "handle")))`), "handle");
  equal(
    await entry(`(module ${EXTISM} (func (export "_start")) (func (export "run") (result i32) (i32.const 0)))`),
    "run",
  );
  match((await refusal(plugIn("greet"), "leave"))!, /exports no leave; it could be greet\.$/);
  match((await refusal(`(module ${EXTISM} (func (export "f") (param i32)))`, "f"))!, /exports f as \(i32\) -> \(\)/);
  match((await refusal(`(module ${EXTISM} (memory (export "memory") 1))`, "memory"))!, /exports memory as a memory/);
  match(
    (await refusal(`(module (func (export "_start")))`, "run"))!,
    /an entry \(run\) can be named for Extism plug-ins/,
  );
  equal((await read(`(module (func (export "_start")))`, "_start")).entry, "_start");
  const many = await refusal(plugIn(...Array.from({ length: 30 }, (_, i) => `f${i}`)));
  match(many!, /it could be f0, f1, .*f9 and 20 more\.$/);
});

Deno.test("names are told so that nobody is fooled by them", async () => {
  const told = async (name: string) => await refusal(`(module (import "${name}" "f" (func)) (func (export "_start")))`);
  match((await told("a\\u{202e}b\\0ac"))!, /imports "a\\u\{202e\}b\\u\{a\}c"\.f, which/);
  match((await told("a b"))!, /imports "a b"\.f/);
  match((await told("x".repeat(1_000)))!, /imports x{64}…\.f, which/);
});

Deno.test("whatever stands for WebAssembly and is none is called by its name", () => {
  const said = (...bytes: readonly (string | number)[]) =>
    sentenceOf(() =>
      readModule(
        Uint8Array.from(bytes.flatMap((each) => typeof each === "string" ? [...new TextEncoder().encode(each)] : each)),
        { maxMemory: 1 },
        {},
      )
    )!;
  match(said(0x28, 0xb5, 0x2f, 0xfd), /Zstandard/);
  match(said("PK", 3, 4), /zip archive/);
  match(said(0x7f, "ELF"), /program for Linux/);
  match(said("BC", 0xc0, 0xde), /LLVM bitcode/);
  match(said("AGFzbQEAAAA="), /base64/);
  match(said("\n;; a comment\n(module)"), /WebAssembly text/);
  match(said("(component)"), /WebAssembly text/);
  match(said("<!doctype html>"), /This is a text/);
  match(said("#!/bin/sh"), /This is a text/);
  match(said(0, "asm"), /cut off within its first 8 bytes/);
  match(said(0, "asm", 2, 0, 0, 0), /binary version 2; only version 1/);
  match(said(0, "asm", 1, 0, 0, 0), /has no _start.*exports no function/);
});
