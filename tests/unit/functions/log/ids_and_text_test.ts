import { deepEqual, equal, ok } from "node:assert/strict";
import { firstIdAt, isLogId, LogIds, timeOfId } from "../../../../services/functions/log/ids.ts";
import { keptText, LONGEST_TEXT } from "../../../../services/functions/log/text.ts";
import { Chance } from "../../control_plane/support/chance.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

Deno.test("ids of a gateway rise, whatever its clock does and however many there are in a millisecond", () => {
  let now = 1_700_000_000_000;
  const ids = new LogIds(() => now, new Chance(1).bytes);
  const made: string[] = [];
  for (let i = 0; i < 200_000; i++) {
    if (i === 70_000) now -= 3_600_000;
    if (i === 150_000) now += 7_200_000;
    made.push(ids.next());
  }
  ok(made.every((id, i) => i === 0 || id > made[i - 1]!));
  ok(made.every(isLogId));
  equal(timeOfId(made.at(-1)!), now);
});

Deno.test("ids of two gateways sort by time, and are never the same within a millisecond", () => {
  let now = 1_700_000_000_000;
  const chance = new Chance(2);
  const [one, other] = [new LogIds(() => now, chance.bytes), new LogIds(() => now, chance.bytes)];
  const before = one.next(), same = other.next();
  ok(before !== same);
  now++;
  ok(other.next() > before);
  ok(one.next() > same);
});

Deno.test("the first id of a time is behind all before it and before all of it", () => {
  let now = 1_700_000_000_000;
  const ids = new LogIds(() => now, new Chance(3).bytes);
  const before = ids.next();
  const first = firstIdAt(++now);
  const after = ids.next();
  ok(before < first && first < after);
  deepEqual([firstIdAt(-5), firstIdAt(1e300)].map(isLogId), [true, true]);
});

Deno.test("what is no id is known for none", () => {
  for (const text of ["", "g", "0".repeat(27), "0".repeat(29), "F".repeat(28), `${"0".repeat(28)}\n`, "' OR 1=1 --"]) {
    equal(isLogId(text), false, text);
  }
});

Deno.test("a text is cut at 16 KiB of UTF-8, between characters, and says so", () => {
  for (const unit of ["a", "é", "€", "😀", "a😀", "aé€😀"]) {
    for (let more = -3; more <= 5; more++) {
      const text = unit.repeat(Math.ceil(LONGEST_TEXT / bytesOf(unit))) + "x".repeat(Math.max(0, more));
      const kept = keptText(text);
      ok(bytesOf(kept) <= LONGEST_TEXT, `${unit} ${more}: ${bytesOf(kept)}`);
      ok(kept.isWellFormed());
      if (bytesOf(text) <= LONGEST_TEXT) equal(kept, text);
      else ok(kept.endsWith("(cut)") && text.startsWith(kept.slice(0, -8)), unit);
    }
  }
  equal(keptText("x".repeat(50_000_000)).length, LONGEST_TEXT - 2);
});

Deno.test("a text that SQLite or UTF-8 cannot hold becomes one that they can", () => {
  equal(keptText("a\0b"), "a\ufffdb");
  equal(keptText("a\ud800b"), "a\ufffdb");
  equal(keptText(""), "");
});
