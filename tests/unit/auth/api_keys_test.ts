import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { ControlApiKeys, OPERATOR_NAMESPACE } from "../../../services/auth/api_keys.ts";
import { hashKey } from "../../../services/auth/crypto/api_key.ts";
import { ControlAuditLog } from "../../../services/control_plane/audit.ts";
import type { ControlDatabase } from "../../../services/control_plane/control_database.ts";
import { RevocationFeed } from "../../../services/control_plane/revocations.ts";
import { NAMESPACE_PATTERN } from "../../../src/contracts/namespaces.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { DAY, TestClock } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { ALICE, BOB, code, Node, principal } from "./support/node.ts";

const owner = principal({ wallet: ALICE, role: "owner" });

async function shop() {
  const node = await Node.start();
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  return node;
}

/** Keys on one of several gateways, each with a clock of its own. */
function keysOn(control: ControlDatabase, clock: TestClock, seed: number): ControlApiKeys {
  const { now } = clock;
  return new ControlApiKeys({
    control,
    revocations: new RevocationFeed(control, { now, monotonic: now, interval: 0, maxSilence: 0 }),
    audit: new ControlAuditLog(control, now),
    derivation: new Uint8Array(32).fill(7),
    now,
    random: new Chance(seed).bytes,
  });
}

async function shopIn(database: ControlDatabase, { time: at }: TestClock): Promise<void> {
  await database.atomically([
    database.db.insertInto("namespaces").values({
      name: "shop",
      database_name: "shop",
      state: "active",
      created_at: at,
      created_by: ALICE,
    }),
    database.db.insertInto("members").values({
      namespace: "shop",
      wallet: ALICE,
      role: "owner",
      added_at: at,
      added_by: ALICE,
    }),
  ]);
}

const rows = async ({ database }: { database: ControlDatabase }) =>
  (await database.run<{ revoked_at: number | null; wallet: string | null; hash: string }>(
    database.db.selectFrom("api_keys").selectAll(),
  )).rows;

Deno.test("a key is shown once and only its hash is stored, in no table anything else", async () => {
  await using node = await shop();
  const { key } = await node.apiKeys.create("shop", { name: "k" }, owner, CONTEXT);
  match(key, /^ak_[A-Za-z0-9_-]{24}:shop$/);
  equal((await rows(node))[0]!.hash, hashKey(key));
  const everything = [
    await rows(node),
    await node.apiKeys.list("shop", { limit: 10 }, CONTEXT),
    await node.audit.list("shop", { limit: 10 }, CONTEXT),
  ];
  equal(JSON.stringify(everything).includes(key.slice(3, 27)), false);
});

Deno.test("nobody gives away more than the own credential has", async () => {
  await using node = await shop();
  const reader = principal({ scopes: new Set(["sql:read", "namespace:admin"]) });
  await rejects(
    node.apiKeys.create("shop", { name: "k", scopes: ["sql:read", "sql:write"] }, reader, CONTEXT),
    code("INSUFFICIENT_SCOPE", /sql:write/),
  );
  await rejects(
    node.apiKeys.create("shop", { name: "k" }, reader, CONTEXT),
    code("INSUFFICIENT_SCOPE"),
    "the default is more",
  );
  ok(await node.apiKeys.create("shop", { name: "k", scopes: ["sql:read"] }, reader, CONTEXT));
  const { id } = await node.apiKeys.create("shop", { name: "strong" }, owner, CONTEXT);
  await rejects(
    node.apiKeys.rotate("shop", id, reader, CONTEXT),
    code("INSUFFICIENT_SCOPE"),
    "nor by replacing a stronger one",
  );
});

Deno.test("a key of another namespace is NOT_FOUND, whatever is done with it", async () => {
  await using node = await shop();
  await node.namespace("other", BOB);
  const { id } = await node.apiKeys.create("shop", { name: "k" }, owner, CONTEXT);
  await rejects(node.apiKeys.revoke("other", id, owner, CONTEXT), code("NOT_FOUND"));
  await rejects(node.apiKeys.rotate("other", id, owner, CONTEXT), code("NOT_FOUND"));
  deepEqual(await node.apiKeys.list("other", { limit: 10 }, CONTEXT), []);
  equal((await rows(node))[0]!.revoked_at, null);
});

Deno.test("revoking twice is one revocation and one entry in the audit log", async () => {
  await using node = await shop();
  const { id } = await node.apiKeys.create("shop", { name: "k" }, owner, CONTEXT);
  const at = node.clock.time;
  await node.apiKeys.revoke("shop", id, owner, CONTEXT);
  node.clock.advance(DAY);
  await node.apiKeys.revoke("shop", id, owner, CONTEXT);
  equal((await node.apiKeys.list("shop", { limit: 1 }, CONTEXT))[0]!.revokedAt, at);
  const events = await node.audit.list("shop", { limit: 100 }, CONTEXT);
  equal(events.filter(({ action }) => action === "key.revoked").length, 1);
});

