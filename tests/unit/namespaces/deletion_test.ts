import { deepEqual, equal, ok } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { OPERATOR_NAMESPACE } from "../../../services/auth/api_keys.ts";
import { NamespaceDeletion } from "../../../services/namespaces/deletion.ts";
import type { NamespacedService } from "../../../src/contracts/health.ts";
import { ALICE, BOB, Node, principal } from "../auth/support/node.ts";
import { SECOND } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { settingsOn } from "./support/settings.ts";

const alice = principal({ wallet: ALICE, role: "owner" });
const bob = principal({ wallet: BOB, role: "owner" });

/** A service that keeps data of namespaces, and can be told to fail. */
class Purged implements NamespacedService {
  readonly calls: string[] = [];
  readonly signals: AbortSignal[] = [];
  fail: (namespace: string) => void | Promise<void> = () => {};

  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    this.calls.push(namespace);
    this.signals.push(signal);
    await this.fail(namespace);
  }

  usage(): Promise<Record<string, number>> {
    return Promise.resolve({});
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error("it did not happen");
    await setImmediate();
  }
}

async function setUp() {
  const node = await Node.start();
  const errors: [namespace: string, error: unknown][] = [];
  const started: NamespaceDeletion[] = [];
  const gateway = (holder: string, services: Record<string, Purged>, of = node) => {
    const deletion = new NamespaceDeletion({
      control: of.control,
      audit: of.audit,
      now: of.clock.now,
      holder,
      services,
      operatorNamespace: OPERATOR_NAMESPACE,
      onError: (namespace, error) => errors.push([namespace, error]),
    });
    started.push(deletion);
    return deletion;
  };
  const rows = async (
    table:
      | "namespaces"
      | "members"
      | "api_keys"
      | "sessions"
      | "refresh_tokens"
      | "apps"
      | "leases"
      | "namespace_settings",
  ) => (await node.database.run(node.database.db.selectFrom(table).selectAll())).rows;
  const gone = async (name: string) => !(await rows("namespaces")).some((row) => row.name === name);
  return {
    node,
    errors,
    gateway,
    rows,
    gone,
    async [Symbol.asyncDispose]() {
      for (const deletion of started) await deletion.close();
      await node[Symbol.asyncDispose]();
    },
  };
}

Deno.test("a deleted namespace leaves nothing of its own in any table, and nothing of others goes", async () => {
  await using t = await setUp();
  const { node } = t;
  const { settings } = settingsOn(node);
  for (const [name, owner] of [["shop", ALICE], ["other", BOB]] as const) {
    await node.namespace(name, owner);
    await node.apiKeys.ofWallet(name, owner, CONTEXT);
    await node.apiKeys.create(name, { name: "k" }, principal({ wallet: owner }), CONTEXT);
    await node.session(name, owner);
    await settings.changeSettings(name, { sql: { freshness: 1 } }, principal({ wallet: owner }), CONTEXT);
    await node.database.run(
      node.database.db.insertInto("apps").values({
        app_id: `app_${name}`,
        namespace: name,
        wallet: owner,
        name: "app",
        created_at: 0,
      }),
    );
  }
  await node.namespaces.delete("shop", alice, CONTEXT);
  const service = new Purged();
  t.gateway("a", { database: service }).wake();
  await until(() => t.gone("shop"));
  deepEqual(service.calls, ["shop"]);
  for (const table of ["namespaces", "members", "api_keys", "sessions", "apps", "namespace_settings"] as const) {
    const left = await t.rows(table);
    ok(left.length > 0, table);
    equal(JSON.stringify(left).includes("shop"), false, table);
  }
  equal((await t.rows("refresh_tokens")).length, 1);
  deepEqual(await t.rows("leases"), []);
  deepEqual(t.errors, []);
});

Deno.test("the audit log of the old owner is gone, the operators' tells of the end", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("shop", ALICE);
  await node.namespaces.delete("shop", alice, CONTEXT);
  t.gateway("a", {}).wake();
  await until(() => t.gone("shop"));
  deepEqual(await node.audit.list("shop", { limit: 10 }, CONTEXT), []);
  const [event, ...others] = await node.audit.list(OPERATOR_NAMESPACE, { limit: 10 }, CONTEXT);
  deepEqual([event?.actor, event?.action, event?.resource, others.length], ["system", "namespace.deleted", "shop", 0]);
  await node.namespace("shop", BOB);
  const events = await node.audit.list("shop", { limit: 10 }, CONTEXT);
  deepEqual(events.map(({ action, actor }) => [action, actor]), [["namespace.created", BOB]]);
});

Deno.test("a crash between two services is made good: every service is asked again, and then it ends", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("shop", ALICE);
  await node.namespaces.delete("shop", alice, CONTEXT);
  const [first, second] = [new Purged(), new Purged()];
  second.fail = () => {
    throw new Error("crash");
  };
  const before = t.gateway("a", { first, second });
  before.wake();
  await until(() => t.errors.length === 1);
  await before.close();
  equal(await t.gone("shop"), false);
  equal(t.errors[0]![0], "shop");
  second.fail = () => {};
  t.gateway("a", { first, second }).wake();
  await until(() => t.gone("shop"));
  deepEqual([first.calls, second.calls], [["shop", "shop"], ["shop", "shop"]]);
});

