import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { ControlAuditLog } from "../../../services/control_plane/audit.ts";
import type { ControlDatabase } from "../../../services/control_plane/control_database.ts";
import { RevocationFeed } from "../../../services/control_plane/revocations.ts";
import { MemberRegistry } from "../../../services/namespaces/members.ts";
import type { Role } from "../../../src/contracts/identity.ts";
import { ALICE, BOB, CAROL, code, Node, principal } from "../auth/support/node.ts";
import { TestClock } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { ALL } from "./support/pages.ts";

const owner = principal({ wallet: ALICE, role: "owner" });
const admin = principal({ wallet: CAROL, role: "admin" });

const shop = async () => {
  const node = await Node.start();
  await node.namespace("shop", ALICE, { [BOB]: "member", [CAROL]: "admin" });
  return node;
};
const rolesOf = async (node: Node) =>
  Object.fromEntries((await node.members.list("shop", ALL, CONTEXT)).items.map(({ wallet, role }) => [wallet, role]));

/** The members of one of several gateways. */
function membersOn(control: ControlDatabase): MemberRegistry {
  const { now } = new TestClock();
  return new MemberRegistry({
    control,
    revocations: new RevocationFeed(control, { now, monotonic: now, interval: 0, maxSilence: 0 }),
    audit: new ControlAuditLog(control, now),
    now,
    canonical: (wallet) => wallet,
  });
}

async function shopOf(database: ControlDatabase, roles: Readonly<Record<string, Role>>): Promise<void> {
  const { db } = database;
  await database.atomically([
    db.insertInto("namespaces").values({
      name: "shop",
      database_name: "shop",
      state: "active",
      created_at: 0,
      created_by: ALICE,
    }),
    ...Object.entries(roles).map(([wallet, role]) =>
      db.insertInto("members").values({ namespace: "shop", wallet, role, added_at: 0, added_by: ALICE })
    ),
  ]);
}

const ownersIn = async (database: ControlDatabase) =>
  (await database.run(database.db.selectFrom("members").selectAll().where("role", "=", "owner"))).rows.length;

Deno.test("a member keeps who added it and when, whatever its role becomes", async () => {
  await using node = await shop();
  const at = node.clock.time;
  node.clock.advance(1000);
  const changed = await node.members.set("shop", BOB, "viewer", admin, CONTEXT);
  deepEqual(changed, { wallet: BOB, role: "viewer", addedAt: at, addedBy: ALICE });
  equal((await rolesOf(node))[BOB], "viewer");
});

Deno.test("a wallet is one member however it is spelled", async () => {
  await using node = await shop();
  await node.members.set("shop", BOB.toUpperCase().replace("0X", "0x"), "viewer", owner, CONTEXT);
  await node.members.set("shop", BOB.slice(2), "member", owner, CONTEXT);
  deepEqual(Object.keys(await rolesOf(node)).sort(), [ALICE, BOB, CAROL].sort());
});

Deno.test("only an owner makes, changes or removes owners; an admin does the rest", async () => {
  await using node = await shop();
  const forbidden = code("FORBIDDEN", /only an owner/);
  await rejects(node.members.set("shop", BOB, "owner", admin, CONTEXT), forbidden);
  await rejects(node.members.set("shop", CAROL, "owner", admin, CONTEXT), forbidden, "himself");
  await rejects(node.members.set("shop", ALICE, "viewer", admin, CONTEXT), forbidden);
  await rejects(node.members.remove("shop", ALICE, admin, CONTEXT), forbidden);
  await node.members.set("shop", BOB, "admin", admin, CONTEXT);
  await node.members.remove("shop", BOB, admin, CONTEXT);
  await node.members.set("shop", CAROL, "owner", owner, CONTEXT);
  await node.members.remove("shop", ALICE, principal({ wallet: CAROL, role: "owner" }), CONTEXT);
  deepEqual(await rolesOf(node), { [CAROL]: "owner" });
});

