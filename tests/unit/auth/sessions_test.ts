import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { hashKey } from "../../../services/auth/crypto/api_key.ts";
import { WalletSessions } from "../../../services/auth/sessions.ts";
import { ControlAuditLog } from "../../../services/control_plane/audit.ts";
import { removeExpired } from "../../../services/control_plane/expiry.ts";
import { RevocationFeed } from "../../../services/control_plane/revocations.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { DAY, HOUR, MINUTE, SECOND, TestClock } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { WatchedControl } from "../control_plane/support/doubles.ts";
import { everySchedule, type Schedule } from "../control_plane/support/schedules.ts";
import { ALICE, BOB, code, GRACE, Node, principal, REFRESH_TTL } from "./support/node.ts";

const refused = code("INVALID_CREDENTIAL", /invalid or expired refresh token/);
const unusedTokens = async ({ database }: Pick<Node, "database">) =>
  (await database.run(database.db.selectFrom("refresh_tokens").selectAll().where("used_at", "is", null))).rows.length;

async function signedIn() {
  const node = await Node.start();
  await node.namespace("shop", ALICE);
  const { id, refreshToken } = await node.session("shop", ALICE);
  const refresh = async (token: string, namespace?: string) =>
    (await node.sessions.refresh(token, namespace, CONTEXT)).refreshToken;
  const isAlive = async () => (await node.sessions.list("shop", ALICE, CONTEXT)).some((session) => session.id === id);
  return { node, id, first: refreshToken, refresh, isAlive, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
}

Deno.test("refresh() exchanges a token for another one and keeps the session", async () => {
  await using t = await signedIn();
  const session = await t.node.sessions.refresh(t.first, undefined, CONTEXT);
  match(session.refreshToken, /^[A-Za-z0-9_-]{43}$/);
  notEqual(session.refreshToken, t.first);
  deepEqual([session.id, session.wallet, session.namespace, session.role], [t.id, ALICE, "shop", "owner"]);
});

Deno.test("refresh tokens are stored as hashes", async () => {
  await using t = await signedIn();
  const { rows } = await t.node.database.run(t.node.database.db.selectFrom("refresh_tokens").selectAll());
  equal(JSON.stringify(rows).includes(t.first), false);
  match(String(rows[0]!.hash), /^[0-9a-f]{64}$/);
});

Deno.test("an unknown token is refused and ends nothing", async () => {
  await using t = await signedIn();
  for (const token of ["", "x", "x".repeat(43), t.first.toLowerCase() + "'"]) await rejects(t.refresh(token), refused);
  ok(await t.isAlive());
});

Deno.test("a token named for another namespace is refused and not used up", async () => {
  await using t = await signedIn();
  await rejects(t.refresh(t.first, "other"), refused);
  await rejects(t.refresh(t.first, "SHOP"), refused);
  ok(await t.refresh(t.first, "shop"));
});

Deno.test("a token expires when it rests for its whole life, and each use begins it anew", async () => {
  await using t = await signedIn();
  let token = t.first;
  for (let i = 0; i < 3; i++) {
    t.node.clock.advance(REFRESH_TTL - 1);
    token = await t.refresh(token);
  }
  t.node.clock.advance(REFRESH_TTL);
  await rejects(t.refresh(token), refused);
  equal(await t.isAlive(), false);
});

Deno.test("a token of a wallet that is no member any more is refused", async () => {
  await using t = await signedIn();
  const owner = principal({ wallet: ALICE, role: "owner" });
  await t.node.members.set("shop", BOB, "owner", owner, CONTEXT);
  await t.node.members.remove("shop", ALICE, owner, CONTEXT);
  await rejects(t.refresh(t.first), refused);
  await t.node.members.set("shop", ALICE, "viewer", principal({ wallet: BOB, role: "owner" }), CONTEXT);
  await rejects(t.refresh(t.first), refused, "it comes back with a new sign-in only");
});

Deno.test("a session that was opened while its member was removed is worth nothing", async () => {
  await using t = await signedIn();
  await t.node.database.run(t.node.database.db.deleteFrom("members"));
  ok(await t.isAlive());
  await rejects(t.refresh(t.first), refused);
});

Deno.test("many who exchange one token at once all get the same one, which lives", async () => {
  await using t = await signedIn();
  const tokens = await Promise.all(Array.from({ length: 10 }, () => t.refresh(t.first)));
  equal(new Set(tokens).size, 1);
  equal(await unusedTokens(t.node), 1);
  ok(await t.refresh(tokens[0]!));
});

Deno.test("two tabs that refresh at the same time, again and again and on two gateways, keep their session", async () => {
  await using t = await signedIn();
  const other = await t.node.another();
  const refreshOn = async (node: Node, token: string) =>
    (await node.sessions.refresh(token, undefined, CONTEXT)).refreshToken;
  let tabs = [t.first, t.first];
  for (let round = 0; round < 10; round++) {
    tabs = await Promise.all([refreshOn(t.node, tabs[0]!), refreshOn(other, tabs[1]!)]);
    equal(tabs[0], tabs[1]);
    t.node.clock.advance(HOUR);
  }
  ok(await t.isAlive());
});

Deno.test("what follows a token cannot be told from it, nor from what is stored", async () => {
  await using t = await signedIn();
  const stranger = await t.node.another({ rootKey: new Uint8Array(32).fill(9), maintained: false });
  const second = await t.refresh(t.first);
  const { rows } = await t.node.database.run(t.node.database.db.selectFrom("refresh_tokens").selectAll());
  equal(JSON.stringify(rows).includes(second), false);
  await rejects(stranger.sessions.refresh(t.first, undefined, CONTEXT), refused, "with another root key");
});

Deno.test("a token whose successor is nowhere to be found is refused, and no loop", async () => {
  await using t = await signedIn();
  await t.refresh(t.first);
  await t.node.database.run(t.node.database.db.updateTable("refresh_tokens").set({ replaced_by: "nothing" }));
  await rejects(t.refresh(t.first), refused);
});

Deno.test("a refresh gives the role of now", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  await node.database.run(node.database.db.updateTable("members").set({ role: "viewer" }).where("wallet", "=", BOB));
  const { refreshToken } = await node.session("shop", BOB);
  equal((await node.sessions.refresh(refreshToken, undefined, CONTEXT)).role, "viewer");
});

