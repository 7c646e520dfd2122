import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type CacheSubject, json, MAP, NAMESPACE, onEveryCache, REQUEST } from "./cache_drivers.ts";
import { is } from "./sql_databases.ts";

/** Milliseconds: enough to be looked at meanwhile on a slow machine. */
const SHORT = 400, LONG = 600_000;

/** The moment at which an entry ends. */
async function endOf(subject: CacheSubject, key: string): Promise<number> {
  const { expiresAt } = (await subject.get(key))!;
  ok(expiresAt !== undefined);
  return expiresAt;
}

onEveryCache({
  "an entry is there until its time is over, and never afterwards": async (subject) => {
    const before = subject.clock.now();
    await subject.put("a", json(1), { ttl: SHORT });
    await subject.put("stays", json(1));
    const end = await endOf(subject, "a");
    ok(end >= before + SHORT && end <= subject.clock.now() + SHORT, `${end - before}`);
    await subject.until(end - SHORT / 2);
    ok(await subject.get("a") !== undefined || subject.clock.now() >= end);
    await subject.until(end);

    equal(await subject.get("a"), undefined);
    deepEqual(await subject.cache.getMany(NAMESPACE, MAP, ["a"], REQUEST), [undefined]);
    deepEqual(await subject.keys(), ["stays"]);
    equal(await subject.cache.touch(NAMESPACE, MAP, ["a"], REQUEST), 0);
    equal(await subject.expire("a", LONG), false);
    equal(await subject.delete("a"), false);
    await rejects(subject.put("a", json(2), { condition: "present" }), is("PRECONDITION_FAILED"));
    await subject.put("a", json(2), { condition: "absent" });
    equal(await subject.json("a"), 2);
  },

  "what is over is absent for every kind of write": async (subject) => {
    for (const key of ["swapped", "counted", "put", "dead"]) await subject.put(key, json("old"), { ttl: SHORT });
    const { version } = (await subject.get("dead"))!;
    await subject.until(await endOf(subject, "dead"));
    equal(await subject.swap("swapped", json("new")), undefined);
    equal(await subject.increment("counted"), 1);
    await rejects(subject.put("dead", json(1), { condition: { version } }), is("PRECONDITION_FAILED"));
    equal(await subject.delete("dead", version), false);
    equal(await subject.cache.deleteMany(NAMESPACE, MAP, ["put", "dead"], REQUEST), 0);
  },

  "a write never keeps the time of the entry before": async (subject) => {
    await subject.put("a", json(1), { ttl: SHORT });
    await subject.put("b", json(1), { ttl: SHORT });
    await subject.put("c", json(1));
    const end = await endOf(subject, "b");
    await subject.put("a", json(2));
    await subject.swap("b", json(2));
    await subject.put("c", json(2), { ttl: LONG });
    await subject.until(end);
    deepEqual([await subject.json("a"), await subject.json("b")], [2, 2]);
    equal((await subject.get("a"))?.expiresAt, undefined);
    ok(await endOf(subject, "c") > end);
  },

  "an entry is given another time, or none": async (subject) => {
    await subject.put("a", json(1), { ttl: SHORT });
    await subject.put("b", json(1), { ttl: SHORT });
    await subject.put("c", json(1));
    const end = await endOf(subject, "a");
    equal(await subject.expire("a", LONG), true);
    equal(await subject.expire("b", undefined), true);
    equal(await subject.expire("c", SHORT), true);
    equal(await subject.expire("missing", SHORT), false);
    const cEnds = await endOf(subject, "c");
    await subject.until(Math.max(end, cEnds));
    ok(await endOf(subject, "a") > end);
    equal((await subject.get("b"))?.expiresAt, undefined);
    equal(await subject.json("b"), 1);
    equal(await subject.get("c"), undefined);
  },

  "another time is another version": async (subject) => {
    await subject.put("a", json(1));
    const { version } = (await subject.get("a"))!;
    await subject.expire("a", LONG);
    await rejects(subject.put("a", json(2), { condition: { version } }), is("PRECONDITION_FAILED"));
    const next = (await subject.get("a"))!.version;
    await subject.put("a", json(2), { condition: { version: next } });
    equal(await subject.json("a"), 2);
  },

  "several entries are given one time": async (subject) => {
    const entries = ["a", "b"].map((key) => ({ key, value: json(key) }));
    await subject.cache.putMany(NAMESPACE, MAP, entries, SHORT, REQUEST);
    const end = Math.max(await endOf(subject, "a"), await endOf(subject, "b"));
    await subject.until(end);
    deepEqual(await subject.keys(), []);
  },

  "a counter keeps the time that it began with": async (subject) => {
    await subject.increment("a", { ttl: SHORT });
    const end = await endOf(subject, "a");
    equal(await subject.increment("a", { ttl: LONG }), 2);
    equal(await endOf(subject, "a"), end);
    await subject.put("b", json(5));
    equal(await subject.increment("b", { ttl: SHORT }), 6);
    equal((await subject.get("b"))?.expiresAt, undefined);
    await subject.until(end);
    equal(await subject.get("a"), undefined);
    equal(await subject.increment("a"), 1);
    equal((await subject.get("a"))?.expiresAt, undefined);
  },

  "a time that is none is refused": async (subject) => {
    for (const ttl of [0, -1, NaN, -Infinity]) {
      await rejects(subject.put("a", json(1), { ttl }), is("INVALID_REQUEST", "ttl: must be more than 0"));
      await rejects(subject.swap("a", json(1), ttl), is("INVALID_REQUEST", "ttl"));
      await rejects(subject.expire("a", ttl), is("INVALID_REQUEST", "ttl"));
      await rejects(subject.increment("a", { ttl }), is("INVALID_REQUEST", "ttl"));
    }
    for (const ttl of [Infinity, 101 * 365.25 * 24 * 3_600_000]) {
      await rejects(
        subject.put("a", json(1), { ttl }),
        is("INVALID_REQUEST", "invalid ttl format: more than 100 years"),
      );
    }
    equal(await subject.get("a"), undefined);
    await subject.put("a", json(1), { ttl: 99 * 365 * 24 * 3_600_000 });
    equal(await subject.json("a"), 1);
    await subject.put("b", json(1), { ttl: 0.5 });
    const end = (await subject.get("b"))?.expiresAt ?? subject.clock.now();
    ok(end >= subject.clock.now() - 1_000);
    await subject.until(subject.clock.now() + 10);
    equal(await subject.get("b"), undefined);
  },

  "counters start, count, and count in fractions": async (subject) => {
    equal(await subject.increment("a"), 1);
    equal(await subject.increment("a", { by: 41 }), 42);
    equal(await subject.increment("a", { by: -50 }), -8);
    equal(await subject.increment("a", { by: 0.5 }), -7.5);
    equal(await subject.increment("a", { by: 7.5 }), 0);
    equal(Object.is(await subject.increment("a", { by: -0 }), 0), true, "minus zero is zero");
    equal(await subject.increment("b", { by: 5, initial: 100 }), 105);
    equal(await subject.increment("b", { by: 5, initial: 100 }), 110);
    equal(await subject.increment("c", { by: 0.1 }), 0.1);
    equal(await subject.increment("c", { by: 0.2 }), 0.1 + 0.2);
    equal(await subject.json("c"), 0.1 + 0.2);
    await subject.put("d", { json: "1.5e1" });
    equal(await subject.increment("d"), 16);
    await subject.put("e", { json: " 7 " });
    equal(await subject.increment("e"), 8);
  },

  "what is no number, or would be none, does not count, and stays": async (subject) => {
    const wrong = ['"5"', "true", "[1]", '{"a":1}', '""', "9007199254740993", "1e300"];
    for (const text of wrong) {
      await subject.put("a", { json: text });
      await rejects(subject.increment("a"), is("WRONG_TYPE", "nothing was counted"), text);
      deepEqual((await subject.get("a"))?.value, { json: text });
    }
    const bytes = { bytes: new TextEncoder().encode("5"), type: "text/plain" };
    await subject.put("a", bytes);
    await rejects(subject.increment("a"), is("WRONG_TYPE"));
    deepEqual((await subject.get("a"))?.value, bytes);

    await subject.put("b", json(Number.MAX_SAFE_INTEGER));
    await rejects(subject.increment("b"), is("WRONG_TYPE", "the sum is beyond 9007199254740991"));
    equal(await subject.increment("b", { by: -1 }), Number.MAX_SAFE_INTEGER - 1);
    await rejects(subject.increment("c", { by: 2 ** 53 }), is("WRONG_TYPE"));
    await rejects(subject.increment("c", { by: Number.MAX_VALUE, initial: Number.MAX_VALUE }), is("WRONG_TYPE"));
    equal(await subject.get("c"), undefined);
    for (const by of [NaN, Infinity]) {
      await rejects(subject.increment("c", { by }), is("INVALID_REQUEST", "by: must be a finite number"));
      await rejects(subject.increment("c", { initial: by }), is("INVALID_REQUEST", "initial"));
    }
  },

  "no count is lost among many at once": async (subject) => {
    const counts = await Promise.all(Array.from({ length: 300 }, () => subject.increment("a", { initial: 1_000 })));
    deepEqual(counts.toSorted((a, b) => a - b), Array.from({ length: 300 }, (_, i) => 1_001 + i));
    await Promise.all(Array.from({ length: 100 }, () => subject.increment("b", { by: 0.5 })));
    equal(await subject.json("b"), 50);
    await Promise.all(Array.from({ length: 100 }, (_, i) => subject.increment(`c ${i % 10}`, { by: i })));
    deepEqual(
      await Promise.all(Array.from({ length: 10 }, (_, i) => subject.json(`c ${i}`))),
      Array.from({ length: 10 }, (_, i) => 450 + 10 * i),
    );
  },
});