Deno.test("rotating gives a key of the same name, scopes and end, and kills the old one", async () => {
  await using node = await shop();
  const request = { name: "ci", scopes: ["sql:read"], expiresAt: node.clock.time + DAY } as const;
  const old = await node.apiKeys.create("shop", request, owner, CONTEXT);
  const next = await node.apiKeys.rotate("shop", old.id, owner, CONTEXT);
  notEqual(next.key, old.key);
  deepEqual([next.name, next.scopes, next.expiresAt], [request.name, [...request.scopes], request.expiresAt]);
  equal(await node.authenticator.identifyKey(old.key), undefined);
  equal((await node.authenticator.identifyKey(next.key))?.id, next.id);
  await rejects(node.apiKeys.rotate("shop", old.id, owner, CONTEXT), code("CONFLICT"));
});

Deno.test("two rotations of one key at once give one new key, in whatever order", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const clock = new TestClock();
    await shopIn(database, clock);
    const { id } = await keysOn(database, clock, 1).create("shop", { name: "k" }, owner, CONTEXT);
    const results = await schedule.run([2, 3].map((seed) => {
      const keys = keysOn(schedule.client(database), clock, seed);
      return () => keys.rotate("shop", id, owner, CONTEXT);
    }));
    equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of results) {
      if (result.status === "rejected") equal(result.reason.code, "CONFLICT");
    }
    equal((await rows({ database })).filter(({ revoked_at }) => revoked_at === null).length, 1);
  });
});

Deno.test("a wallet gets the same key each time, on every gateway, until it is revoked", async () => {
  await using node = await shop();
  const other = await node.another();
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  node.clock.advance(DAY);
  equal(await other.apiKeys.ofWallet("shop", BOB, CONTEXT), key);
  equal((await rows(node)).length, 1);
  notEqual(await node.apiKeys.ofWallet("shop", ALICE, CONTEXT), key);
  const found = await node.authenticator.identifyKey(key) as Principal;
  await node.apiKeys.revoke("shop", found.id, owner, CONTEXT);
  const second = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  notEqual(second, key);
  equal(await other.apiKeys.ofWallet("shop", BOB, CONTEXT), second);
  equal(await node.authenticator.identifyKey(key), undefined);
});

Deno.test("no key of a wallet comes twice, however often it is revoked", async () => {
  await using node = await shop();
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
    seen.add(key);
    const { id } = await node.authenticator.identifyKey(key) as Principal;
    await node.apiKeys.revoke("shop", id, owner, CONTEXT);
    if (i % 3 === 0) node.clock.advance(-5);
  }
  equal(seen.size, 20);
});

Deno.test("the keys of a deleted namespace do not come back with its name", async () => {
  await using node = await shop();
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  await node.namespaces.delete("shop", owner, CONTEXT);
  node.clock.advance(1);
  for (const table of ["api_keys", "members", "namespaces"] as const) {
    await node.database.run(node.database.db.deleteFrom(table));
  }
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  notEqual(await node.apiKeys.ofWallet("shop", BOB, CONTEXT), key);
  equal(await node.authenticator.identifyKey(key), undefined);
});

for (const drift of [0, 1, -1]) {
  Deno.test(`two first sign-ins of a wallet at once get one key, with clocks ${drift} ms apart, in whatever order`, async () => {
    await everySchedule(async (schedule) => {
      await using database = await openControl();
      const clock = new TestClock();
      const keys = [clock, new TestClock(clock.time + drift)].map((clock, i) =>
        keysOn(schedule.client(database), clock, i + 1)
      );
      const results = await schedule.run(keys.map((keys) => () => keys.ofWallet("shop", BOB, CONTEXT)));
      const given = new Set(
        results.map((result) => result.status === "fulfilled" ? result.value : String(result.reason)),
      );
      equal(given.size, 1, [...given].join(" | "));
      equal((await rows({ database })).length, 1);
      equal((await rows({ database }))[0]!.hash, hashKey([...given][0]!));
    });
  });
}

Deno.test("a wallet rotates its own key and nobody else does", async () => {
  await using node = await shop();
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  const { id } = await node.authenticator.identifyKey(key) as Principal;
  await rejects(node.apiKeys.rotate("shop", id, owner, CONTEXT), code("FORBIDDEN"));
  const next = await node.apiKeys.rotate("shop", id, principal({ wallet: BOB, role: "member" }), CONTEXT);
  equal(next.wallet, BOB);
  equal(await node.authenticator.identifyKey(key), undefined);
  equal(await node.apiKeys.ofWallet("shop", BOB, CONTEXT), next.key, "sign-ins give the new one from now on");
});

