import { ok } from "node:assert/strict";
import { prepareModule, readModule } from "../../../../services/functions/modules/index.ts";
import { hasCode } from "../../../../src/contracts/errors.ts";
import { wasmOf } from "../../../support/wat.ts";
import { randomFrom } from "../../cache/support/random.ts";

const SEED = 20_261_122;
const MUTATIONS = 1_500;
/** Milliseconds that one mutated module may take. */
const LONGEST = 5_000;

const VALID = [
  "alloc_grows.wat",
  "arguments.wat",
  "caller.wat",
  "calls.wat",
  "catching_legacy.wat",
  "catching_storm.wat",
  "counter.wat",
  "echo.wat",
  "extism_echo.wat",
  "extism_host_calls.wat",
  "extism_vars.wat",
  "hello.wat",
  "host_module.wat",
  "memory_hog.wat",
  "open_everything.wat",
  "recursion_wide.wat",
  "spin_indirect.wat",
  "table_grow.wat",
  "throwing.wat",
  "trap_init.wat",
  "trap_signature.wat",
];

/** Bytes that mean something: ends of numbers, large numbers, kinds, and forms of types. */
const TELLING = [0, 1, 2, 3, 4, 0x0b, 0x40, 0x4e, 0x5e, 0x5f, 0x60, 0x63, 0x7f, 0x80, 0xff];

function mutated(wasm: Uint8Array<ArrayBuffer>, random: () => number): Uint8Array<ArrayBuffer> {
  const below = (limit: number) => Math.floor(random() * limit);
  const bytes = wasm.slice();
  for (let left = 1 + below(4); left > 0; left--) {
    // Behind the beginning, so that something is read.
    bytes[8 + below(bytes.length - 8)] = random() < 0.5 ? below(256) : TELLING[below(TELLING.length)]!;
  }
  const kind = random();
  if (kind < 0.2) return bytes.slice(0, below(bytes.length));
  if (kind > 0.4) return bytes;
  const from = 8 + below(bytes.length - 8), to = from + below(bytes.length - from);
  return Uint8Array.from([...bytes.subarray(0, kind < 0.3 ? to : from), ...bytes.subarray(kind < 0.3 ? from : to)]);
}

for (const file of VALID) {
  Deno.test(`${file}, bent in ${MUTATIONS} ways, is refused in a sentence or taken, in no time`, async () => {
    const wasm = await wasmOf(file);
    const random = randomFrom(SEED);
    let taken = 0;
    for (let round = 0; round < MUTATIONS; round++) {
      const bent = mutated(wasm, random);
      const begun = performance.now();
      try {
        readModule(bent, { maxMemory: 64 }, {});
        prepareModule(bent, 1_024);
        taken++;
      } catch (error) {
        ok(hasCode(error, "MODULE_INVALID"), `round ${round}: ${error}`);
      }
      ok(performance.now() - begun < LONGEST, `round ${round}`);
    }
    // Otherwise nothing but the first check would have been tried.
    ok(taken > 0 && taken < MUTATIONS, String(taken));
  });
}

Deno.test("what is taken with other limits is still the module that the engine takes or refuses as it was", async () => {
  const random = randomFrom(SEED + 1);
  let agreed = 0;
  for (let round = 0; round < 4_000; round++) {
    const bent = mutated(await wasmOf(VALID[round % VALID.length]!), random);
    let prepared: Uint8Array<ArrayBuffer>;
    try {
      readModule(bent, { maxMemory: 64 }, {});
      prepared = prepareModule(bent, 1_024);
    } catch {
      continue;
    }
    ok(WebAssembly.validate(bent) === WebAssembly.validate(prepared), `round ${round}`);
    agreed++;
  }
  ok(agreed > 100, String(agreed));
});