Deno.test("the last owner neither leaves nor steps down", async () => {
  await using node = await shop();
  await rejects(node.members.remove("shop", ALICE, owner, CONTEXT), code("CONFLICT", /at least one owner/));
  await rejects(node.members.set("shop", ALICE, "admin", owner, CONTEXT), code("CONFLICT", /at least one owner/));
  equal((await rolesOf(node))[ALICE], "owner");
  await node.members.set("shop", BOB, "owner", owner, CONTEXT);
  await node.members.set("shop", ALICE, "admin", owner, CONTEXT);
  equal((await rolesOf(node))[ALICE], "admin");
});

for (const how of ["leave", "step down"] as const) {
  Deno.test(`of two owners who ${how} at once one stays, in whatever order`, async () => {
    const orders = await everySchedule(async (schedule) => {
      await using database = await openControl();
      await shopOf(database, { [ALICE]: "owner", [BOB]: "owner" });
      const results = await schedule.run<unknown>([ALICE, BOB].map((wallet) => {
        const members = membersOn(schedule.client(database));
        const actor = principal({ wallet, role: "owner" });
        return () =>
          how === "leave"
            ? members.remove("shop", wallet, actor, CONTEXT)
            : members.set("shop", wallet, "viewer", actor, CONTEXT);
      }));
      const failures = results.filter((result) => result.status === "rejected").map(({ reason }) => reason.code);
      deepEqual(failures, ["CONFLICT"]);
      equal(await ownersIn(database), 1);
    });
    ok(orders >= 4, String(orders));
  });
}

Deno.test("an admin who changes a member that becomes an owner meanwhile does not demote an owner, in whatever order", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    await shopOf(database, { [ALICE]: "owner", [BOB]: "member" });
    const [a, b] = [membersOn(schedule.client(database)), membersOn(schedule.client(database))];
    const [promotion] = await schedule.run<unknown>([
      () => a.set("shop", BOB, "owner", owner, CONTEXT),
      () => b.set("shop", BOB, "viewer", admin, CONTEXT),
    ]);
    const { rows } = await database.run<{ role: string }>(
      database.db.selectFrom("members").selectAll().where("wallet", "=", BOB),
    );
    equal(rows[0]!.role, promotion!.status === "fulfilled" ? "owner" : "viewer");
  });
});

Deno.test("two who add one wallet at once agree on what it is, and the namespace keeps an owner", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    await shopOf(database, { [ALICE]: "owner" });
    const [a, b] = [membersOn(schedule.client(database)), membersOn(schedule.client(database))];
    const results = await schedule.run<unknown>([
      async () => {
        await a.set("shop", BOB, "owner", owner, CONTEXT);
        await a.remove("shop", ALICE, owner, CONTEXT);
      },
      () => b.set("shop", BOB, "member", owner, CONTEXT),
    ]);
    for (const result of results) if (result.status === "rejected") equal(result.reason.code, "CONFLICT");
    ok(await ownersIn(database) >= 1);
  });
});

Deno.test("a member of a namespace that is gone is CONFLICT, not a failure of ours", async () => {
  await using node = await shop();
  await node.database.run(node.database.db.deleteFrom("namespaces"));
  await rejects(node.members.set("shop", BOB, "member", owner, CONTEXT), code("CONFLICT"));
});

Deno.test("a change ends the member's sessions and tells every gateway; saying the same again ends nothing", async () => {
  await using node = await shop();
  const session = await node.session("shop", BOB);
  const seq = node.revocations.seq;
  await node.members.set("shop", BOB, "member", owner, CONTEXT);
  equal(node.revocations.seq, seq);
  ok(await node.authenticator.identifyToken(session.token));
  await node.members.set("shop", BOB, "admin", owner, CONTEXT);
  equal(node.revocations.find("member", `shop/${BOB}`)?.seq, seq + 1);
  deepEqual(await node.sessions.list("shop", BOB, CONTEXT), []);
});

