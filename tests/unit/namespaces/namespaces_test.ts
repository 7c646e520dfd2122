import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { ControlAuditLog } from "../../../services/control_plane/audit.ts";
import type { ControlDatabase } from "../../../services/control_plane/control_database.ts";
import { RevocationFeed } from "../../../services/control_plane/revocations.ts";
import { type NamespacePolicy, NamespaceRegistry } from "../../../services/namespaces/namespaces.ts";
import { ALICE, BOB, CAROL, code, Node, principal } from "../auth/support/node.ts";
import { TestClock } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { ALL } from "./support/pages.ts";

const alice = principal({ wallet: ALICE, role: "owner" });
const bob = principal({ wallet: BOB, role: "owner" });

/** The registry of one of several gateways. */
function registryOn(control: ControlDatabase, rules: Partial<NamespacePolicy> = {}): NamespaceRegistry {
  const { now } = new TestClock();
  return new NamespaceRegistry({
    control,
    revocations: new RevocationFeed(control, { now, monotonic: now, interval: 0, maxSilence: 0 }),
    audit: new ControlAuditLog(control, now),
    now,
    rules: { sharedDefault: false, maxPerWallet: 100, creation: "wallet", databases: undefined, ...rules },
    deletionWanted: () => {},
  });
}

const count = async (database: ControlDatabase, table: "namespaces" | "members" | "audit_events") =>
  (await database.run(database.db.selectFrom(table).selectAll())).rows.length;
const codes = (results: readonly PromiseSettledResult<unknown>[]) =>
  results.map((result) => result.status === "fulfilled" ? result.value : result.reason.code ?? result.reason).sort();

Deno.test("the first wallet to name a namespace owns it, and is what it was when it comes back", async () => {
  await using node = await Node.start();
  equal(await node.namespaces.admit("shop", ALICE, CONTEXT), "owner");
  equal(await node.namespaces.admit("shop", ALICE, CONTEXT), "owner");
  await rejects(node.namespaces.admit("shop", BOB, CONTEXT), code("FORBIDDEN"));
  await node.members.set("shop", BOB, "viewer", alice, CONTEXT);
  equal(await node.namespaces.admit("shop", BOB, CONTEXT), "viewer");
});

Deno.test("of two wallets that name a new namespace at once one owns it, in whatever order", async () => {
  const orders = await everySchedule(async (schedule) => {
    await using database = await openControl();
    const results = await schedule.run([ALICE, BOB].map((wallet) => {
      const registry = registryOn(schedule.client(database));
      return () => registry.admit("shop", wallet, CONTEXT);
    }));
    deepEqual(codes(results), ["FORBIDDEN", "owner"]);
    deepEqual([await count(database, "namespaces"), await count(database, "members")], [1, 1]);
    equal(await count(database, "audit_events"), 1, "what did not happen is not in the log");
  });
  ok(orders > 5, String(orders));
});

Deno.test("one wallet that signs in twice at once owns the namespace both times", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const results = await schedule.run([1, 2].map(() => {
      const registry = registryOn(schedule.client(database));
      return () => registry.admit("shop", ALICE, CONTEXT);
    }));
    deepEqual(codes(results), ["owner", "owner"]);
    equal(await count(database, "namespaces"), 1);
  });
});

Deno.test("names that differ in case alone cannot both exist, also when both are made at once", async () => {
  await using node = await Node.start();
  await node.namespaces.admit("Shop", ALICE, CONTEXT);
  for (const name of ["shop", "SHOP"]) {
    await rejects(node.namespaces.admit(name, ALICE, CONTEXT), code("CONFLICT", /other letters/));
    await rejects(node.namespaces.create(name, bob, CONTEXT), code("CONFLICT"));
  }
  equal(await node.namespaces.databaseOf("Shop"), "shop", "a file name that every file system can tell apart");
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const results = await schedule.run([["a", ALICE], ["A", BOB]].map(([name, wallet]) => {
      const registry = registryOn(schedule.client(database));
      return () => registry.admit(name!, wallet!, CONTEXT);
    }));
    deepEqual(codes(results), ["CONFLICT", "owner"]);
  });
});

Deno.test("what is no name makes no namespace", async () => {
  await using node = await Node.start();
  const bad = [
    "",
    " ",
    "a b",
    "-a",
    "_a",
    "a.b",
    "a/b",
    "a+b",
    "ü",
    "a\n",
    "a".repeat(65),
    "../x",
    "a:b",
    "a%2Fb",
    "a\0",
  ];
  for (const name of bad) {
    await rejects(
      node.namespaces.admit(name, ALICE, CONTEXT),
      code("INVALID_REQUEST", /namespace/),
      JSON.stringify(name),
    );
    await rejects(node.namespaces.create(name, alice, CONTEXT), code("INVALID_REQUEST"), JSON.stringify(name));
  }
  equal(await count(node.database, "namespaces"), 0);
  equal(await node.namespaces.admit("a".repeat(64), ALICE, CONTEXT), "owner");
});

