import { deepEqual, equal, ok } from "node:assert/strict";
import { Resealing } from "../../../../services/functions/secrets/resealing.ts";
import type { RotationResult } from "../../../../services/functions/secrets/rotation.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { until } from "../../../engines/support/wait.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { FakeClock } from "../../cache/support/fake_clock.ts";
import { keyOf, Vaults } from "./support/vaults.ts";

const DELAY = 600_000;

function resealing(rotate: (signal: AbortSignal) => Promise<RotationResult>) {
  const clock = new FakeClock();
  const done: RotationResult[] = [], errors: unknown[] = [];
  const parts = { rotate, clock, delay: DELAY };
  const made = new Resealing({
    ...parts,
    onDone: (result) => done.push(result),
    onError: (error) => errors.push(error),
  });
  return { clock, done, errors, resealing: made };
}

Deno.test("nothing is sealed anew before every gateway can have been started with the new key", async () => {
  await using vaults = await Vaults.start("shop");
  await (await vaults.gateway()).set("A", "one");
  const { secrets } = await vaults.gateway({ keys: [keyOf(2), keyOf(1)] });
  const [before] = await vaults.rows();
  const t = resealing((signal) => secrets.rotate(signal));
  t.resealing.start();
  await t.clock.advance(DELAY - 1);
  deepEqual(await vaults.rows(), [before]);
  await t.clock.advance(1);
  await until("it is done", () => t.done.length === 1);
  deepEqual(t.done, [{ rewritten: 1, unreadable: 0 }]);
  const [after] = await vaults.rows();
  ok(after!.key_id !== before!.key_id);
  equal(t.clock.timers, 0, "once for each start");
});

Deno.test("it is tried until it succeeded, ever more seldom, and what it came to is always told", async () => {
  let tries = 0, away = true;
  const t = resealing(() => {
    tries++;
    if (away) return Promise.reject(new GatewayError("UNAVAILABLE", "away"));
    return Promise.resolve({ rewritten: 0, unreadable: 0 });
  });
  t.resealing.start();
  await t.clock.advance(DELAY + 24 * 60 * 60_000);
  ok(tries > 100 && tries < 200, String(tries));
  deepEqual([t.errors.length, t.done], [tries, []]);
  away = false;
  await t.clock.advance(600_000);
  deepEqual(t.done, [{ rewritten: 0, unreadable: 0 }]);
  equal(t.clock.timers, 0);
});

Deno.test("closing ends it while it waits and while it works, and is no failure", async () => {
  const waits = resealing(() => Promise.reject(new Error("never asked")));
  waits.resealing.start();
  await waits.resealing.close();
  await waits.clock.advance(10 * DELAY);
  deepEqual([waits.clock.timers, waits.errors], [0, []]);

  const works = resealing((signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  works.resealing.start();
  await works.clock.advance(DELAY);
  const closing = awaitedLater(works.resealing.close());
  await withinDeadline(closing, "it is closed", 5_000);
  deepEqual([works.clock.timers, works.errors, works.done], [0, [], []]);
});
