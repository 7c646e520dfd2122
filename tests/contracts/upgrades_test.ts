import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { ControlDatabase } from "../../services/control_plane/control_database.ts";
import { migrate } from "../../services/control_plane/migrate.ts";
import { migrations } from "../../services/control_plane/migrations/index.ts";
import { RqliteControlDatabase } from "../../services/control_plane/rqlite.ts";
import { SqliteControlDatabase } from "../../services/control_plane/sqlite.ts";
import type { SqlDriver } from "../../services/database/driver.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { SqliteDriver } from "../../services/database/sqlite/driver.ts";
import { namespaceFile } from "../../services/database/sqlite/namespace_file.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { RowChange } from "../../src/contracts/database_changes.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { engineTest } from "../engines/support/engine_test.ts";
import {
  APPLIED,
  CONTROL_VERSIONS,
  fixture,
  KEYED,
  MADE_AT,
  NAMESPACE,
  oldData,
  servicesOn,
} from "../support/old_data.ts";
import { ALICE, Node } from "../unit/auth/support/node.ts";
import { MINUTE, TestClock } from "../unit/control_plane/support/clock.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { WatchedControl } from "../unit/control_plane/support/doubles.ts";
import { settingsOn } from "../unit/namespaces/support/settings.ts";

/** A minute after the fixtures were made. */
const NOW = MADE_AT + MINUTE;

