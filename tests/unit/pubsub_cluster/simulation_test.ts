import { deepEqual, ok } from "node:assert/strict";
import { Simulation } from "./support/simulation.ts";

/** How many to try; the first of them is another number where one fails and is to be looked at. */
const SEEDS = Number(Deno.env.get("TEST_SEEDS") ?? 200), FIRST = Number(Deno.env.get("TEST_FIRST_SEED") ?? 1);

async function tryAll() {
  const counts = new Map<string, number>();
  const failed: { readonly seed: number; readonly wrong: readonly string[] }[] = [];
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const outcome = await new Simulation(seed).run().catch((cause) => {
      throw new Error(`seed ${seed} threw`, { cause });
    });
    for (const [what, count] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (outcome.wrong.length > 0) failed.push({ seed, wrong: outcome.wrong });
  }
  return { counts, failed };
}

Deno.test("gateways that fail in every way tell each client all, in order and once, or that something is missing", async () => {
  const { counts, failed } = await tryAll();
  deepEqual(failed, []);
  const of = (what: string) => counts.get(what) ?? 0;
  // A day on which nothing happened would prove nothing.
  for (
    const what of [
      "killed",
      "stopped",
      "divided",
      "gap gateway_lost",
      "subscribed: recovered",
      "subscribed: gateway_lost",
    ]
  ) {
    ok(of(what) > 0, what);
  }
});
