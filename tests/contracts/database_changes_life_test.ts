import { deepEqual, equal, rejects } from "node:assert/strict";
import { DEFAULT_RULES } from "../../services/database/runner.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import {
  brief,
  closing,
  disposable,
  FeedSubject,
  feedTests,
  is,
  NAMESPACE,
  numberOf,
  request,
  take,
} from "./change_feeds.ts";

feedTests({
  "a feed follows its table through every kind of ALTER": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)", "CREATE TABLE other (x)");
    await db.on("t");
    using listener = disposable(await db.listen(["t"]));
    const steps = [
      "ALTER TABLE t ADD COLUMN c DEFAULT 'new'",
      "ALTER TABLE main.t RENAME COLUMN a TO aa",
      "ALTER TABLE t DROP b",
      'ALTER TABLE T RENAME TO "t\'s ""new"" name"',
      'CREATE UNIQUE INDEX i ON "t\'s ""new"" name" (c)',
      'ALTER TABLE "t\'s ""new"" name" RENAME TO u',
      "DROP INDEX i",
    ];
    const tables = ["t", "t", "t", `"t's ""new"" name"`, `"t's ""new"" name"`, "u", "u"];
    for (const [at, sql] of steps.entries()) {
      await db.run(sql, `INSERT INTO ${tables[at]} (id) VALUES (${at})`, `DELETE FROM ${tables[at]}`);
    }
    const rows = (await take(listener.value, 14)).filter(({ kind }) => kind === "insert").map(brief);
    deepEqual(rows, [
      'insert t {"id":0} null {"id":0,"a":null,"b":null,"c":"new"}',
      'insert t {"id":1} null {"id":1,"aa":null,"b":null,"c":"new"}',
      'insert t {"id":2} null {"id":2,"aa":null,"c":"new"}',
      'insert t\'s "new" name {"id":3} null {"id":3,"aa":null,"c":"new"}',
      'insert t\'s "new" name {"id":4} null {"id":4,"aa":null,"c":"new"}',
      'insert u {"id":5} null {"id":5,"aa":null,"c":"new"}',
      'insert u {"id":6} null {"id":6,"aa":null,"c":"new"}',
    ]);
    await rejects(db.exec("ALTER TABLE u DROP COLUMN id"), is("SQL_INVALID"));
    await rejects(db.transaction("ALTER TABLE u DROP COLUMN aa", "INSERT INTO missing VALUES (1)"), is("SQL_INVALID"));
    const { next } = await db.log("now");
    await db.run("INSERT INTO u VALUES (9, 1, 2)");
    deepEqual(await db.told(next), ['insert u {"id":9} null {"id":9,"aa":1,"c":2}']);
    deepEqual((await db.feed.tables(NAMESPACE, request)).map(({ table }) => table), ["u"]);
    deepEqual(db.failures, []);
  },

  "a table that is dropped ends its feed, and another one of its name begins a new one": async (db) => {
    await db.run("CREATE TABLE t (a)", "CREATE TABLE u (a)");
    await db.on("t");
    await db.on("u");
    using listener = disposable(await db.listen(["t", "u"]));
    await db.run("INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TABLE t (b)", "INSERT INTO t VALUES (2)");
    await db.on("t");
    await db.run("INSERT INTO t VALUES (3)");
    await db.feed.disable(NAMESPACE, "U", request);
    await db.run("INSERT INTO u VALUES (4)");
    deepEqual((await take(listener.value, 4)).map(brief), [
      'insert t {"rowid":1} null {"a":1}',
      "dropped t null null null",
      'insert t {"rowid":2} null {"b":3}',
      "dropped u null null null",
    ]);
    await rejects(db.feed.disable(NAMESPACE, "u", request), is("NOT_FOUND"));
    await rejects(db.listen(["u"]), is("NOT_FOUND"));
    using again = disposable(await db.listen(["u"], "0"));
    deepEqual((await take(again.value, 1)).map(brief), ["dropped u null null null"]);
  },

  "what is too much or too old is forgotten, and nobody takes what is left for all there was": async (db) => {
    const clock = { now: 1_000_000 };
    const rules = { ...DEFAULT_RULES, retainedChanges: 10, changeRetention: 240_000 };
    using small = closing(db.other({ rulesOf: () => rules, now: () => clock.now }));
    const { value } = small;
    await value.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    await value.on("t");
    await value.transaction(...Array.from({ length: 25 }, (_, i) => `INSERT INTO t VALUES (${i})`));
    const { changes } = await value.log();
    await value.feed.sweep();
    deepEqual((await value.log()).changes.map(({ position }) => numberOf(position)), [
      16,
      17,
      18,
      19,
      20,
      21,
      22,
      23,
      24,
      25,
    ]);
    await rejects(value.log(changes[13]!.position), is("POSITION_GONE"));
    equal((await value.log(changes[14]!.position)).changes.length, 10);
    using late = disposable(await value.listen(["t"], changes[0]!.position));
    const [lost] = await take(late.value, 1);
    deepEqual([lost!.kind, numberOf(lost!.position)], ["truncated", 25]);
    clock.now += 250_000;
    await value.feed.sweep();
    deepEqual((await value.log()).changes.map(({ position }) => numberOf(position)), [25]);
    await value.run("DELETE FROM t WHERE id = 3");
    deepEqual((await take(late.value, 1)).map(({ position }) => numberOf(position)), [26]);
  },

  "a position of another life of the database is never taken for one of this": async (db) => {
    const begin = async () => {
      await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
      await db.on("t");
      await db.run("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)");
    };
    await begin();
    const [first] = (await db.log()).changes;
    using listener = disposable(await db.listen(["t"]));
    await db.database.purge(NAMESPACE, request.signal);
    deepEqual((await take(listener.value, 1)).map(brief), ["dropped t null null null"]);
    equal(await listener.value.next(AbortSignal.timeout(5_000)), undefined);
    await rejects(db.listen(["t"]), is("NOT_FOUND"));
    await begin();
    await rejects(db.log(first!.position), is("POSITION_GONE"));
    using late = disposable(await db.listen(["t"], first!.position));
    deepEqual((await take(late.value, 1)).map(brief), ["truncated"]);
    await db.run("INSERT INTO t VALUES (3)");
    deepEqual((await take(late.value, 1)).map(brief), ['insert t {"id":3} null {"id":3}']);
    const [epoch] = first!.position.split("-");
    for (const since of ["", "1", "x-1", `${epoch}-`, `${epoch}--1`, `${epoch}-01`, `${epoch}-1'`, "NOW", "0x1"]) {
      await rejects(db.listen(["t"], since), is("INVALID_REQUEST"), since);
    }
  },

  "another gateway hears what this one writes, from wherever it was": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    await db.on("t");
    using there = closing(db.other());
    using listener = disposable(await there.value.listen(["t"]));
    await db.run("INSERT INTO t VALUES (1)");
    const [one] = await take(listener.value, 1);
    await db.run("INSERT INTO t VALUES (2)", "ALTER TABLE t RENAME TO u", "DROP TABLE u");
    deepEqual((await take(listener.value, 2)).map(({ kind }) => kind), ["insert", "dropped"]);
    using again = disposable(await there.value.listen(["t"], one!.position));
    deepEqual((await take(again.value, 2)).map(({ kind }) => kind), ["insert", "dropped"]);
  },

  "as many listen as may, and a place that is given back is free": async (db) => {
    using few = closing(db.other({ maxListenersEach: 2 }));
    const { value } = few;
    await rejects(value.listen(["t"]), is("NOT_FOUND"));
    await value.run("CREATE TABLE t (a)");
    await rejects(value.listen(["t"]), is("NOT_FOUND"));
    await value.on("t");
    using one = disposable(await value.listen(["t"]));
    const two = await value.listen(["t"]);
    await rejects(value.listen(["t"]), is("TOO_MANY_LISTENERS"));
    two.close();
    two.close();
    using three = disposable(await value.listen(["t"]));
    equal(value.feed.listeners, 2);
    await value.run("INSERT INTO t VALUES (1)");
    for (const { value: listener } of [one, three]) equal((await take(listener, 1)).length, 1);
    equal(value.feed.delivered, 2);
  },

  "the gateway as a whole has room for so many listeners, whatever their namespace": async (db) => {
    using few = closing(db.other({ maxListeners: 2 }));
    const { value } = few;
    await value.run("CREATE TABLE t (a)");
    await value.on("t");
    const listen = (namespace: string, table = "t") =>
      value.feed.listen(namespace, { tables: [table], since: "now" }, request);
    for (let i = 0; i < 3; i++) await rejects(listen("another", "u"), is("NOT_FOUND"), "who is refused takes no room");
    const one = await value.listen(["t"]);
    using two = disposable(await value.listen(["t"]));
    for (const namespace of [NAMESPACE, "another"]) {
      await rejects(listen(namespace), (error) => {
        is("TOO_MANY_LISTENERS", "2 listen to this gateway already")(error);
        equal((error as GatewayError).extra.retryAfter, 5);
        return true;
      });
    }
    equal(value.feed.listeners, 2);
    one.close();
    one.close();
    equal(value.feed.listeners, 1);
    using three = disposable(await value.listen(["t"]));
    await value.run("INSERT INTO t VALUES (1)");
    for (const { value: listener } of [two, three]) equal((await take(listener, 1)).length, 1);
  },

  "what is to be kept may change: less holds at the next look, though nobody writes": async (db) => {
    const clock = { now: Date.now() };
    let rules = { ...DEFAULT_RULES, retainedChanges: 20, changeRetention: 24 * 3_600_000 };
    using small = closing(db.other({ rulesOf: () => Promise.resolve(rules), now: () => clock.now }));
    const { value } = small;
    const kept = async () => (await value.log()).changes.length;
    await value.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    await value.on("t");
    await value.transaction(...Array.from({ length: 25 }, (_, i) => `INSERT INTO t VALUES (${i})`));
    const said = rules;
    rules = { ...rules, retainedChanges: Infinity, changeRetention: Infinity };
    await value.feed.sweep();
    equal(await kept(), 25, "nobody could say how many are to be kept");
    rules = said;
    await value.feed.sweep();
    equal(await kept(), 20);
    rules = { ...rules, retainedChanges: 30 };
    await value.feed.sweep();
    rules = { ...rules, retainedChanges: 5 };
    await value.feed.sweep();
    equal(await kept(), 5);
    rules = { ...rules, changeRetention: 60_000 };
    clock.now += 61_000;
    await value.feed.sweep();
    equal(await kept(), 1, "the last one tells the next one's number");
    deepEqual(value.failures, []);
  },

  "of a database that was emptied nothing is asked any more, and who listened hears that its feeds are gone": async (
    db,
  ) => {
    const asked: string[] = [];
    const driver = new Proxy(db.driver, {
      get(target, name) {
        const member = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          asked.push(String(name));
          return member.apply(target, args);
        };
      },
    });
    using own = closing(new FeedSubject(driver, { poll: undefined }));
    const { value } = own;
    await value.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    await value.on("t");
    await value.run("INSERT INTO t VALUES (1)");
    using listener = disposable(await value.listen(["t"]));
    await value.database.purge(NAMESPACE, request.signal);
    asked.length = 0;
    deepEqual((await take(listener.value, 1)).map(brief), ["dropped t null null null"]);
    equal(await listener.value.next(AbortSignal.timeout(5_000)), undefined);
    await value.feed.sweep();
    deepEqual(asked, []);
  },

  "a namespace that is gone is no failure, and is looked at no more": async (db) => {
    let gone = false, asked = 0;
    const driver = new Proxy(db.driver, {
      get(target, name) {
        const member = Reflect.get(target, name);
        return typeof member !== "function" ? member : (...args: unknown[]) => {
          if (!gone) return member.apply(target, args);
          asked++;
          return Promise.reject(new GatewayError("NOT_FOUND", "no such namespace"));
        };
      },
    });
    using own = closing(new FeedSubject(driver, { poll: undefined }));
    await own.value.run("CREATE TABLE t (a)");
    gone = true;
    await own.value.feed.sweep();
    await own.value.feed.sweep();
    deepEqual([asked, own.value.failures], [1, []]);
    gone = false;
  },

  "who does not read costs nothing and misses nothing": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    await db.on("t");
    using listener = disposable(await db.listen(["t"]));
    for (let i = 0; i < 5; i++) {
      await db.exec(
        `INSERT INTO t (a) WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000) SELECT ${i} FROM c`,
      );
    }
    const events = await take(listener.value, 5_000);
    deepEqual(events.map(({ position }) => numberOf(position)), Array.from({ length: 5_000 }, (_, i) => i + 1));
  },
});
