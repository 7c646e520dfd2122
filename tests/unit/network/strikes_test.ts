import { deepEqual, equal } from "node:assert/strict";
import { Strikes } from "../../../services/network/strikes.ts";

const MINUTE = 60_000;

Deno.test("who does what no gateway does is shut out, each time for longer, and at most for five minutes", () => {
  let now = 0;
  const strikes = new Strikes(() => now);
  const outFor: number[] = [];
  for (let i = 0; i < 9; i++) {
    strikes.strike("a");
    const began = now;
    while (strikes.isOut("a")) now += 1_000;
    outFor.push(now - began);
  }
  deepEqual(outFor, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  equal(strikes.isOut("b"), false);
});

Deno.test("what somebody did is forgotten after ten minutes", () => {
  let now = 0;
  const strikes = new Strikes(() => now);
  for (let i = 0; i < 6; i++) strikes.strike("a");
  now += 11 * MINUTE;
  strikes.strike("a");
  now += 5_000;
  equal(strikes.isOut("a"), false);
});

Deno.test("an operator shuts somebody out for as long as they say, and lets them in again", () => {
  let now = 0;
  const strikes = new Strikes(() => now);
  strikes.shut("a", 10 * MINUTE);
  now += 10 * MINUTE - 1;
  equal(strikes.isOut("a"), true);
  strikes.forgive("a");
  equal(strikes.isOut("a"), false);
  strikes.shut("a", MINUTE);
  now += MINUTE;
  equal(strikes.isOut("a"), false);
});

Deno.test("whoever comes under ever new names does not fill the memory, and is not forgiven sooner than others", () => {
  const strikes = new Strikes(() => 0);
  for (let i = 0; i < 10_000; i++) strikes.strike(`peer-${i}`);
  equal(strikes.isOut("peer-0"), true);
  strikes.strike("one more");
  deepEqual(["peer-0", "peer-1", "one more"].map((peer) => strikes.isOut(peer)), [false, true, true]);
});
