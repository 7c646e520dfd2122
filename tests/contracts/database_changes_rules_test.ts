import { equal, rejects } from "node:assert/strict";
import { DEFAULT_RULES } from "../../services/database/runner.ts";
import { openDrivers } from "../../src/drivers.ts";
import { engineTest } from "../engines/support/engine_test.ts";
import { load } from "../unit/config/support.ts";
import { is, NAMESPACE, request } from "./change_feeds.ts";

/** What the rules of a namespace and the configuration say reaches the feed, whichever the driver. */
async function check(database: object): Promise<void> {
  const dir = await Deno.makeTempDir();
  const yaml = JSON.stringify({ data: { dir }, database: { ...database, change_listeners: 1 } });
  const rules = { ...DEFAULT_RULES, retainedChanges: 3 };
  const drivers = await openDrivers(load({ yaml }).config, {
    databaseOf: () => Promise.resolve("one"),
    sqlRulesOf: () => rules,
  }, "command");
  try {
    const { database, databaseChanges: feed } = drivers;
    await database.execute(NAMESPACE, { sql: "CREATE TABLE t (a)", args: [] }, request);
    await feed.enable(NAMESPACE, "t", undefined, request);
    await database.execute(NAMESPACE, { sql: "INSERT INTO t VALUES (1), (2), (3), (4), (5)", args: [] }, request);
    await feed.sweep();
    equal((await feed.log(NAMESPACE, { tables: undefined, since: "0" }, 100, request)).changes.length, 3);
    const listen = () => feed.listen(NAMESPACE, { tables: ["t"], since: "now" }, request);
    const listener = await listen();
    await rejects(listen(), is("TOO_MANY_LISTENERS", "1 listen to this gateway already"));
    listener.close();
  } finally {
    await drivers.close();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("sqlite: the rules of a namespace and the configuration bound its feed", () => check({ driver: "sqlite" }));

engineTest("rqlite: the rules of a namespace and the configuration bound its feed", ["rqlited"], async (engines) => {
  const { urls } = await engines.rqlite({ nodes: 1 });
  // The control plane is not asked.
  const rqlite = { control: ["http://127.0.0.1:1"], pool: [{ name: "one", urls }] };
  await check({ driver: "rqlite", rqlite });
});