Deno.test("default is shared only where it is said to be, and only default", async () => {
  await using closed = await Node.start();
  await closed.namespaces.admit("default", ALICE, CONTEXT);
  await rejects(closed.namespaces.admit("default", BOB, CONTEXT), code("FORBIDDEN"));

  await using shared = await Node.start({ rules: { sharedDefault: true } });
  await shared.namespaces.ensure("default", "development", CONTEXT);
  equal(await shared.namespaces.admit("default", ALICE, CONTEXT), "member");
  equal(await shared.namespaces.admit("default", ALICE, CONTEXT), "member");
  await shared.namespaces.admit("shop", ALICE, CONTEXT);
  await rejects(shared.namespaces.admit("shop", BOB, CONTEXT), code("FORBIDDEN"));
  await rejects(shared.namespaces.admit("Default", BOB, CONTEXT), code("CONFLICT"));
});

Deno.test("the first wallet in a shared default that nobody made owns it, the others are members", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const results = await schedule.run([ALICE, BOB].map((wallet) => {
      const registry = registryOn(schedule.client(database), { sharedDefault: true });
      return () => registry.admit("default", wallet, CONTEXT);
    }));
    deepEqual(codes(results), ["member", "owner"]);
  });
});

Deno.test("a wallet owns as many namespaces as it may, however it makes them", async () => {
  await using node = await Node.start({ rules: { maxPerWallet: 2 } });
  await node.namespaces.admit("a", ALICE, CONTEXT);
  await node.namespaces.create("b", alice, CONTEXT);
  await rejects(node.namespaces.admit("c", ALICE, CONTEXT), code("FORBIDDEN", /limit/));
  await rejects(node.namespaces.create("c", alice, CONTEXT), code("FORBIDDEN", /limit/));
  await node.namespaces.admit("c", BOB, CONTEXT);
  await node.members.set("c", ALICE, "member", bob, CONTEXT);
  equal(await node.namespaces.admit("a", ALICE, CONTEXT), "owner", "what it has it keeps");
  equal(await count(node.database, "namespaces"), 3);
});

Deno.test("two creations at once do not exceed the limit of a wallet, in whatever order", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const results = await schedule.run(["a", "b"].map((name) => {
      const registry = registryOn(schedule.client(database), { maxPerWallet: 1 });
      return () => registry.admit(name, ALICE, CONTEXT);
    }));
    deepEqual(codes(results), ["FORBIDDEN", "owner"]);
    deepEqual([await count(database, "namespaces"), await count(database, "members")], [1, 1]);
  });
});

Deno.test("each namespace gets a database of the pool, and without a free one nothing is created", async () => {
  await using node = await Node.start({ rules: { databases: ["one", "two"] } });
  await node.namespaces.admit("a", ALICE, CONTEXT);
  await node.namespaces.admit("b", BOB, CONTEXT);
  deepEqual([await node.namespaces.databaseOf("a"), await node.namespaces.databaseOf("b")], ["one", "two"]);
  const before = [
    await count(node.database, "namespaces"),
    await count(node.database, "members"),
    await count(node.database, "audit_events"),
  ];
  await rejects(node.namespaces.admit("c", CAROL, CONTEXT), code("NO_CAPACITY", /nothing was created/));
  await rejects(node.namespaces.create("c", principal({ wallet: CAROL }), CONTEXT), code("NO_CAPACITY"));
  deepEqual(
    [
      await count(node.database, "namespaces"),
      await count(node.database, "members"),
      await count(node.database, "audit_events"),
    ],
    before,
  );
  await node.database.run(node.database.db.deleteFrom("namespaces").where("name", "=", "a"));
  await node.namespaces.admit("c", CAROL, CONTEXT);
  equal(await node.namespaces.databaseOf("c"), "one", "what was given back is given again");
});

Deno.test("of two claims of the last database one gets it, in whatever order", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const results = await schedule.run([["a", ALICE], ["b", BOB]].map(([name, wallet]) => {
      const registry = registryOn(schedule.client(database), { databases: ["last"] });
      return () => registry.admit(name!, wallet!, CONTEXT);
    }));
    deepEqual(codes(results), ["NO_CAPACITY", "owner"]);
    deepEqual([await count(database, "namespaces"), await count(database, "members")], [1, 1]);
  });
});

