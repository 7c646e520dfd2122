import { deepEqual, equal, rejects } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { awaitedLater } from "../../support/awaited_later.ts";

Deno.test("a failure of what is awaited later is told where it is awaited, and of what nobody awaits, nowhere", async () => {
  const failing = () => Promise.reject(new Error("early"));
  const [one, left] = awaitedLater([failing(), failing()]), other = awaitedLater(failing());
  awaitedLater(other.then(() => left));
  await setImmediate();
  await rejects(one, /early/);
  await rejects(other, /early/);
});

Deno.test("what is awaited later is the same as what was given", async () => {
  const given = [Promise.resolve(1), Promise.resolve(2)];
  equal(awaitedLater(given), given);
  deepEqual(await Promise.all(awaitedLater(given)), [1, 2]);
});