Deno.test("an owner who lost answers survives in the grace, as often as that happens", async () => {
  await using t = await signedIn();
  const chance = new Chance(3);
  let token = t.first;
  for (let round = 0; round < 40; round++) {
    const begun = t.node.clock.time;
    for (let lost = chance.below(4); lost > 0; lost--) {
      await t.refresh(token);
      t.node.clock.advance(chance.below(Math.max(1, GRACE - (t.node.clock.time - begun))));
    }
    token = await t.refresh(token);
    equal(await unusedTokens(t.node), 1);
    t.node.clock.advance(chance.below(2 * DAY));
  }
  ok(await t.isAlive());
});

Deno.test("the grace ends: a repetition after it ends the session", async () => {
  await using t = await signedIn();
  const second = await t.refresh(t.first);
  t.node.clock.advance(GRACE + 1);
  await rejects(t.refresh(t.first), refused);
  equal(await t.isAlive(), false);
  await rejects(t.refresh(second), refused);
});

Deno.test("the last millisecond of the grace is in it", async () => {
  await using t = await signedIn();
  await t.refresh(t.first);
  t.node.clock.advance(GRACE);
  ok(await t.refresh(t.first));
});

Deno.test("the thief first: the owner's use of the same token after the grace ends both", async () => {
  await using t = await signedIn();
  const stolen = await t.refresh(await t.refresh(t.first));
  t.node.clock.advance(10 * MINUTE);
  await rejects(t.refresh(t.first), refused);
  await rejects(t.refresh(stolen), refused);
  const [event] = await t.node.audit.list("shop", { limit: 1 }, CONTEXT);
  deepEqual([event?.action, event?.resource], ["session.reuse_detected", t.id]);
});

Deno.test("in the grace too, a token whose successor was used already is a reuse", async () => {
  await using t = await signedIn();
  const second = await t.refresh(t.first);
  const third = await t.refresh(second);
  await rejects(t.refresh(t.first), refused);
  await rejects(t.refresh(third), refused);
});

Deno.test("a repetition gives no token a longer life", async () => {
  await using t = await signedIn();
  const second = await t.refresh(t.first);
  t.node.clock.advance(GRACE);
  equal(await t.refresh(t.first), second);
  t.node.clock.advance(REFRESH_TTL - GRACE);
  await rejects(t.refresh(second), refused);
});

