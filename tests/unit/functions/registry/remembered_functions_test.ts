import { deepEqual, equal, rejects } from "node:assert/strict";
import { RememberedFunctions } from "../../../../services/functions/registry/remembered_functions.ts";
import type { FunctionState } from "../../../../services/functions/registry/state.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { SECOND, TestClock } from "../../control_plane/support/clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";

const { signal } = CONTEXT;
const UNAVAILABLE = { code: "UNAVAILABLE" };

/** A function that was read once, and a control plane that is away since then. */
async function remembered(maxStale?: number) {
  const clock = new TestClock();
  let away = false, reads = 0;
  const functions = new RememberedFunctions({
    monotonic: clock.now,
    maxStale,
    read: () => {
      reads++;
      if (away) return Promise.reject(new GatewayError("UNAVAILABLE", "away"));
      return Promise.resolve({ versions: [] } as unknown as FunctionState);
    },
  });
  const state = await functions.get("shop", "hello", signal);
  away = true;
  const isKnown = async () => await functions.get("shop", "hello", signal) === state;
  return { clock, functions, isKnown, reads: () => reads };
}

Deno.test("while the control plane is away a function is known for as long as credentials are, and a minute at most", async () => {
  for (const [maxStale, known] of [[20 * SECOND, 20], [undefined, 60], [600 * SECOND, 60]] as const) {
    const t = await remembered(maxStale);
    t.clock.advance((known - 1) * SECOND);
    equal(await t.isKnown(), true, `${maxStale}`);
    // Also while nobody tries to read it anew.
    t.clock.advance(SECOND);
    await rejects(t.isKnown, UNAVAILABLE, `${maxStale}`);
  }
});

Deno.test("where credentials are not believed for a moment, a function is known until it has to be read anew", async () => {
  const t = await remembered(0);
  t.clock.advance(3 * SECOND);
  deepEqual([await t.isKnown(), t.reads()], [true, 1]);
  t.clock.advance(3 * SECOND);
  await rejects(t.isKnown, UNAVAILABLE);
});