Deno.test("a rotation and a sign-in of one wallet at once leave one key, in whatever order", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const clock = new TestClock();
    await shopIn(database, clock);
    const calm = keysOn(database, clock, 1);
    await calm.ofWallet("shop", BOB, CONTEXT);
    const { id } = (await calm.list("shop", { limit: 1 }, CONTEXT))[0]!;
    const [rotating, signingIn] = [2, 3].map((seed) => keysOn(schedule.client(database), clock, seed));
    const [rotated, signedIn] = await schedule.run<unknown>([
      () => rotating!.rotate("shop", id, principal({ wallet: BOB }), CONTEXT),
      () => signingIn!.ofWallet("shop", BOB, CONTEXT),
    ]);
    equal(signedIn!.status, "fulfilled");
    if (rotated!.status === "rejected") equal(rotated!.reason.code, "CONFLICT");
    equal((await rows({ database })).filter(({ revoked_at }) => revoked_at === null).length, 1);
  });
});

Deno.test("another root key makes a wallet a new key, because the old one cannot be given again", async () => {
  await using node = await shop();
  const old = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  const restored = new ControlApiKeys({
    control: node.control,
    revocations: node.revocations,
    audit: node.audit,
    derivation: new Uint8Array(32).fill(8),
    now: node.clock.now,
    random: new Chance(5).bytes,
  });
  const key = await restored.ofWallet("shop", BOB, CONTEXT);
  notEqual(key, old);
  equal(await restored.ofWallet("shop", BOB, CONTEXT), key);
});

Deno.test("list() goes through all keys page by page, those of one millisecond too", async () => {
  await using node = await shop();
  for (let i = 0; i < 25; i++) {
    await node.apiKeys.create("shop", { name: `k${i}` }, owner, CONTEXT);
    if (i % 5 === 4) node.clock.advance(1);
  }
  const names: string[] = [];
  let after: string | undefined;
  for (let page = 0; page < 10; page++) {
    const keys = await node.apiKeys.list("shop", { limit: 3, after }, CONTEXT);
    names.push(...keys.map(({ name }) => name));
    after = keys.at(-1)?.id;
    if (keys.length < 3) break;
  }
  equal(new Set(names).size, 25);
  equal(names.length, 25);
  deepEqual(await node.apiKeys.list("shop", { limit: 3, after: "key_of_nobody" }, CONTEXT), []);
  await node.namespace("other", BOB);
  deepEqual(await node.apiKeys.list("other", { limit: 3, after }, CONTEXT), [], "a page marker of another namespace");
});

Deno.test("a request that was let in before its namespace was deleted leaves no key to the next owner", async () => {
  await using node = await shop();
  await node.namespaces.delete("shop", owner, CONTEXT);
  await rejects(node.apiKeys.create("shop", { name: "late" }, owner, CONTEXT), code("CONFLICT", /deleted/));
  for (const table of ["members", "namespaces"] as const) await node.database.run(node.database.db.deleteFrom(table));
  await rejects(node.apiKeys.create("shop", { name: "later" }, owner, CONTEXT), code("CONFLICT", /deleted/));
  await rejects(node.apiKeys.createBySystem("shop", { name: "later" }, owner, CONTEXT), code("CONFLICT"));
  deepEqual(await rows(node), []);
  equal((await node.audit.list("shop", { limit: 100 }, CONTEXT)).some(({ action }) => action === "key.created"), false);
});

Deno.test("a rotation that began before its namespace was deleted makes no key either", async () => {
  await using node = await shop();
  const { id } = await node.apiKeys.create("shop", { name: "k" }, owner, CONTEXT);
  await node.database.run(node.database.db.updateTable("namespaces").set({ state: "deleting" }));
  await rejects(node.apiKeys.rotate("shop", id, owner, CONTEXT), code("CONFLICT", /deleted/));
  equal((await rows(node)).length, 1);
});

Deno.test("operators' keys need no namespace, and no namespace can have their name", async () => {
  await using node = await Node.start();
  const { key, id } = await node.apiKeys.createOperator({ name: "ops" }, { subject: "command-line" }, CONTEXT);
  equal((await node.authenticator.identifyKey(key))?.operator, true);
  deepEqual((await node.apiKeys.list(OPERATOR_NAMESPACE, { limit: 5 }, CONTEXT)).map((view) => view.id), [id]);
  equal(NAMESPACE_PATTERN.test(OPERATOR_NAMESPACE), false);
});

Deno.test("the audit log tells who made, replaced and revoked which key, from where", async () => {
  await using node = await shop();
  const made = await node.apiKeys.create("shop", { name: "ci" }, owner, CONTEXT);
  const next = await node.apiKeys.rotate("shop", made.id, owner, CONTEXT);
  await node.apiKeys.revoke("shop", next.id, owner, CONTEXT);
  const events = (await node.audit.list("shop", { limit: 10 }, CONTEXT)).filter(({ action }) =>
    action.startsWith("key.")
  );
  deepEqual(events.reverse().map(({ action, resource }) => [action, resource]), [
    ["key.created", made.id],
    ["key.created", next.id],
    ["key.revoked", made.id],
    ["key.revoked", next.id],
  ]);
  for (const { actor, address, requestId } of events) {
    deepEqual([actor, address, requestId], [ALICE, CONTEXT.clientAddress, CONTEXT.requestId]);
  }
});