Deno.test("reuse kills the access tokens of the session as well", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  const { token, refreshToken } = await node.session("shop", ALICE);
  ok(await node.authenticator.identifyToken(token));
  await node.sessions.refresh(refreshToken, undefined, CONTEXT);
  node.clock.advance(GRACE + 1);
  await rejects(node.sessions.refresh(refreshToken, undefined, CONTEXT), refused);
  equal(await node.authenticator.identifyToken(token), undefined);
});

/** What is right, said again in a few lines: the tokens of one session and what their uses do. */
class Family {
  #alive = true;
  readonly #tokens = new Map<string, { usedAt?: number; next?: string; expiresAt: number }>();

  constructor(first: string, at: number) {
    this.#tokens.set(first, { expiresAt: at + REFRESH_TTL });
  }

  /** @returns whether this use is accepted; then {@link accept} says what it gave */
  use(token: string, at: number): boolean {
    const state = this.#tokens.get(token)!;
    if (!this.#alive || state.expiresAt <= at) return false;
    const unused = state.usedAt === undefined;
    const repeated = !unused && at - state.usedAt! <= GRACE && this.#tokens.get(state.next!)!.usedAt === undefined;
    if (!unused && !repeated) this.#alive = false;
    return unused || repeated;
  }

  accept(token: string, gave: string, at: number): void {
    const state = this.#tokens.get(token)!;
    state.next ??= gave;
    equal(gave, state.next, "a token has one successor");
    if (state.usedAt !== undefined) return;
    state.usedAt = at;
    this.#tokens.set(gave, { expiresAt: at + REFRESH_TTL });
  }

  /** Tokens that a use at this moment would be accepted of. */
  live(at: number): string[] {
    return [...this.#tokens.keys()].filter((token) => {
      const alive = this.#alive;
      const accepted = this.use(token, at);
      this.#alive = alive;
      return accepted;
    });
  }

  end(): void {
    this.#alive = false;
  }

  get alive(): boolean {
    return this.#alive;
  }
}

Deno.test("whatever two holders of its tokens do, a session obeys the rules and has one live token at most", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  const ended = { reuse: 0, expiry: 0, revoked: 0 };
  for (let seed = 0; seed < 150; seed++) {
    const chance = new Chance(seed);
    const { id, refreshToken: first } = await node.session("shop", ALICE);
    const family = new Family(first, node.clock.time);
    // Either may hold any token that ever was, but mostly uses the newest it has.
    const holders = [[first], [first]];
    for (let step = 0; step < 12; step++) {
      const at = node.clock.time;
      const outsideGrace = family.live(at + GRACE + 1);
      ok(outsideGrace.length <= 1, `seed ${seed}: ${outsideGrace.length} live tokens`);
      if (chance.next() < 0.02) {
        await node.sessions.revoke("shop", ALICE, id, CONTEXT).catch((error) => equal(family.alive, false, error));
        family.end();
        ended.revoked++;
      }
      const own = chance.pick(holders);
      const token = chance.next() < 0.8 ? own.at(-1)! : chance.pick(own);
      const expected = family.use(token, at);
      const answer = await node.sessions.refresh(token, undefined, CONTEXT).then(
        ({ refreshToken }) => refreshToken,
        (error) => {
          equal((error as GatewayError).code, "INVALID_CREDENTIAL");
          return undefined;
        },
      );
      equal(answer !== undefined, expected, `seed ${seed}, step ${step}`);
      if (answer !== undefined) {
        family.accept(token, answer, at);
        if (chance.next() < 0.7) own.push(answer);
        if (chance.next() < 0.1) chance.pick(holders).push(answer);
      } else if (!family.alive) {
        ended.reuse++;
        break;
      } else ended.expiry++;
      node.clock.advance(chance.pick([0, 1, SECOND, GRACE - SECOND, GRACE, GRACE + SECOND, DAY, 31 * DAY]));
    }
    if (!family.alive) {
      for (const token of new Set(holders.flat())) {
        await rejects(node.sessions.refresh(token, undefined, CONTEXT), refused);
      }
    }
  }
  ok(ended.reuse > 20 && ended.expiry > 20 && ended.revoked > 5, `the tests' own reach: ${JSON.stringify(ended)}`);
});

