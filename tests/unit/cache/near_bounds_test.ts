import { deepEqual, equal, ok } from "node:assert/strict";
import { LIFE, NearSubject, numberIn, SHOP, USERS, WAITER } from "./support/near.ts";

Deno.test("the copies of all namespaces together stay within their bytes; what was unused for longest leaves", async () => {
  const MOST = 100_000;
  await using t = new NearSubject(MOST);
  const value = { json: JSON.stringify("x".repeat(1_000)) };
  const read = async (namespace: string, key: string) => {
    const before = t.asked;
    await t.read(key, USERS, namespace);
    return t.asked > before ? "asked" : "held";
  };
  for (let i = 0; i < 300; i++) {
    for (const namespace of [SHOP, "cafe"]) {
      t.memory.put(namespace, { map: USERS, key: `k${i}` }, value, {}, WAITER);
      equal(await read(namespace, `k${i}`), "asked");
    }
    equal(await read(SHOP, "k0"), "held", "it is used all the while");
    const { bytes } = t.near.near();
    ok(bytes <= MOST, `${bytes} bytes`);
  }
  const { entries, bytes } = t.near.near();
  ok(entries > 60 && entries < 100, `${entries} entries`);
  ok(bytes > MOST - 2_000, `${bytes} bytes`);
  deepEqual(
    [await read("cafe", "k299"), await read(SHOP, "k299"), await read("cafe", "k0"), await read(SHOP, "k1")],
    ["held", "held", "asked", "asked"],
  );
});

Deno.test("a value that is larger than all that may be held is answered, and neither held nor anything thrown out for it", async () => {
  await using t = new NearSubject(10_000);
  t.elsewhere("small", 1);
  await t.read("small");
  const wide = { json: JSON.stringify("ж".repeat(5_000)) };
  const bytes = { bytes: new Uint8Array(10_000), type: "a/b" };
  for (const value of [wide, bytes]) {
    t.memory.put(SHOP, { map: USERS, key: "large" }, value, {}, WAITER);
    for (let i = 0; i < 2; i++) {
      const before = t.asked;
      deepEqual((await t.read("large"))?.value, value);
      equal(t.asked, before + 1);
    }
  }
  const before = t.asked;
  equal(await t.number("small"), 1);
  equal(t.asked, before);
  equal(t.near.near().entries, 1);
});

Deno.test("copies of other namespaces, maps and keys are other copies, however their names run together", async () => {
  await using t = new NearSubject();
  const names = [
    "a",
    "b",
    "ab",
    "1",
    "1:",
    ":",
    "1:a",
    "a:b",
    "\u0000",
    "a\u0000b",
    "__proto__",
    "constructor",
    "é",
    "e\u0301",
  ];
  t.lives = new Map(names.map((name) => [name, LIFE]));
  const places = names.flatMap((namespace) =>
    names.flatMap((map) => names.map((key) => [namespace, map, key] as const))
  );
  for (const [i, [namespace, map, key]] of places.entries()) t.elsewhere(key, i, undefined, map, namespace);
  for (const [namespace, map, key] of places) await t.read(key, map, namespace);
  equal(t.asked, places.length);
  for (const [i, [namespace, map, key]] of places.entries()) {
    equal(numberIn(await t.get(key, map, namespace)), i, JSON.stringify([namespace, map, key]));
  }
  equal(t.asked, places.length, "all are held");
  t.near.forget("a");
  const asked = [];
  for (const [namespace, map, key] of places) {
    const before = t.asked;
    await t.read(key, map, namespace);
    if (t.asked > before) asked.push(namespace);
  }
  deepEqual([...new Set(asked)], ["a"]);
  equal(asked.length, names.length ** 2);
});

Deno.test("other rules hold from the next read on: a shorter life, none, and one anew", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  equal(await t.number("a"), 1);
  t.elsewhere("a", 2);
  t.clock.pass(LIFE / 2);
  equal(await t.number("a"), 1);
  t.lives = new Map([[USERS, LIFE / 2]]);
  equal(await t.number("a"), 2, "what was held for longer is not answered any more");
  t.lives = new Map();
  t.elsewhere("a", 3);
  equal(await t.number("a"), 3);
  t.lives = new Map([[USERS, LIFE]]);
  t.elsewhere("a", 4);
  equal(await t.number("a"), 4, "nor what was held before there was none");
  equal(await t.number("a"), 4);
  equal(t.asked, 4);
});