Deno.test("another gateway keeps away while one is at it, and takes over when its lease is over", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("shop", ALICE);
  await node.namespaces.delete("shop", alice, CONTEXT);
  const [dead, alive] = [new Purged(), new Purged()];
  dead.fail = () => new Promise(() => {});
  const hanging = new NamespaceDeletion({
    control: node.control,
    audit: node.audit,
    now: node.clock.now,
    holder: "dead",
    services: { database: dead },
    operatorNamespace: OPERATOR_NAMESPACE,
    onError: () => {},
  });
  hanging.wake();
  await until(() => dead.calls.length === 1);

  const early = t.gateway("alive", { database: alive });
  const looks = () => node.control.calls.filter((sql) => sql.startsWith('insert into "leases"')).length;
  const before = looks();
  early.wake();
  await until(() => looks() > before);
  await early.close();
  deepEqual(alive.calls, []);

  node.clock.advance(60 * SECOND);
  const onTime = t.gateway("alive", { database: alive });
  onTime.wake();
  await until(() => looks() > before + 1);
  await onTime.close();
  deepEqual(alive.calls, [], "the last millisecond is the holder's");
  node.clock.advance(1);
  t.gateway("alive", { database: alive }).wake();
  await until(() => t.gone("shop"));
  deepEqual(alive.calls, ["shop"]);
});

Deno.test("a namespace that cannot go yet does not stand in the way of the others", async () => {
  await using t = await setUp();
  const { node } = t;
  const names = Array.from({ length: 105 }, (_, i) => `n${String(i).padStart(3, "0")}`);
  await node.database.atomically(names.map((name) =>
    node.database.db.insertInto("namespaces")
      .values({ name, database_name: name, state: "deleting", created_at: 0, created_by: ALICE })
  ));
  const service = new Purged();
  service.fail = (name) => {
    if (name < "n103") throw new Error(`the database of ${name} is down`);
  };
  t.gateway("a", { database: service }).wake();
  await until(async () => await t.gone("n103") && await t.gone("n104"));
  equal((await t.rows("namespaces")).length, 103);
  deepEqual(t.errors.map(([name]) => name), names.slice(0, 103));
});

Deno.test("a gateway that comes late finds the name taken again and touches nothing", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("a", ALICE);
  await node.namespace("shop", ALICE);
  await node.namespaces.delete("a", alice, CONTEXT);
  await node.namespaces.delete("shop", alice, CONTEXT);
  const [slow, fast] = [new Purged(), new Purged()];
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  slow.fail = (name) => name === "a" ? gate : undefined;
  // It lists both, and while it is at the first, another gateway ends the second and somebody takes that name.
  t.gateway("slow", { database: slow }).wake();
  await until(() => slow.calls.length === 1);
  const other = t.gateway("fast", { database: fast });
  other.wake();
  await until(() => t.gone("shop"));
  await other.close();
  await node.namespace("shop", BOB);
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  open();
  await until(() => t.gone("a"));
  await setImmediate();
  deepEqual(slow.calls, ["a"], "the new owner's data is not purged");
  ok(await node.authenticator.identifyKey(key));
  deepEqual(t.errors, []);
});

Deno.test("a gateway that slept through its lease does not take the new owner's rows away", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("shop", ALICE);
  await node.namespaces.delete("shop", alice, CONTEXT);
  const [sleepy, awake] = [new Purged(), new Purged()];
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  sleepy.fail = () => gate;
  t.gateway("sleepy", { database: sleepy }).wake();
  await until(() => sleepy.calls.length === 1);
  node.clock.advance(61 * SECOND);
  const other = t.gateway("awake", { database: awake });
  other.wake();
  await until(() => t.gone("shop"));
  await other.close();
  await node.namespace("shop", BOB);
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  open();
  await until(() => t.errors.length === 1);
  ok(await node.authenticator.identifyKey(key));
  equal((await node.namespaces.get("shop", bob, CONTEXT)).role, "owner");
  equal((await node.audit.list("shop", { limit: 10 }, CONTEXT)).length > 0, true);
});

Deno.test("close() breaks off what is under way, says no error, and does nothing any more", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("shop", ALICE);
  await node.namespaces.delete("shop", alice, CONTEXT);
  const service = new Purged();
  service.fail = () =>
    new Promise((_, reject) => {
      const signal = service.signals[0]!;
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const deletion = t.gateway("a", { database: service });
  deletion.wake();
  await until(() => service.calls.length === 1);
  await deletion.close();
  deletion.wake();
  await setImmediate();
  equal(service.calls.length, 1);
  deepEqual(t.errors, []);
  equal(await t.gone("shop"), false, "the next start goes on with it");
});

Deno.test("a deletion that is wanted during another one is begun right after it", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("a", ALICE);
  await node.namespace("b", ALICE);
  await node.namespaces.delete("b", alice, CONTEXT);
  const service = new Purged();
  const deletion = t.gateway("a", { database: service });
  service.fail = async (name) => {
    if (name !== "b") return;
    await node.namespaces.delete("a", alice, CONTEXT);
    deletion.wake();
    deletion.wake();
  };
  deletion.wake();
  await until(async () => await t.gone("a") && await t.gone("b"));
  deepEqual(service.calls, ["b", "a"]);
});

Deno.test("a control plane that is down is reported, and looked for again", async () => {
  await using t = await setUp();
  const { node } = t;
  await node.namespace("shop", ALICE);
  await node.namespaces.delete("shop", alice, CONTEXT);
  node.control.before = () => {
    throw new Error("down");
  };
  const deletion = t.gateway("a", {});
  deletion.wake();
  await until(() => t.errors.length === 1);
  node.control.before = () => {};
  await setImmediate();
  deletion.wake();
  await until(() => t.gone("shop"));
});