/** Two gateways, and a session whose first token both are asked to exchange. */
async function race(schedule: Schedule, database: Awaited<ReturnType<typeof openControl>>) {
  const clock = new TestClock();
  const at = clock.time;
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
  const sessionsOn = (control: WatchedControl, seed: number) =>
    new WalletSessions({
      control,
      revocations: new RevocationFeed(control, { now: clock.now, monotonic: clock.now, interval: 0, maxSilence: 0 }),
      audit: new ControlAuditLog(control, clock.now),
      now: clock.now,
      random: new Chance(seed).bytes,
      derivation: new Uint8Array(32),
      refreshTtl: REFRESH_TTL,
      grace: GRACE,
    });
  const calm = sessionsOn(new WatchedControl(database), 1);
  const owner = { namespace: "shop", wallet: ALICE, subject: ALICE };
  const { id, refreshToken: first } = await calm.open(owner, "owner", { userAgent: "" }, CONTEXT);
  const gateways = [2, 3].map((seed) => sessionsOn(schedule.client(database), seed));
  const unused = () => unusedTokens({ database } as Node);
  return { clock, calm, id, first, gateways, unused };
}

Deno.test("two exchanges of one token at once leave one live token, in whatever order", async () => {
  const orders = await everySchedule(async (schedule) => {
    await using database = await openControl();
    const { calm, first, gateways, unused } = await race(schedule, database);
    const results = await schedule.run(gateways.map((sessions) => () => sessions.refresh(first, undefined, CONTEXT)));
    const tokens = results.map((result) => result.status === "fulfilled" ? result.value.refreshToken : "");
    equal(tokens.every((token) => token !== ""), true, "both may be the same client");
    equal(tokens[0], tokens[1]);
    equal(await unused(), 1);
    const { rows } = await database.run<{ hash: string }>(database.db.selectFrom("refresh_tokens").select("hash"));
    const known = new Set(rows.map(({ hash }) => hash));
    ok(tokens.every((token) => known.has(hashKey(token))), "nobody got a token that was never stored");
    const uses = await Promise.allSettled(tokens.map((token) => calm.refresh(token, undefined, CONTEXT)));
    equal(uses.every(({ status }) => status === "fulfilled"), true, "two tabs of one client");
    equal(await unused(), 1);
  });
  ok(orders > 5, String(orders));
});

Deno.test("a repetition and the use of what the first answer gave, at once, never leave two live tokens", async () => {
  const seen = new Set<boolean>();
  const orders = await everySchedule(async (schedule) => {
    await using database = await openControl();
    const { calm, first, gateways: [a, b], unused } = await race(schedule, database);
    const second = (await calm.refresh(first, undefined, CONTEXT)).refreshToken;
    const results = await schedule.run([
      () => a!.refresh(first, undefined, CONTEXT),
      () => b!.refresh(second, undefined, CONTEXT),
    ]);
    ok(await unused() <= 1);
    const codes = results.map((result) => result.status === "rejected" ? result.reason.code : "done");
    const alive = (await calm.list("shop", ALICE, CONTEXT)).length > 0;
    // Who repeats before the next token is used gets that one once more; who comes after it is noticed.
    deepEqual(codes, alive ? ["done", "done"] : ["INVALID_CREDENTIAL", codes[1]]);
    seen.add(alive);
  });
  deepEqual([orders, seen.size], [3, 2]);
});

Deno.test("a refresh that crosses the end of its session leaves nothing that works", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const { calm, id, first, gateways: [a, b] } = await race(schedule, database);
    const [refreshed] = await schedule.run<unknown>([
      () => a!.refresh(first, undefined, CONTEXT),
      () => b!.revoke("shop", ALICE, id, CONTEXT),
    ]);
    if (refreshed?.status === "fulfilled") {
      const { refreshToken } = refreshed.value as { refreshToken: string };
      await rejects(calm.refresh(refreshToken, undefined, CONTEXT), refused);
    }
    equal((await calm.list("shop", ALICE, CONTEXT)).length, 0);
  });
});

Deno.test("an exchange whose outcome is unknown is UNAVAILABLE, so that the client repeats it, and the repetition works", async () => {
  await using t = await signedIn();
  t.node.control.after = (sql) => {
    if (!sql.startsWith("insert")) return;
    t.node.control.after = () => {};
    throw new GatewayError("OUTCOME_UNKNOWN", "no answer came");
  };
  await rejects(t.refresh(t.first), code("UNAVAILABLE", /repeat/));
  ok(await t.refresh(t.first));
});

