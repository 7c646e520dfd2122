import { sql } from "kysely";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";
import type { StoragePinTable } from "../control_plane/schema.ts";

/** Milliseconds for which one gateway alone may tell the engine about a CID. Clocks of gateways may differ by a part of it. */
export const LEASE = 60_000;
/** Milliseconds after a failure in which nobody tells the engine anything: what was given up may still come about. */
const QUIET = 5_000;
/** Milliseconds between two tries, at first and at most. */
const RETRY = { first: 5_000, most: 5 * 60_000 };

/** Milliseconds after which what the engine was told is looked at, at the earliest: it may not know of it everywhere before. */
const SETTLING = 60_000;
/** Milliseconds between two tries to recover, at first and at most. */
const RECOVER = { first: 5 * 60_000, most: 4 * 60 * 60_000 };

/** `withheld_for` of what is withheld from nobody, though nodes may have it: it was public, or is what was looked for. */
export const FOR_ALL = "*";
/** Milliseconds for which it is known that nodes have content because it was looked for, and for which they are not asked again. */
const SOUGHT = 30 * 24 * 60 * 60_000, SEEN = 60 * 60_000;

/** What the engine is to be told, for whoever has the lease. */
export interface HeldPin extends
  Pick<
    StoragePinTable,
    "cid" | "wanted" | "name" | "replication_min" | "replication_max" | "origins" | "version" | "tries"
  > {
  /** 1 where it is only looked for, and nobody may say yet why nodes have it. */
  readonly unasked: number;
  /** 1 where a note says that it is withheld from nobody. */
  readonly open: number;
}

/** A pin that is wanted, for whoever looks how it fares. */
export interface WatchedPin {
  readonly cid: string;
  /** Whether the engine was told. */
  readonly told: boolean;
  /** Whether telling it failed last. */
  readonly refused: boolean;
  /** How often it was tried to recover since it was well. */
  readonly tries: number;
  /** Whether something may be done about it now, should it not be well. */
  readonly due: boolean;
}

/** What is known after the engine was asked to recover a pin. `lost`: the lease had not held until then. */
export type Recovered = "told" | "changed" | "lost";

/**
 * What is wanted of the engine, a row for each CID. It is made anew from the claims by whoever changes them, in the same
 * transaction, so that it is never anything else than what the claims say.
 */
export class PinRows {
  constructor(private readonly control: ControlDatabase, private readonly now: () => number) {}

  /**
   * The query that makes rows anew, to stand behind the change of claims.
   * @param cids canonical
   * @param origins where content may be had, where somebody says so
   */
  renewal(cids: readonly string[], origins?: readonly string[]): ControlQuery {
    const now = this.now();
    const list = JSON.stringify(cids);
    const places = origins && origins.length > 0 ? JSON.stringify(origins) : null;
    // What is not there yet is looked for while nobody has it privately, and not soon after somebody had.
    return sql`INSERT INTO storage_pins (cid, wanted, name, replication_min, replication_max, origins, version, applied, tries,
        due_at, leased_until)
      SELECT * FROM (
        SELECT c.value AS cid,
          CASE
            WHEN EXISTS (SELECT 1 FROM storage_objects o WHERE o.cid = c.value AND o.pinned = 1 AND o.problem IS NULL AND o.available = 1) THEN 1
            WHEN NOT EXISTS (SELECT 1 FROM storage_objects o WHERE o.cid = c.value AND o.pinned = 1 AND o.problem IS NULL) THEN 0
            WHEN EXISTS (SELECT 1 FROM storage_objects o
              WHERE o.cid = c.value AND o.available = 1 AND o.visibility = 'private') THEN 0
            WHEN EXISTS (SELECT 1 FROM storage_pins p WHERE p.cid = c.value AND p.withheld_until > ${now}
              AND p.withheld_for IS NOT ${FOR_ALL} AND NOT EXISTS (SELECT 1 FROM storage_objects o JOIN namespaces n ON n.name = o.namespace
                WHERE o.cid = c.value AND o.pinned = 1 AND o.problem IS NULL
                  AND n.name || ' ' || n.created_at = p.withheld_for)) THEN 0
            ELSE 1
          END AS wanted,
          coalesce((SELECT o.name FROM storage_objects o WHERE o.cid = c.value AND o.pinned = 1 AND o.problem IS NULL
            ORDER BY o.created_at DESC, o.namespace LIMIT 1), '') AS name,
          coalesce((SELECT CASE WHEN min(o.replication_min) < 0 THEN -1 ELSE max(o.replication_min) END
            FROM storage_objects o WHERE o.cid = c.value AND o.pinned = 1 AND o.problem IS NULL), -1) AS replication_min,
          coalesce((SELECT CASE WHEN min(o.replication_max) < 0 THEN -1 ELSE max(o.replication_max) END
            FROM storage_objects o WHERE o.cid = c.value AND o.pinned = 1 AND o.problem IS NULL), -1) AS replication_max,
          ${places} AS origins, 1, 0, 0, ${now}, 0
        FROM json_each(${list}) AS c
      ) AS w
      WHERE w.wanted = 1 OR EXISTS (SELECT 1 FROM storage_pins p WHERE p.cid = w.cid)
      ON CONFLICT (cid) DO UPDATE SET wanted = excluded.wanted, name = excluded.name,
        replication_min = excluded.replication_min, replication_max = excluded.replication_max,
        origins = coalesce(excluded.origins, storage_pins.origins), version = storage_pins.version + 1,
        tries = 0, due_at = excluded.due_at, problem = NULL,
        withheld_until = CASE WHEN NOT EXISTS (
          SELECT 1 FROM storage_objects o WHERE o.cid = excluded.cid AND o.available = 1
        ) THEN storage_pins.withheld_until END`.compile(this.control.db);
  }

