import { type RawBuilder, sql } from "kysely";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { StorageRules } from "../../src/contracts/settings.ts";
import type { ContentKind, Replication, Visibility } from "../../src/contracts/storage.ts";
import {
  ConstraintViolation,
  type ControlDatabase,
  type ControlQuery,
  type ControlResult,
} from "../control_plane/control_database.ts";
import type { StorageObjectTable } from "../control_plane/schema.ts";
import type { Cid } from "./cids.ts";
import { notFound, overQuota } from "./failures.ts";
import { FOR_ALL, type PinRows } from "./pin_rows.ts";

/** What claims need of the rest. */
export interface ClaimsParts {
  readonly control: ControlDatabase;
  readonly pins: PinRows;
  readonly now: () => number;
  /** Milliseconds for which it is noted whose content was that nobody has any more; 0 where nothing is looked for on a network. */
  readonly withheld: number;
}

/** A namespace that may be given a claim, as it was when it was looked at. */
export interface Place {
  readonly namespace: string;
  /** When the namespace was made; tells it from another one of its name. */
  readonly createdAt: number;
  readonly bytes: number;
}

/** A claim to be made. */
export interface NewClaim {
  readonly cid: Cid;
  /** `undefined`: as it was, or the CID. */
  readonly name: string | undefined;
  readonly type: string | undefined;
  readonly kind: ContentKind;
  readonly size: number | undefined;
  /** Bytes that it counts; never fewer than it did before. */
  readonly charged: number;
  readonly encrypted: boolean;
  /** `undefined`: as it was, or private. */
  readonly visibility: Visibility | undefined;
  /** Until when it is kept without a pin; `undefined`: it is pinned. */
  readonly expiresAt: number | undefined;
  readonly replication: Replication;
  /** Whether a caller said {@link replication}, so that it replaces what was. */
  readonly replicationGiven: boolean;
  readonly by: string;
  /**
   * What the claim rests on. `held`: the bytes are there. `public`: somebody has it for everybody, which is looked at again.
   * `awaited`: the engine is to look for it.
   */
  readonly on: "held" | "public" | "awaited";
  readonly origins?: readonly string[] | undefined;
  /** Whether a pin request asks for it. Otherwise it stays without any. */
  readonly requested?: true;
}

/** What happens in the transaction of a claim, in front of it and behind it. */
export interface Surroundings {
  readonly before: readonly ControlQuery[];
  readonly after: readonly ControlQuery[];
}

/** What becomes of a claim; what is not named stays. */
export interface ClaimChange {
  readonly name?: string | undefined;
  readonly visibility?: Visibility | undefined;
  readonly pin?: boolean | undefined;
  /** With `pin: false`: Unix milliseconds at which it goes. */
  readonly expiresAt?: number | undefined;
  readonly replication?: Replication | undefined;
  readonly written?: string | undefined;
  readonly origins?: readonly string[] | undefined;
  /** Whether the namespace asks for it itself, so that it stays without pin requests. */
  readonly asked?: boolean | undefined;
}

/** Whether there are pin requests for a claim. */
const REQUESTED = sql<number>`EXISTS (SELECT 1 FROM storage_pin_requests q
  WHERE q.namespace = storage_objects.namespace AND q.cid = storage_objects.cid)`;

/** Claims of namespaces to content, and what they count against quotas; each change is one transaction with what it entails. */
export class Claims {
  constructor(private readonly parts: ClaimsParts) {}

  /** Where claims of a namespace go. @throws GatewayError `CONFLICT` for one that is gone or about to be */
  async place(namespace: string, signal: AbortSignal): Promise<Place> {
    const { control } = this.parts;
    const { rows: [row] } = await control.run<{ state: string; created_at: number; bytes: number | null }>(
      control.db.selectFrom("namespaces as n").leftJoin("storage_usage as u", "u.namespace", "n.name")
        .select(["n.state", "n.created_at", "u.bytes"]).where("n.name", "=", namespace),
      signal,
    );
    if (row?.state !== "active") throw gone();
    return { namespace, createdAt: row.created_at, bytes: row.bytes ?? 0 };
  }

  /**
   * Makes or renews a claim, with what it counts and what it wants of the engine.
   * @returns it, the bytes that the namespace has then, and what came of the queries behind it
   * @throws GatewayError `QUOTA_EXCEEDED`, `CONFLICT`; `NOT_FOUND` for what nobody has publicly any more
   */
  async put(
    place: Place,
    claim: NewClaim,
    rules: StorageRules,
    signal: AbortSignal,
    { before, after }: Surroundings = { before: [], after: [] },
  ): Promise<
    { readonly row: StorageObjectTable; readonly bytes: number; readonly after: readonly ControlResult[] }
  > {
    const { control, pins } = this.parts;
    const { cid: { canonical, written } } = claim;
    try {
      const results = await control.atomically([
        ...before,
        control.db.insertInto("storage_usage").values({ namespace: place.namespace, bytes: 0, objects: 0 })
          .onConflict((conflict) => conflict.doNothing()),
        this.#count(place.namespace, canonical, claim.charged, rules),
        this.#upsert(place, claim),
        pins.renewal([canonical], claim.origins),
        ...after,
      ], signal);
      const [, usage, object, , ...rest] = results.slice(before.length);
      return {
        row: object!.rows[0] as unknown as StorageObjectTable,
        bytes: (usage!.rows[0] as unknown as { bytes: number }).bytes,
        after: rest,
      };
    } catch (error) {
      throw refusal(error, rules, written);
    }
  }