Deno.test("a change that was refused ends no session and stands in no log", async () => {
  await using node = await shop();
  const { token } = await node.session("shop", ALICE);
  const events = (await node.audit.list("shop", { limit: 100 }, CONTEXT)).length;
  await rejects(node.members.remove("shop", ALICE, owner, CONTEXT), code("CONFLICT"));
  ok(await node.authenticator.identifyToken(token));
  equal((await node.sessions.list("shop", ALICE, CONTEXT)).length, 1);
  equal((await node.audit.list("shop", { limit: 100 }, CONTEXT)).length, events);
});

Deno.test("removing who is no member is NOT_FOUND, and what is no wallet is INVALID_REQUEST", async () => {
  await using node = await shop();
  await rejects(node.members.remove("shop", "0x" + "9".repeat(40), owner, CONTEXT), code("NOT_FOUND"));
  await rejects(node.members.remove("other", BOB, owner, CONTEXT), code("NOT_FOUND"));
  await rejects(node.members.set("shop", "nobody", "member", owner, CONTEXT), code("INVALID_REQUEST"));
});

Deno.test("the audit log tells what a member was and became", async () => {
  await using node = await shop();
  await node.members.set("shop", BOB, "viewer", admin, CONTEXT);
  await node.members.remove("shop", BOB, admin, CONTEXT);
  const events = (await node.audit.list("shop", { limit: 2 }, CONTEXT)).map(({ actor, action, resource, details }) => ({
    actor,
    action,
    resource,
    details,
  }));
  deepEqual(events, [
    { actor: CAROL, action: "member.removed", resource: BOB, details: { before: "viewer" } },
    { actor: CAROL, action: "member.changed", resource: BOB, details: { role: "viewer", before: "member" } },
  ]);
});

Deno.test("members come in pages, each once and in the order in which they were added, whatever happens meanwhile", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  await node.namespace("cafe", BOB);
  const wallets = Array.from({ length: 7 }, (_, i) => "0x" + String(i).repeat(40));
  for (const [i, wallet] of wallets.toReversed().entries()) {
    // Some at the same moment.
    if (i % 3 === 0) node.clock.advance(1);
    await node.members.set("shop", wallet, "viewer", owner, CONTEXT);
  }
  const all = (await node.members.list("shop", ALL, CONTEXT)).items.map(({ wallet }) => wallet);
  equal(all.length, 8);
  for (const limit of [1, 2, 3, 7, 8]) {
    const seen: string[] = [];
    for (let cursor: string | undefined, pages = 0; pages < 10; pages++) {
      const page = await node.members.list("shop", { limit, cursor }, CONTEXT);
      seen.push(...page.items.map(({ wallet }) => wallet));
      if ((cursor = page.next) === undefined) break;
    }
    deepEqual(seen, all, String(limit));
  }
  const first = await node.members.list("shop", { limit: 3 }, CONTEXT);
  await node.members.remove("shop", first.items.at(-1)!.wallet, owner, CONTEXT);
  const rest = await node.members.list("shop", { limit: 100, cursor: first.next }, CONTEXT);
  deepEqual(rest.items.map(({ wallet }) => wallet), all.slice(3), "the member at which the page ended is gone");
  equal((await node.members.list("cafe", { limit: 100, cursor: first.next }, CONTEXT)).items.length <= 1, true);
});

Deno.test("a cursor that no list gave is refused with its name", async () => {
  await using node = await shop();
  const of = (key: unknown) => btoa(JSON.stringify(key)).replaceAll("=", "");
  const wrong = [
    "",
    "x",
    "%%%",
    "é",
    of(null),
    of({}),
    of([]),
    of([1]),
    of(["a", "b"]),
    of([1, 2]),
    of([1, "a", 2]),
    of([[1], "a"]),
  ];
  for (const cursor of wrong) {
    await rejects(node.members.list("shop", { limit: 1, cursor }, CONTEXT), code("INVALID_REQUEST", /^cursor/), cursor);
  }
  deepEqual((await node.members.list("shop", { limit: 9, cursor: of([1e308, "'; --"]) }, CONTEXT)).items, []);
});
