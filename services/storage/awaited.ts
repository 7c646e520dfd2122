import { type RawBuilder, sql } from "kysely";
import type { StorageRules } from "../../src/contracts/settings.ts";
import type { ContentKind } from "../../src/contracts/storage.ts";
import { ConstraintViolation, type ControlDatabase } from "../control_plane/control_database.ts";
import type { StorageObjectTable, StoragePinTable } from "../control_plane/schema.ts";
import { FOR_ALL, type PinRows } from "./pin_rows.ts";

/** What was found of awaited content. */
export interface Measured {
  readonly kind: ContentKind;
  readonly size: number;
}

/** How the try ended to give a claim what it waits for. `over`: the namespace may not have so many bytes. */
export type Settled = "settled" | "over" | "later";

/** Claims to content that the engine is to look for on its network. */
export class AwaitedClaims {
  constructor(
    private readonly parts: {
      readonly control: ControlDatabase;
      readonly pins: PinRows;
      readonly now: () => number;
    },
  ) {}

  /** Some of the claims that wait. @param after where the page before ended */
  async page(
    after: { readonly cid: string; readonly namespace: string },
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly StorageObjectTable[]> {
    const { rows } = await this.parts.control.run<StorageObjectTable>(
      sql`SELECT * FROM storage_objects WHERE available = 0 AND problem IS NULL
        AND (cid, namespace) > (${after.cid}, ${after.namespace}) ORDER BY cid, namespace LIMIT ${limit}`
        .compile(this.parts.control.db),
      signal,
    );
    return rows;
  }

  /** A claim of anybody to this content which is public; `undefined` where there is none. */
  async publicly(cid: string, signal: AbortSignal): Promise<StorageObjectTable | undefined> {
    const { rows } = await this.parts.control.run<StorageObjectTable>(
      sql`SELECT * FROM storage_objects WHERE cid = ${cid} AND available = 1 AND visibility = 'public' AND encrypted = 0
        AND (expires_at IS NULL OR expires_at > ${this.parts.now()}) ORDER BY created_at, namespace LIMIT 1`
        .compile(this.parts.control.db),
      signal,
    );
    return rows[0];
  }

  /** Whether others have this content privately, or had it a while ago. */
  async isPrivate(row: Pick<StorageObjectTable, "namespace" | "cid">, signal: AbortSignal): Promise<boolean> {
    const { rows } = await this.parts.control.run(
      sql`SELECT 1 WHERE ${this.#isPrivate(row)}`.compile(this.parts.control.db),
      signal,
    );
    return rows.length > 0;
  }

  #isPrivate({ namespace, cid }: Pick<StorageObjectTable, "namespace" | "cid">): RawBuilder<unknown> {
    return sql`(EXISTS (SELECT 1 FROM storage_objects p
        WHERE p.cid = ${cid} AND p.available = 1 AND p.visibility = 'private')
      OR EXISTS (SELECT 1 FROM storage_pins w WHERE w.cid = ${cid} AND w.withheld_until > ${this.parts.now()}
        AND w.withheld_for IS NOT ${FOR_ALL} AND w.withheld_for IS NOT (SELECT n.name || ' ' || n.created_at FROM namespaces n WHERE n.name = ${namespace})))`;
  }

  /**
   * Gives a claim what it waits for, unless somebody has it privately by now.
   * @param pin what the engine was told when the content was seen; `undefined`: somebody has it publicly
   */
  async settle(
    { namespace, cid }: StorageObjectTable,
    { kind, size }: Measured,
    pin: StoragePinTable | undefined,
    { maxBytes }: StorageRules,
    signal: AbortSignal,
  ): Promise<Settled> {
    const { control, pins, now } = this.parts;
    const waiting = sql`namespace = ${namespace} AND cid = ${cid} AND available = 0`;
    const mayHave = pin === undefined
      ? sql`EXISTS (SELECT 1 FROM storage_objects p WHERE p.cid = ${cid} AND p.available = 1 AND p.visibility = 'public'
          AND (p.expires_at IS NULL OR p.expires_at > ${now()}))`
      : sql`(EXISTS (SELECT 1 FROM storage_pins w WHERE w.cid = ${cid} AND w.wanted = 1 AND w.applied = w.version
          AND w.version = ${pin.version})
        AND NOT ${this.#isPrivate({ namespace, cid })})`;
    try {
      const [, changed] = await control.atomically([
        // Who may not have it does not learn either whether it would fit.
        sql`UPDATE storage_usage SET bytes = CASE
            WHEN NOT ${mayHave} THEN bytes
            WHEN ${maxBytes} = 0 OR bytes + ${size} <= ${maxBytes} THEN bytes + ${size} END
          WHERE namespace = ${namespace} AND EXISTS (SELECT 1 FROM storage_objects WHERE ${waiting})`.compile(
          control.db,
        ),
        sql`UPDATE storage_objects SET available = CASE WHEN ${mayHave} THEN 1 END, size = ${size}, charged = ${size},
          kind = ${kind} WHERE ${waiting}`.compile(control.db),
        pins.renewal([cid]),
      ], signal);
      return changed!.changes === 1 ? "settled" : "later";
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
      return error.subject === "storage_usage.bytes" ? "over" : "later";
    }
  }

  /** Has a claim wait no longer. @param problem a public sentence */
  async giveUp(
    { namespace, cid, asked_at }: StorageObjectTable,
    problem: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { control, pins } = this.parts;
    await control.atomically([
      control.db.updateTable("storage_objects").set({ problem }).where("namespace", "=", namespace)
        .where("cid", "=", cid).where("available", "=", 0).where("asked_at", "=", asked_at),
      pins.renewal([cid]),
    ], signal);
  }
}