  /** What a namespace has, whether or not it is about to expire. */
  async find(namespace: string, cid: string, signal: AbortSignal): Promise<StorageObjectTable | undefined> {
    const { control } = this.parts;
    const { rows } = await control.run<StorageObjectTable>(
      control.db.selectFrom("storage_objects").selectAll().where("namespace", "=", namespace).where("cid", "=", cid),
      signal,
    );
    return rows[0];
  }

  /** Changes a claim. @returns it; `undefined` where there is none */
  async change(
    namespace: string,
    cid: string,
    { name, visibility, pin, replication, expiresAt, written, origins, asked }: ClaimChange,
    signal: AbortSignal,
  ): Promise<StorageObjectTable | undefined> {
    const { control, pins, now } = this.parts;
    const update = control.db.updateTable("storage_objects").set((eb) => ({
      ...(name !== undefined && { name }),
      // Also where it is private already: that is how links are ended.
      ...(visibility === "private" && { link_serial: eb("link_serial", "+", 1) }),
      ...(visibility !== undefined && { visibility }),
      ...(pin === true && { pinned: 1, expires_at: null, problem: null, asked_at: now() }),
      ...(asked && { requested: 0 }),
      // What is requested stays as long as it is.
      ...(pin === false && {
        pinned: REQUESTED,
        expires_at: sql<number | null>`CASE WHEN NOT ${REQUESTED} THEN ${expiresAt ?? now()} END`,
        requested: REQUESTED,
      }),
      ...(replication && { replication_min: replication.min, replication_max: replication.max }),
      written: written ?? eb.ref("written"),
    })).where("namespace", "=", namespace).where("cid", "=", cid).returningAll();
    const [result] = await control.atomically([update, pins.renewal([cid], origins)], signal);
    return result!.rows[0] as StorageObjectTable | undefined;
  }

  /**
   * Gives claims of one namespace up.
   * @param cids canonical
   * @param expiredBy Unix milliseconds: only what had expired by then
   * @returns those that it had
   */
  async remove(
    namespace: string,
    cids: readonly string[],
    signal: AbortSignal,
    expiredBy?: number,
  ): Promise<readonly StorageObjectTable[]> {
    const which = sql`namespace = ${namespace} AND cid IN (SELECT value FROM json_each(${JSON.stringify(cids)}))
      ${expiredBy === undefined ? sql`` : sql`AND expires_at <= ${expiredBy}`}`;
    const results = await this.parts.control.atomically(this.#removal(namespace, which, cids), signal);
    return results.at(-2)!.rows as unknown as StorageObjectTable[];
  }

  /** The queries that give a claim up which pin requests alone asked for, once none of them is left. */
  unrequested(namespace: string, cid: string): readonly ControlQuery[] {
    const which = sql`namespace = ${namespace} AND cid = ${cid} AND requested = 1 AND NOT ${REQUESTED}`;
    return this.#removal(namespace, which, [cid]);
  }

  #removal(namespace: string, which: RawBuilder<unknown>, cids: readonly string[]): readonly ControlQuery[] {
    const { control, pins, now, withheld } = this.parts;
    return [
      ...(withheld > 0 ? [this.#withholding(which, now() + withheld)] : []),
      sql`UPDATE storage_usage SET
        bytes = bytes - (SELECT coalesce(sum(charged), 0) FROM storage_objects WHERE ${which}),
        objects = objects - (SELECT count(*) FROM storage_objects WHERE ${which})
        WHERE namespace = ${namespace}`.compile(control.db),
      sql`DELETE FROM storage_objects WHERE ${which} RETURNING *`.compile(control.db),
      pins.renewal(cids),
    ];
  }

  /** A note of whose it was what nobody else has: what was private is not to be found by others, what was public is by all. */
  #withholding(which: RawBuilder<unknown>, until: number): ControlQuery {
    return sql`INSERT INTO storage_pins (cid, wanted, name, replication_min, replication_max, version, applied, tries, due_at,
        leased_until, withheld_until, withheld_for)
      SELECT o.cid, 0, '', -1, -1, 1, 1, 0, 0, 0, ${until},
        CASE WHEN o.visibility = 'public' THEN ${FOR_ALL}
          ELSE (SELECT n.name || ' ' || n.created_at FROM namespaces n WHERE n.name = o.namespace) END
      FROM (SELECT * FROM storage_objects WHERE ${which}) AS o
      WHERE o.available = 1 AND NOT EXISTS (
        SELECT 1 FROM storage_objects x WHERE x.cid = o.cid AND x.namespace <> o.namespace AND x.available = 1)
      ON CONFLICT (cid) DO UPDATE SET withheld_until = excluded.withheld_until, withheld_for = excluded.withheld_for`
      .compile(this.parts.control.db);
  }

  /** Fails the whole transaction, on a constraint, where the namespace would have more than it may. */
  #count(namespace: string, cid: string, charged: number, { maxBytes, maxObjects }: StorageRules): ControlQuery {
    const claim = sql`FROM storage_objects o WHERE o.namespace = ${namespace} AND o.cid = ${cid}`;
    const more = sql`max(0, ${charged} - coalesce((SELECT o.charged ${claim}), 0))`;
    const isNew = sql`(NOT EXISTS (SELECT 1 ${claim}))`;
    return sql`UPDATE storage_usage SET
        bytes = CASE WHEN ${more} = 0 OR ${maxBytes} = 0 OR bytes + ${more} <= ${maxBytes} THEN bytes + ${more} END,
        objects = CASE WHEN NOT ${isNew} OR ${maxObjects} = 0 OR objects < ${maxObjects} THEN objects + ${isNew} END
      WHERE namespace = ${namespace} RETURNING bytes`.compile(this.parts.control.db);
  }

