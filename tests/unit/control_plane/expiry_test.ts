import { deepEqual } from "node:assert/strict";
import type { ControlDatabase } from "../../../services/control_plane/control_database.ts";
import { removeExpired } from "../../../services/control_plane/expiry.ts";
import { DAY, MINUTE } from "./support/clock.ts";
import { openControl } from "./support/control.ts";

const NOW = 1_800_000_000_000;
const hash = (n: number) => String(n).padStart(64, "0");

/** One row per table for each moment at which it may end. */
async function fill(control: ControlDatabase, ends: readonly number[]): Promise<void> {
  const { db } = control;
  const session = {
    namespace: "shop",
    wallet: "0xa",
    subject: "0xa",
    created_at: 0,
    last_used_at: 0,
    revoked_at: null,
    address: "",
    user_agent: "",
  };
  await control.atomically(ends.flatMap((expires_at, i) => [
    db.insertInto("consumed_nonces").values({ nonce: `n${i}`, expires_at }),
    db.insertInto("login_codes").values({
      hash: hash(i),
      namespace: "shop",
      wallet: "0xa",
      callback: "",
      code_challenge: "",
      expires_at,
    }),
    db.insertInto("sessions").values({ id: `ses_${i}`, ...session, expires_at }),
    db.insertInto("refresh_tokens").values({
      hash: hash(i),
      session_id: `ses_${i}`,
      created_at: 0,
      expires_at,
      used_at: null,
      replaced_by: null,
    }),
    db.insertInto("revocations").values({ kind: "key", id: `k${i}`, at: 0, expires_at }),
    db.insertInto("leases").values({ name: `l${i}`, holder: "a", expires_at }),
    db.insertInto("signing_keys").values({
      kid: `k${i}`,
      public_jwk: "",
      sealed_private_jwk: "",
      created_at: 0,
      active_from: 0,
      retired_at: expires_at,
    }),
  ]));
}

const TABLES = [
  "consumed_nonces",
  "login_codes",
  "sessions",
  "refresh_tokens",
  "revocations",
  "leases",
  "signing_keys",
] as const;
const counts = async (control: ControlDatabase) =>
  await Promise.all(
    TABLES.map(async (table) => (await control.run(control.db.selectFrom(table).selectAll())).rows.length),
  );

Deno.test("what has expired goes five minutes later, because clocks need not agree; what lives stays", async () => {
  await using control = await openControl();
  await fill(control, [NOW - 5 * MINUTE - 1, NOW - 5 * MINUTE, NOW, NOW + DAY]);
  await removeExpired(control, NOW);
  deepEqual(await counts(control), TABLES.map(() => 3));
  await removeExpired(control, NOW + 1);
  deepEqual(await counts(control), TABLES.map(() => 2));
});

Deno.test("a signing key that is in use never expires", async () => {
  await using control = await openControl();
  await control.run(
    control.db.insertInto("signing_keys").values({
      kid: "k",
      public_jwk: "",
      sealed_private_jwk: "",
      created_at: 0,
      active_from: 0,
      retired_at: null,
    }),
  );
  await removeExpired(control, NOW + 10_000 * DAY);
  deepEqual((await counts(control)).at(-1), 1);
});

Deno.test("audit events stay for 400 days", async () => {
  await using control = await openControl();
  const event = { namespace: "shop", actor: "", action: "", resource: "", address: "", request_id: "", details: "{}" };
  await control.atomically(
    [NOW - 400 * DAY - 1, NOW - 400 * DAY].map((at) => control.db.insertInto("audit_events").values({ ...event, at })),
  );
  await removeExpired(control, NOW);
  const { rows } = await control.run<{ at: number }>(control.db.selectFrom("audit_events").select("at"));
  deepEqual(rows, [{ at: NOW - 400 * DAY }]);
});

Deno.test("keys, members and namespaces do not expire by themselves", async () => {
  await using control = await openControl();
  const { db } = control;
  await control.atomically([
    db.insertInto("namespaces").values({
      name: "shop",
      database_name: "shop",
      state: "active",
      created_at: 0,
      created_by: "0xa",
    }),
    db.insertInto("members").values({ namespace: "shop", wallet: "0xa", role: "owner", added_at: 0, added_by: "0xa" }),
    db.insertInto("api_keys").values({
      id: "key_1",
      namespace: "shop",
      hash: hash(1),
      name: "",
      wallet: null,
      serial: 0,
      scopes: null,
      operator: 0,
      created_at: 0,
      created_by: "",
      expires_at: 1,
      revoked_at: 1,
      last_used_at: null,
    }),
  ]);
  await removeExpired(control, NOW);
  for (const table of ["namespaces", "members", "api_keys"] as const) {
    deepEqual((await control.run(db.selectFrom(table).selectAll())).rows.length, 1, table);
  }
});
