import { deepEqual, equal } from "node:assert/strict";
import { CallLine } from "../../../../services/functions/hosts/call_line.ts";
import { KnownModules } from "../../../../services/functions/hosts/known_modules.ts";

const item = (lane: string, name: string) => ({ lane, name, bytes: 1 });

Deno.test("a line goes in the order of its coming, past lanes that are held up", () => {
  const line = new CallLine<ReturnType<typeof item>>();
  const [a1, b1, a2, b2] = [item("a", "a1"), item("b", "b1"), item("a", "a2"), item("b", "b2")];
  for (const one of [a1, b1, a2, b2]) line.join(one);
  equal(line.next(() => true), a1);
  equal(line.next(({ lane }) => lane === "b"), b1);
  equal(line.next(() => false), undefined);
  equal(line.leave(a1), true);
  equal(line.leave(a1), false);
  equal(line.next(() => true), b1);
  line.rejoin(a1);
  equal(line.next(() => true), a1);
  equal(line.bytes, 4);
  deepEqual([line.size, line.clear().length, line.size, line.next(() => true)], [4, 4, 0, undefined]);
  equal(line.bytes, 0);
});

Deno.test("a line of many does not get slow when all of them leave", () => {
  const line = new CallLine<ReturnType<typeof item>>();
  const all = Array.from({ length: 100_000 }, (_, i) => item("a", String(i)));
  for (const one of all) line.join(one);
  const begun = performance.now();
  for (const one of all.toReversed()) line.leave(one);
  equal(line.size, 0);
  equal(performance.now() - begun < 2_000, true);
});

Deno.test("a host's modules are bounded in number and in bytes, and those used last stay", () => {
  const known = new KnownModules({ count: 3, bytes: 100 });
  for (const key of ["a", "b", "c"]) deepEqual(known.add(key, 30), []);
  known.use("a");
  deepEqual(known.add("d", 10), ["b"]);
  deepEqual(known.add("e", 60), ["c"]);
  deepEqual(known.add("f", 99), ["a", "d", "e"]);
  deepEqual([known.has("f"), known.use("e")], [true, false]);
  known.drop("f");
  deepEqual(known.add("g", 100), []);
  deepEqual(known.add("larger than all", 1_000), ["g"]);
  deepEqual(known.add("h", 1), ["larger than all"]);
});
