import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { RootKeyError } from "../../../services/auth/crypto/root_key.ts";
import { SigningKeys } from "../../../services/auth/signing_keys.ts";
import { migrate, SchemaTooNew } from "../../../services/control_plane/migrate.ts";
import { RevocationFeed } from "../../../services/control_plane/revocations.ts";
import { SqliteControlDatabase } from "../../../services/control_plane/sqlite.ts";
import { StartingControlDatabase } from "../../../services/control_plane/starting.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { Upkeep } from "../../../src/upkeep.ts";
import { until } from "../../engines/support/wait.ts";
import { code } from "../auth/support/node.ts";
import { WatchedControl } from "./support/doubles.ts";

const monotonic = () => performance.now();
const signal = new AbortController().signal;

function setUp(mayComeLater: boolean) {
  const database = new SqliteControlDatabase({ path: ":memory:" });
  const watched = new WatchedControl(database);
  const control = new StartingControlDatabase(watched);
  const revocations = new RevocationFeed(control, { now: Date.now, monotonic, interval: 60_000, maxSilence: 60_000 });
  const errors: unknown[] = [];
  const seal = { seal: (text: string) => text, open: (text: string) => text };
  const signingKeys = new SigningKeys(watched, { now: Date.now, monotonic, seal, rotation: 1e9, tokenTtl: 1_000 });
  const upkeep = new Upkeep({
    control,
    signingKeys,
    revocations,
    migrate: async () => void await migrate(watched, { now: Date.now }),
    mayComeLater,
    now: Date.now,
    onError: (error) => errors.push(error),
  });
  const start = () => upkeep.start(() => control.ready());
  return {
    watched,
    control,
    revocations,
    signingKeys,
    upkeep,
    errors,
    start,
    async [Symbol.asyncDispose]() {
      upkeep.close();
      revocations.stop();
      await database.close();
    },
  };
}

const down = () => {
  throw new GatewayError("UNAVAILABLE", "the control plane is down");
};

Deno.test("before its tables are there a control plane answers nobody and is not touched", async () => {
  await using t = setUp(false);
  const query = t.control.db.selectFrom("namespaces").selectAll();
  await rejects(t.control.run(query), code("UNAVAILABLE"));
  await rejects(t.control.atomically([query]), code("UNAVAILABLE"));
  deepEqual(t.watched.calls, []);
  equal((await t.control.health(signal)).status, "down");
  await t.start();
  deepEqual((await t.control.run(query)).rows, []);
  equal((await t.control.health(signal)).status, "ok");
});

Deno.test("a start makes tables and a signing key and hears of revocations, in this order", async () => {
  await using t = setUp(false);
  await t.start();
  t.revocations.assertFresh();
  equal(t.signingKeys.publicJwks().length, 1);
  deepEqual(t.errors, []);
});

Deno.test("embedded, a control plane that cannot be opened stops the start", async () => {
  await using t = setUp(false);
  t.watched.before = down;
  await rejects(t.start(), code("UNAVAILABLE"));
});

Deno.test("a control plane of its own may come later: the start goes on, and so do the tries", async () => {
  await using t = setUp(true);
  t.watched.before = down;
  await t.start();
  equal(t.errors.length, 1);
  await rejects(t.control.run(t.control.db.selectFrom("namespaces").selectAll()), code("UNAVAILABLE"));
  t.watched.before = () => {};
  await until("it is in order", () => t.signingKeys.publicJwks().length === 1);
  t.revocations.assertFresh();
});

Deno.test("what waiting does not mend stops the start, wherever the control plane is", async () => {
  for (const error of [new SchemaTooNew(9, 1), new RootKeyError("another root key"), new Error("a mistake of ours")]) {
    await using t = setUp(true);
    t.watched.before = () => {
      throw error;
    };
    await rejects(t.start(), error);
  }
});

Deno.test("a control plane that does not answer holds the start for three seconds, and is taken up when it answers", async () => {
  await using t = setUp(true);
  const { promise: answer, resolve } = Promise.withResolvers<void>();
  t.watched.before = () => answer;
  const begun = performance.now();
  await t.start();
  const took = performance.now() - begun;
  ok(took > 2_900 && took < 5_000, String(took));
  deepEqual(t.errors, []);
  resolve();
  await until("it is in order", () => t.signingKeys.publicJwks().length === 1);
  equal((await t.upkeep.health(signal)).status, "ok");
});

for (
  const [error, reason] of [
    [
      new RootKeyError("another root key, read from /etc/secret"),
      "this gateway's root key is not the one of the cluster",
    ],
    [new SchemaTooNew(9, 1), "its tables are those of a newer gateway"],
    [new Error("a mistake of ours in /home/somebody"), "it could not be brought into order"],
  ] as const
) {
  Deno.test(`what waiting does not mend, found at a later try, is told at each try and in the state: ${reason}`, async () => {
    await using t = setUp(true);
    t.watched.before = down;
    await t.start();
    t.watched.before = () => {
      throw error;
    };
    const told = () => t.errors.filter((one) => one === error).length;
    await until("it is told again", () => told() >= 2);
    const { status, reason: given } = await t.upkeep.health(signal);
    deepEqual([status, given], ["degraded", reason]);
    await rejects(t.control.run(t.control.db.selectFrom("api_keys").selectAll()), code("UNAVAILABLE"));
    const before = told();
    t.watched.before = () => {};
    await until("it is in order", () => t.signingKeys.publicJwks().length === 1);
    equal(told(), before);
    equal((await t.upkeep.health(signal)).status, "ok");
  });
}

Deno.test("with another root key nobody is let in, neither at once nor later", async () => {
  await using t = setUp(true);
  await t.start();
  const other = new StartingControlDatabase(t.watched);
  const seal = { seal: (text: string) => text, open: () => raise("sealed with another key") };
  const options = { now: Date.now, monotonic, seal, rotation: 1e9, tokenTtl: 1_000 };
  const revocations = new RevocationFeed(other, { now: Date.now, monotonic, interval: 60_000, maxSilence: 60_000 });
  const upkeep = new Upkeep({
    control: other,
    signingKeys: new SigningKeys(t.watched, options),
    revocations,
    migrate: async () => void await migrate(t.watched, { now: Date.now }),
    mayComeLater: true,
    now: Date.now,
    onError: () => {},
  });
  await rejects(upkeep.start(() => other.ready()), RootKeyError);
  await rejects(other.run(other.db.selectFrom("api_keys").selectAll()), code("UNAVAILABLE"));
});

const raise = (message: string) => {
  throw new Error(message);
};

Deno.test("a gateway that is closed while it waits tries no more", async () => {
  const t = setUp(true);
  t.watched.before = async () => {
    t.upkeep.close();
    await Promise.resolve();
    down();
  };
  await t.start();
  // A timer that was left behind would be reported by the test runner.
  await t[Symbol.asyncDispose]();
  equal(t.errors.length, 1);
});