/** Runs something with a copy of a fixture, in a folder that goes with it. */
async function withCopy(name: string, as: string, run: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "orama-upgrade-" });
  try {
    await Deno.copyFile(fixture(name), `${folder}/${as}`);
    await run(`${folder}/${as}`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A fixture as a cluster takes it: not in WAL mode. */
async function loadInto(cluster: RqliteCluster, name: string): Promise<void> {
  await withCopy(name, name, async (path) => {
    const db = new DatabaseSync(path);
    db.exec("PRAGMA journal_mode = DELETE");
    db.close();
    await cluster.load(await Deno.readFile(path));
  });
}

/** Everything that was given out before the upgrade still holds behind it. */
async function isUpgraded(control: ControlDatabase, version: number): Promise<void> {
  const newer = migrations.map((migration) => migration.version).filter((known) => known > version);
  deepEqual(await migrate(control, { now: () => NOW }), newer);
  deepEqual(await migrate(control, { now: () => NOW }), []);
  const { apiKey, walletKey, refreshToken, accessToken } = (await oldData()).control[version]!;
  const clock = new TestClock(NOW);
  await using node = await Node.start({ control: new WatchedControl(control), clock, seed: 2 });

  const app = await node.authenticator.identifyKey(apiKey);
  deepEqual([app?.namespace, [...app?.scopes ?? []]], [NAMESPACE, ["sql:write"]]);
  const wallet = await node.authenticator.identifyKey(walletKey);
  deepEqual([wallet?.namespace, wallet?.wallet, wallet?.role], [NAMESPACE, ALICE, "owner"]);
  equal(await node.apiKeys.ofWallet(NAMESPACE, ALICE, CONTEXT), walletKey);
  const bearer = await node.authenticator.identifyToken(accessToken);
  deepEqual([bearer?.namespace, bearer?.wallet], [NAMESPACE, ALICE]);
  const session = await node.sessions.refresh(refreshToken, NAMESPACE, CONTEXT);
  equal(session.wallet, ALICE);
  await node.sessions.refresh(session.refreshToken, NAMESPACE, CONTEXT);

  const { settings } = settingsOn(node);
  const { values } = await settings.settings(NAMESPACE, CONTEXT);
  equal(values.sql.read_level, version >= 2 ? "strong" : null);
  const changed = await settings.changeSettings(NAMESPACE, { sql: { read_level: "none" } }, wallet!, CONTEXT);
  equal(changed.version, version >= 2 ? 2 : 1);

  const objects = await control.db.selectFrom("storage_objects").select(["namespace", "cid", "requested"]).execute();
  const expected = version >= 3 ? [{ namespace: NAMESPACE, cid: "bafkqaaa", requested: 0 }] : [];
  deepEqual(objects, expected);
  const requests = await control.db.selectFrom("storage_pin_requests").select(["id", "cid"]).execute();
  deepEqual(requests, version >= 4 ? [{ id: "pin_1", cid: "bafkqaaa" }] : []);
  const audit = await control.db.selectFrom("audit_events").select("action").where("at", "=", MADE_AT).execute();
  ok(audit.some(({ action }) => action === "namespace.created"));
}

for (const version of CONTROL_VERSIONS) {
  const name = `control_v${version}.sqlite`;
  Deno.test(`sqlite: a control database of version ${version} is brought to the newest, and all in it still holds`, () =>
    withCopy(name, "control.sqlite", async (path) => {
      const control = new SqliteControlDatabase({ path });
      try {
        await isUpgraded(control, version);
      } finally {
        await control.close();
      }
    }));

  engineTest(
    `rqlite: a control database of version ${version} is brought to the newest, and all in it still holds`,
    ["rqlited"],
    async (engines) => {
      const { urls } = await engines.rqlite({ nodes: 1 });
      const cluster = new RqliteCluster({ name: "control", urls });
      const control = new RqliteControlDatabase(cluster);
      try {
        await loadInto(cluster, name);
        await isUpgraded(control, version);
      } finally {
        await control.close();
      }
    },
  );
}

/** What an older gateway kept in a namespace's database is gone on with. */
async function goesOn(driver: SqlDriver): Promise<void> {
  const { feed, database } = servicesOn(driver, () => NOW);
  try {
    const once = { idempotencyKey: KEYED.key };
    const replay = await database.execute(NAMESPACE, KEYED, CONTEXT, once);
    deepEqual(replay, { rowsAffected: 2, lastInsertId: 2, replayed: true });
    const other = { ...KEYED, args: ["tea", "bread"] };
    const isReused = (error: unknown) => error instanceof GatewayError && error.code === "IDEMPOTENCY_KEY_REUSED";
    await rejects(database.execute(NAMESPACE, other, CONTEXT, once), isReused);

    const listed = await database.migrations(NAMESPACE, CONTEXT);
    deepEqual(listed.map(({ version, name, appliedAt }) => [version, name, appliedAt]), [[1, "orders", MADE_AT]]);
    const second = { version: 2, name: "notes", statements: ["ALTER TABLE orders ADD COLUMN note TEXT"] };
    const report = await database.migrate(NAMESPACE, [...APPLIED, second], CONTEXT, {});
    deepEqual(report.migrations.map(({ state }) => state), ["applied", "applied_now"]);

    await database.execute(NAMESPACE, { sql: "INSERT INTO orders (item) VALUES ('bread')", args: [] }, CONTEXT);
    const { rows } = await database.query(NAMESPACE, { sql: "SELECT id, item FROM orders", args: [] }, CONTEXT);
    deepEqual(rows, [[1, "tea"], [2, "milk"], [3, "bread"]]);
    const { position } = await oldData();
    const told = async (since: string) =>
      (await feed.log(NAMESPACE, { tables: undefined, since }, 10, CONTEXT)).changes.map(itemOf);
    deepEqual(await told("0"), ["insert tea", "insert milk", "insert bread"]);
    deepEqual(await told(position), ["insert milk", "insert bread"]);
  } finally {
    feed.close();
  }
}

const itemOf = ({ kind, after }: RowChange) => `${kind} ${after?.values[1]}`;

Deno.test("sqlite: a namespace of an older gateway: a replay replays, migrations and the change feed go on", () =>
  withCopy("namespace.sqlite", namespaceFile(NAMESPACE), async (path, dir) => {
    const requests = () => {
      const db = new DatabaseSync(path, { readOnly: true });
      try {
        return db.prepare("SELECT instance, requests FROM _orama_commit").get();
      } finally {
        db.close();
      }
    };
    const before = requests();
    ok(before?.["instance"], "the last commit of the older gateway");
    const driver = new SqliteDriver({ dir });
    try {
      await goesOn(driver);
    } finally {
      await driver.close();
    }
    ok(requests()?.["instance"] !== before["instance"], "one of this gateway");
  }));

engineTest(
  "rqlite: a namespace of an older gateway: a replay replays, migrations and the change feed go on",
  ["rqlited"],
  async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 1 });
    const cluster = new RqliteCluster({ name: "one", urls });
    const clusters = new Map([["one", cluster]]);
    const driver = new RqliteDriver({ clusters, clusterOf: () => Promise.resolve("one") });
    try {
      await loadInto(cluster, "namespace.sqlite");
      await goesOn(driver);
    } finally {
      await driver.close();
    }
  },
);