Deno.test("an empty pool has room for nobody", async () => {
  await using node = await Node.start({ rules: { databases: [] } });
  await rejects(node.namespaces.admit("a", ALICE, CONTEXT), code("NO_CAPACITY"));
});

Deno.test("where operators create namespaces no wallet does, but members come in", async () => {
  await using node = await Node.start({ rules: { creation: "operator" } });
  await rejects(node.namespaces.admit("shop", ALICE, CONTEXT), code("FORBIDDEN", /operator/));
  await rejects(node.namespaces.create("shop", alice, CONTEXT), code("FORBIDDEN", /operator/));
  await node.namespaces.ensure("shop", "command-line", CONTEXT);
  await node.members.set("shop", ALICE, "owner", principal({ role: "owner" }), CONTEXT);
  equal(await node.namespaces.admit("shop", ALICE, CONTEXT), "owner");
});

Deno.test("create() makes what is free, for a wallet only", async () => {
  await using node = await Node.start();
  deepEqual(await node.namespaces.create("shop", alice, CONTEXT), {
    name: "shop",
    state: "active",
    createdAt: node.clock.time,
    role: "owner",
  });
  await rejects(node.namespaces.create("shop", alice, CONTEXT), code("CONFLICT"), "also one's own");
  await rejects(node.namespaces.create("key", principal(), CONTEXT), code("FORBIDDEN", /wallet/));
});

Deno.test("a wallet sees the namespaces it belongs to, a key without a wallet its own, an operator all", async () => {
  await using node = await Node.start();
  await node.namespace("b", ALICE, { [BOB]: "viewer" });
  await node.namespace("a", BOB);
  await node.namespace("c", CAROL);
  const seen = async (caller: typeof bob) =>
    (await node.namespaces.list(caller, ALL, CONTEXT)).items.map(({ name, role }) => `${name} ${role}`);
  deepEqual(await seen(bob), ["a owner", "b viewer"]);
  deepEqual(await seen(principal({ namespace: "c" })), ["c undefined"]);
  deepEqual(await seen(principal({ namespace: "nothing" })), []);
  deepEqual(await seen(principal({ namespace: "", operator: true })), ["a undefined", "b undefined", "c undefined"]);
  deepEqual(await seen(principal({ namespace: "" })), [], "it is the right that counts");
  deepEqual((await node.namespaces.get("b", bob, CONTEXT)).role, "viewer");
  await rejects(node.namespaces.get("nothing", bob, CONTEXT), code("NOT_FOUND"));
});

Deno.test("deleting marks the namespace, ends its credentials in the same step and asks for the rest", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  await node.apiKeys.ofWallet("shop", ALICE, CONTEXT);
  const { token } = await node.session("shop", ALICE);
  await node.namespaces.delete("shop", alice, CONTEXT);
  equal(node.deletionsWanted, 1);
  const statement = node.control.calls.find((sql) => sql.includes('update "namespaces"'))!;
  for (const part of ["api_keys", "sessions", "revocations", "audit_events"]) ok(statement.includes(part), part);
  equal(await node.authenticator.identifyToken(token), undefined);
  equal((await node.namespaces.list(alice, ALL, CONTEXT)).items[0]!.state, "deleting");
  for (const wallet of [ALICE, BOB]) {
    await rejects(node.namespaces.admit("shop", wallet, CONTEXT), code("CONFLICT", /being deleted/));
  }
  await rejects(node.namespaces.create("SHOP", bob, CONTEXT), code("CONFLICT"), "the name is not free yet");
});

Deno.test("the database of a namespace is asked for once, and again after a deletion was heard of", async () => {
  await using node = await Node.start({ rules: { databases: ["one", "two"] } });
  const other = await node.another({ rules: { databases: ["one", "two"] } });
  await node.namespace("shop", ALICE);
  equal(await other.namespaces.databaseOf("shop"), "one");
  const calls = other.control.calls.length;
  equal(await other.namespaces.databaseOf("shop"), "one");
  equal(other.control.calls.length, calls);
  await node.namespaces.delete("shop", alice, CONTEXT);
  await node.database.run(node.database.db.deleteFrom("namespaces"));
  await node.namespace("cafe", CAROL);
  await node.namespace("shop", BOB);
  await other.revocations.pull();
  equal(await other.namespaces.databaseOf("shop"), "two", "the name came back with another database");
  await rejects(other.namespaces.databaseOf("nothing"), code("NOT_FOUND"));
});