  /** What is wanted of the engine for a CID; `undefined`: nothing. */
  async find(cid: string, signal: AbortSignal): Promise<StoragePinTable | undefined> {
    const { db } = this.control;
    const { rows } = await this.control.run<StoragePinTable>(
      db.selectFrom("storage_pins").selectAll().where("cid", "=", cid),
      signal,
    );
    return rows[0];
  }

  /** Takes the lease of what the engine was not told yet; `undefined` where it knows all, or somebody else is telling it. */
  async take(cid: string, holder: string, signal: AbortSignal): Promise<HeldPin | undefined> {
    const now = this.now();
    const { rows } = await this.control.run<HeldPin>(
      sql`UPDATE storage_pins SET holder = ${holder}, leased_until = ${now + LEASE}
        WHERE cid = ${cid} AND applied < version AND leased_until <= ${now}
        RETURNING cid, wanted, name, replication_min, replication_max, origins, version, tries,
          (wanted = 1 AND coalesce(withheld_until, 0) <= ${now}
            AND NOT EXISTS (SELECT 1 FROM storage_objects o WHERE o.cid = ${cid} AND o.available = 1)) AS unasked,
          (coalesce(withheld_until, 0) > ${now} AND withheld_for IS ${FOR_ALL}) AS open`.compile(this.control.db),
      signal,
    );
    return rows[0];
  }

  /** Nodes have what was only looked for: it is not, for a while. Who has the lease loses it, and what is wanted is made anew. */
  async withhold({ cid }: HeldPin, holder: string, signal: AbortSignal): Promise<void> {
    const { db } = this.control;
    const note = { withheld_until: this.now() + SEEN, withheld_for: null, holder: null, leased_until: 0 };
    await this.control.atomically([
      db.updateTable("storage_pins").set(note).where("cid", "=", cid).where("holder", "=", holder),
      this.renewal([cid]),
    ], signal);
  }

  /** No node had what is looked for: what they have from now on is what they found. @returns whether the lease held until then */
  async open({ cid }: HeldPin, holder: string, signal: AbortSignal): Promise<boolean> {
    const note = { withheld_until: this.now() + SOUGHT, withheld_for: FOR_ALL };
    const { changes } = await this.control.run(
      this.control.db.updateTable("storage_pins").set(note).where("cid", "=", cid).where("holder", "=", holder),
      signal,
    );
    return changes === 1;
  }

  /**
   * The engine was told.
   * @param left whether nodes have something of it, where that was looked at
   * @returns whether the lease held until then; else nobody knows what the engine has heard last
   */
  async told({ cid, version }: HeldPin, holder: string, left: boolean, signal: AbortSignal): Promise<boolean> {
    const { db } = this.control;
    const [done] = await this.control.atomically([
      db.updateTable("storage_pins")
        .set({
          applied: version,
          holder: null,
          leased_until: 0,
          tries: 0,
          problem: null,
          due_at: this.now() + SETTLING,
          ...(!left && { withheld_until: sql`CASE WHEN withheld_for IS NOT ${FOR_ALL} THEN withheld_until END` }),
        })
        .where("cid", "=", cid).where("holder", "=", holder),
      sql`DELETE FROM storage_pins WHERE cid = ${cid} AND wanted = 0 AND applied = version AND holder IS NULL
        AND (withheld_until IS NULL OR withheld_until <= ${this.now()})`.compile(db),
    ], signal);
    return done!.changes === 1;
  }

  /** The engine could not be told; it is to be tried again later. @param problem a public sentence */
  async failed({ cid, tries }: HeldPin, holder: string, problem: string, signal: AbortSignal): Promise<void> {
    const now = this.now();
    const due_at = now + Math.min(RETRY.first * 2 ** Math.min(tries, 20), RETRY.most);
    await this.control.run(
      this.control.db.updateTable("storage_pins")
        .set({ holder: null, leased_until: now + QUIET, tries: tries + 1, due_at, problem })
        .where("cid", "=", cid).where("holder", "=", holder),
      signal,
    );
  }