Deno.test("an exchange while the control plane is down is UNAVAILABLE and costs the client nothing", async () => {
  await using t = await signedIn();
  t.node.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "down");
  };
  await rejects(t.refresh(t.first), code("UNAVAILABLE"));
  t.node.clock.advance(DAY);
  t.node.control.before = () => {};
  ok(await t.refresh(t.first));
});

Deno.test("list() gives live sessions of this wallet in this namespace, newest first", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  await node.namespace("other", ALICE);
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    ids.push((await node.session("shop", ALICE)).id);
    node.clock.advance(1);
  }
  await node.session("shop", BOB);
  await node.session("other", ALICE);
  await node.sessions.revoke("shop", ALICE, ids[1]!, CONTEXT);
  const found = await node.sessions.list("shop", ALICE, CONTEXT);
  deepEqual(found.map(({ id }) => id), [ids[2], ids[0]]);
  deepEqual([found[0]!.address, found[0]!.userAgent], [CONTEXT.clientAddress, "test"]);
  node.clock.advance(REFRESH_TTL);
  deepEqual(await node.sessions.list("shop", ALICE, CONTEXT), []);
});

Deno.test("a user agent is kept up to 256 characters", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  const owner = { namespace: "shop", wallet: ALICE, subject: ALICE };
  await node.sessions.open(owner, "owner", { userAgent: "x".repeat(100_000) }, CONTEXT);
  equal((await node.sessions.list("shop", ALICE, CONTEXT))[0]!.userAgent.length, 256);
});

Deno.test("nobody ends another wallet's session, or one of another namespace", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  const { id } = await node.session("shop", ALICE);
  for (const [namespace, wallet] of [["shop", BOB], ["other", ALICE]] as const) {
    await rejects(node.sessions.revoke(namespace, wallet, id, CONTEXT), code("NOT_FOUND"));
  }
  await node.sessions.revoke("shop", ALICE, id, CONTEXT);
  await rejects(node.sessions.revoke("shop", ALICE, id, CONTEXT), code("NOT_FOUND"));
});

Deno.test("revokeAll() ends all sessions of the wallet there, though they are more than one list holds", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  const at = node.clock.time;
  const row = {
    namespace: "shop",
    wallet: ALICE,
    subject: ALICE,
    created_at: at,
    last_used_at: at,
    expires_at: at + DAY,
  };
  await node.database.atomically(
    Array.from({ length: 1_100 }, (_, i) =>
      node.database.db.insertInto("sessions").values({
        id: `ses_${i}`,
        ...row,
        revoked_at: null,
        address: "",
        user_agent: "",
      })),
  );
  const { token: bobs } = await node.session("shop", BOB);
  await node.sessions.revokeAll("shop", ALICE, CONTEXT);
  const { rows } = await node.database.run(
    node.database.db.selectFrom("sessions").select("wallet").where("revoked_at", "is", null),
  );
  deepEqual(rows, [{ wallet: BOB }]);
  ok(await node.authenticator.identifyToken(bobs));
  equal(node.revocations.find("session", "ses_1099") === undefined, false);
});

Deno.test("logout by a refresh token ends its session, also by a used one; an unknown one is no error", async () => {
  await using t = await signedIn();
  const second = await t.refresh(t.first);
  await t.node.sessions.revokeByToken("unknown", CONTEXT);
  ok(await t.isAlive());
  await t.node.sessions.revokeByToken(t.first, CONTEXT);
  equal(await t.isAlive(), false);
  await rejects(t.refresh(second), refused);
  await t.node.sessions.revokeByToken(second, CONTEXT);
});

Deno.test("what expired is swept away, used tokens stay as long as their reuse must be noticed", async () => {
  await using t = await signedIn();
  await t.refresh(t.first);
  t.node.clock.advance(DAY);
  await removeExpired(t.node.database, t.node.clock.time);
  await rejects(t.refresh(t.first), refused);
  equal(await t.isAlive(), false, "noticed after a day");
  t.node.clock.advance(REFRESH_TTL + 6 * MINUTE);
  await removeExpired(t.node.database, t.node.clock.time);
  for (const table of ["sessions", "refresh_tokens"] as const) {
    equal((await t.node.database.run(t.node.database.db.selectFrom(table).selectAll())).rows.length, 0, table);
  }
});
