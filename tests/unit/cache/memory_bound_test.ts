import { ok } from "node:assert/strict";
import type { Probed } from "./support/memory_probe.ts";

const MIB = 2 ** 20;
/** What a process may take beyond the bound for what is no entry: garbage that was not collected yet, compiled code. */
const SLACK = 64 * MIB;

async function probe(maxBytes: number, kind: string): Promise<Probed> {
  const { success, code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--v8-flags=--expose-gc,--max-semi-space-size=4",
      new URL("support/memory_probe.ts", import.meta.url).href,
      String(maxBytes),
      kind,
      "7",
    ],
  }).output();
  ok(success, `exit ${code}, signal ${signal}: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Of each kind the part of the bound that has to be held at least, so that the memory that was given is used. */
for (
  const [kind, least] of [
    ["mixed", 0.9],
    ["mostly_small", 0.9],
    ["text", 0.9],
    ["wide_text", 0.9],
    ["bytes", 0.9],
    ["tiny", 0.9],
    ["maps", 0.8],
    ["namespaces", 0.8],
  ] as const
) {
  Deno.test(`entries of the kind ${kind} take as much memory as the bound says`, async () => {
    const maxBytes = 32 * MIB;
    const { counted, held, evictions, rss: [before, after] } = await probe(maxBytes, kind);
    const told = JSON.stringify({ kind, counted, held, evictions, before, after });
    ok(evictions > 1_000, told);
    ok(counted <= maxBytes && counted > maxBytes * 0.9, told);
    ok(held <= maxBytes * 1.1 && held >= maxBytes * least, told);
    // Maps and namespaces are objects of JavaScript, whose garbage stays for as long as there is memory.
    if (kind !== "maps" && kind !== "namespaces") ok(after - before <= maxBytes * 1.1 + SLACK, told);
  });
}