  #upsert({ namespace, createdAt }: Place, claim: NewClaim): ControlQuery {
    const { cid: { canonical, written }, name, visibility, replication, replicationGiven, on } = claim;
    const now = this.parts.now();
    const active = sql`CASE WHEN EXISTS (
      SELECT 1 FROM namespaces WHERE name = ${namespace} AND state = 'active' AND created_at = ${createdAt}
    ) THEN ${namespace} END`;
    const available = on !== "public" ? sql`${on === "held" ? 1 : 0}` : sql`CASE WHEN EXISTS (
      SELECT 1 FROM storage_objects p WHERE p.cid = ${canonical} AND p.available = 1 AND p.visibility = 'public'
        AND (p.expires_at IS NULL OR p.expires_at > ${now})
    ) THEN 1 END`;
    return sql`INSERT INTO storage_objects (namespace, cid, written, name, size, charged, type, kind, visibility, encrypted,
        pinned, expires_at, replication_min, replication_max, available, asked_at, link_serial, requested, created_at,
        created_by)
      VALUES (${active}, ${canonical}, ${written}, ${name ?? written}, ${claim.size ?? null}, ${claim.charged},
        ${claim.type ?? null}, ${claim.kind}, ${visibility ?? "private"}, ${claim.encrypted ? 1 : 0},
        ${claim.expiresAt === undefined ? 1 : 0}, ${claim.expiresAt ?? null}, ${replication.min}, ${replication.max},
        ${available}, ${now}, 0, ${claim.requested ? 1 : 0}, ${now}, ${claim.by})
      ON CONFLICT (namespace, cid) DO UPDATE SET
        written = excluded.written, size = coalesce(excluded.size, size), charged = max(charged, excluded.charged),
        name = ${name === undefined ? sql.ref("storage_objects.name") : sql.ref("excluded.name")},
        type = coalesce(excluded.type, type),
        kind = CASE WHEN available > excluded.available THEN kind ELSE excluded.kind END,
        link_serial = link_serial + (${visibility ?? null} IS 'private' AND visibility = 'public'),
        visibility = coalesce(${visibility ?? null}, visibility),
        encrypted = CASE WHEN available = 1 THEN encrypted ELSE excluded.encrypted END,
        pinned = max(excluded.pinned, ${REQUESTED}),
        expires_at = CASE WHEN NOT ${REQUESTED} THEN excluded.expires_at END,
        requested = CASE WHEN excluded.pinned = 0 THEN ${REQUESTED} WHEN excluded.requested = 0 THEN 0
          WHEN storage_objects.pinned = 0 THEN 1 ELSE storage_objects.requested END,
        replication_min = ${sql.ref(`${replicationGiven ? "excluded" : "storage_objects"}.replication_min`)},
        replication_max = ${sql.ref(`${replicationGiven ? "excluded" : "storage_objects"}.replication_max`)},
        available = max(available, excluded.available), asked_at = excluded.asked_at, problem = NULL
      RETURNING *`.compile(this.parts.control.db);
  }
}

const gone = (cause?: unknown) =>
  new GatewayError("CONFLICT", "the namespace is being deleted, or was; nothing was stored", { cause });

function refusal(error: unknown, rules: StorageRules, written: string): unknown {
  if (!(error instanceof ConstraintViolation)) return error;
  switch (error.subject) {
    case "storage_usage.bytes":
      return overQuota("bytes", rules.maxBytes, error);
    case "storage_usage.objects":
      return overQuota("objects", rules.maxObjects, error);
    case "storage_objects.available":
      return notFound(written, error);
    case "storage_objects.namespace":
      return gone(error);
    default:
      return error.kind === "foreign_key" ? gone(error) : error;
  }
}