Deno.test("a database that was read before a deletion and arrives after it is not remembered", async () => {
  await using node = await Node.start({ rules: { databases: ["one", "two"] } });
  const other = await node.another({ rules: { databases: ["one", "two"] } });
  await node.namespace("shop", ALICE);
  other.control.after = async (sql) => {
    if (!sql.includes('from "namespaces"')) return;
    other.control.after = () => {};
    await node.namespaces.delete("shop", alice, CONTEXT);
    await node.database.run(node.database.db.deleteFrom("namespaces"));
    await node.namespace("cafe", CAROL);
    await node.namespace("shop", BOB);
    await other.revocations.pull();
  };
  await other.namespaces.databaseOf("shop");
  equal(await other.namespaces.databaseOf("shop"), "two");
});

Deno.test("a wallet's namespaces come in pages, each once and by name", async () => {
  await using node = await Node.start();
  for (const name of ["d", "b", "e", "a", "c"]) await node.namespaces.admit(name, ALICE, CONTEXT);
  await node.namespaces.admit("bb", BOB, CONTEXT);
  const first = await node.namespaces.list(alice, { limit: 2 }, CONTEXT);
  const second = await node.namespaces.list(alice, { limit: 2, cursor: first.next }, CONTEXT);
  const third = await node.namespaces.list(alice, { limit: 2, cursor: second.next }, CONTEXT);
  const names = [first, second, third].map(({ items }) => items.map(({ name }) => name));
  deepEqual(names, [["a", "b"], ["c", "d"], ["e"]]);
  equal(third.next, undefined);
  const whole = await node.namespaces.list(alice, { limit: 5 }, CONTEXT);
  deepEqual([whole.items.length, whole.next], [5, undefined]);
  const operator = principal({ namespace: "", operator: true });
  const all = await node.namespaces.list(operator, { limit: 4 }, CONTEXT);
  const rest = await node.namespaces.list(operator, { limit: 4, cursor: all.next }, CONTEXT);
  deepEqual([...all.items, ...rest.items].map(({ name }) => name), ["a", "b", "bb", "c", "d", "e"]);
  equal(rest.next, undefined);
  await rejects(node.namespaces.list(alice, { limit: 1, cursor: "x" }, CONTEXT), code("INVALID_REQUEST", /^cursor/));
});

Deno.test("an operator creates a namespace for a wallet, which signs in as its owner", async () => {
  await using node = await Node.start({ rules: { creation: "operator", maxPerWallet: 1 } });
  const operator = principal({ namespace: "", operator: true, subject: "key:operator" });
  const made = await node.namespaces.create("shop", operator, CONTEXT, ALICE);
  deepEqual(made, { name: "shop", state: "active", createdAt: node.clock.time });
  equal(await node.namespaces.admit("shop", ALICE, CONTEXT), "owner");
  await rejects(node.namespaces.admit("shop", BOB, CONTEXT), code("FORBIDDEN"));
  await node.namespaces.create("cafe", operator, CONTEXT, ALICE);
  equal((await node.namespaces.list(alice, ALL, CONTEXT)).items.length, 2, "a wallet's limit does not bind operators");
  await rejects(node.namespaces.create("SHOP", operator, CONTEXT, BOB), code("CONFLICT"));
  await rejects(node.namespaces.create("bar", operator, CONTEXT), code("FORBIDDEN", /name one in owner/));
  await rejects(node.namespaces.create("../x", operator, CONTEXT, ALICE), code("INVALID_REQUEST"));
  const [event] = await node.audit.list("shop", { limit: 1 }, CONTEXT);
  deepEqual([event!.actor, event!.action, event!.details], ["key:operator", "namespace.created", { owner: ALICE }]);
});

Deno.test("nobody but an operator names the owner of a namespace, not even itself", async () => {
  await using node = await Node.start();
  for (const caller of [alice, bob, principal(), principal({ role: "admin" })]) {
    await rejects(node.namespaces.create("shop", caller, CONTEXT, ALICE), code("FORBIDDEN", /operator/));
  }
  equal(await count(node.database, "namespaces"), 0);
});

Deno.test("the command line makes any number of namespaces without a wallet", async () => {
  await using node = await Node.start({ rules: { maxPerWallet: 1 } });
  for (const name of ["a", "b", "c"]) await node.namespaces.ensure(name, "command-line", CONTEXT);
  await node.namespaces.createBySystem("d", ALICE, "command-line", CONTEXT);
  await rejects(node.namespaces.createBySystem("d", BOB, "command-line", CONTEXT), code("CONFLICT"));
  equal(await count(node.database, "namespaces"), 4);
});