  /** Pins that are wanted, by their CIDs. @param after where the page before ended */
  async page(after: string, limit: number, signal: AbortSignal): Promise<readonly WatchedPin[]> {
    const now = this.now();
    const { rows } = await this.control.run<Record<Exclude<keyof WatchedPin, "cid">, number> & { cid: string }>(
      sql`SELECT cid, applied = version AS told, problem IS NOT NULL AS refused, tries,
          due_at <= ${now} AND leased_until <= ${now} AS due
        FROM storage_pins WHERE cid > ${after} AND wanted = 1 ORDER BY cid LIMIT ${limit}`.compile(this.control.db),
      signal,
    );
    return rows.map(({ cid, told, refused, tries, due }) => ({
      cid,
      told: told === 1,
      refused: refused === 1,
      tries,
      due: due === 1,
    }));
  }

  /**
   * Takes the lease of what the engine was told to keep; `undefined` where that has changed, or somebody else has it.
   * @param when `due`: not while it rests after another try
   */
  async hold(
    cid: string,
    holder: string,
    when: "due" | "now",
    signal: AbortSignal,
  ): Promise<{ readonly tries: number } | undefined> {
    const now = this.now();
    const { rows } = await this.control.run<{ tries: number }>(
      sql`UPDATE storage_pins SET holder = ${holder}, leased_until = ${now + LEASE}
        WHERE cid = ${cid} AND applied = version AND wanted = 1 AND leased_until <= ${now}
          AND (due_at <= ${now} OR ${when} = 'now')
        RETURNING tries`.compile(this.control.db),
      signal,
    );
    return rows[0];
  }

  /** The engine was asked to recover a pin, or could not be. The next time is later each time. */
  async recovered(
    cid: string,
    holder: string,
    { tries, failed }: { readonly tries: number; readonly failed: boolean },
    signal: AbortSignal,
  ): Promise<Recovered> {
    const now = this.now();
    const due = now + Math.min(RECOVER.first * 2 ** Math.min(tries, 20), RECOVER.most);
    const { rows: [row] } = await this.control.run<{ same: number }>(
      sql`UPDATE storage_pins SET holder = NULL, leased_until = ${failed ? now + QUIET : 0},
          tries = CASE WHEN applied = version THEN ${tries + 1} ELSE tries END,
          due_at = CASE WHEN applied = version THEN ${due} ELSE due_at END
        WHERE cid = ${cid} AND holder = ${holder} RETURNING applied = version AS same`.compile(this.control.db),
      signal,
    );
    return row === undefined ? "lost" : row.same === 1 ? "told" : "changed";
  }

  /** A pin is well again: should it fail once more, it is tried at once. */
  async well(cid: string, signal: AbortSignal): Promise<void> {
    await this.control.run(
      sql`UPDATE storage_pins SET tries = 0, due_at = ${this.now()} WHERE cid = ${cid} AND applied = version
        AND holder IS NULL`.compile(this.control.db),
      signal,
    );
  }

  /** Has the engine told again what it was told before: it may have heard something else since. */
  async again(cid: string, signal: AbortSignal): Promise<void> {
    await this.control.run(
      sql`UPDATE storage_pins SET version = version + 1, tries = 0, due_at = ${this.now()}, problem = NULL
        WHERE cid = ${cid}`.compile(this.control.db),
      signal,
    );
  }

  /** Has the engine told what is wanted now, whatever it was told last, and by whom: also that nothing is. */
  async anew(cid: string, signal: AbortSignal): Promise<void> {
    await this.control.atomically([
      sql`INSERT INTO storage_pins (cid, wanted, name, replication_min, replication_max, version, applied, tries, due_at,
          leased_until) VALUES (${cid}, 0, '', -1, -1, 1, 0, 0, 0, 0) ON CONFLICT (cid) DO NOTHING`.compile(
        this.control.db,
      ),
      this.renewal([cid]),
    ], signal);
  }

  /** CIDs of which the engine is to be told something now, the longest due first. */
  async due(limit: number, signal: AbortSignal): Promise<readonly string[]> {
    const now = this.now();
    const { rows } = await this.control.run<{ cid: string }>(
      sql`SELECT cid FROM storage_pins WHERE applied < version AND due_at <= ${now} AND leased_until <= ${now}
        ORDER BY due_at LIMIT ${limit}`.compile(this.control.db),
      signal,
    );
    return rows.map(({ cid }) => cid);
  }

  /** How many CIDs there are of which the engine was not told everything. */
  async waiting(signal: AbortSignal): Promise<number> {
    const { rows } = await this.control.run<{ n: number }>(
      sql`SELECT count(*) AS n FROM storage_pins WHERE applied < version`.compile(this.control.db),
      signal,
    );
    return rows[0]!.n;
  }

  /** Removes rows that only said for how long something is withheld. */
  async forgetWithheld(signal: AbortSignal): Promise<void> {
    await this.control.run(
      sql`DELETE FROM storage_pins WHERE withheld_until <= ${this.now()} AND wanted = 0 AND applied = version
        AND holder IS NULL`.compile(this.control.db),
      signal,
    );
  }
}
