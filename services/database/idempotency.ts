import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { SqlArgument, StatementOptions, TransactionStep } from "../../src/contracts/database.ts";
import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { GatedStatement, SqlFault, StatementResult } from "./driver.ts";
import { own } from "./own.ts";
import { runUnits, type Unit, type UnitsReply, type UnitsRunner } from "./units.ts";
import { fromInteger } from "../sqlite/values.ts";

/**
 * Kept beside the writes, and made by the first one. Its rows have row ids, so that on every node of a cluster
 * `last_insert_rowid()` is the same even where the client's own insert sets none.
 */
const CREATE = own(
  "CREATE TABLE IF NOT EXISTS _orama_idempotency (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, " +
    "fingerprint TEXT NOT NULL, created_at INTEGER NOT NULL, figures TEXT NOT NULL)",
);
const INSERT = "INSERT INTO _orama_idempotency (key, fingerprint, created_at, figures) VALUES (?, ?, ?, '')";
/** What the client's statement right before it did. An UPDATE, so that it leaves the row id alone. */
const RECORD_INSERT = "UPDATE _orama_idempotency SET figures = figures || changes() || ':' || " +
  "CASE WHEN changes() > 0 THEN last_insert_rowid() ELSE 0 END || ',' WHERE key = ?";
const RECORD_CHANGE = "UPDATE _orama_idempotency SET figures = figures || changes() || ':0,' WHERE key = ?";
const FIND = "SELECT fingerprint, figures FROM _orama_idempotency WHERE key = ?";
/** Row ids rise with time, so the oldest are found without an index. */
const EXPIRE = "DELETE FROM _orama_idempotency WHERE created_at < ? AND id IN " +
  "(SELECT id FROM _orama_idempotency ORDER BY id LIMIT 1000)";

/** Milliseconds that a key is kept at least. */
const LIFETIME = 24 * 60 * 60 * 1_000;
/**
 * Old keys leave with the first write of a namespace that has a key, and then with one of so many: more leave than come. That one
 * shares no commit with others, so it is not to be a frequent one.
 */
const EXPIRE_EVERY = 500;
/** How often a key is looked for that was there a moment ago: it may just have left. */
const ATTEMPTS = 3;

/** Row id that no insert leaves behind; see `DESIGN.md`. */
const NO_ROW = -(2n ** 63n);

/** A write that must not be applied twice. */
export interface Once {
  readonly namespace: string;
  /** The client's key. All credentials of a namespace share its keys. */
  readonly key: string;
  /** What the key stands for: see {@link fingerprintOf}. */
  readonly fingerprint: string;
  readonly units: readonly Unit[];
}

/** What it came to. */
export type OnceReply = UnitsReply | {
  readonly kind: "replayed";
  /** Per unit, without rows; zeros for what neither inserts, updates nor deletes. */
  readonly results: readonly StatementResult[];
};

/** Applies writes at most once per key, and answers repetitions from what was kept. */
export class IdempotentWrites {
  readonly #runner: UnitsRunner;
  readonly #now: () => number;
  readonly #running = new Map<string, string>();
  /** Writes with a key, by namespace. */
  readonly #writes = new LRUCache<string, number>({ max: 10_000 });

  /** @param now Unix milliseconds */
  constructor(runner: UnitsRunner, now: () => number) {
    this.#runner = runner;
    this.#now = now;
  }

  /**
   * Runs the units as one transaction together with the record of their key, or replays that record.
   * @param runner runs these units, and what belongs to them, in place of the one that runs all others
   * @throws GatewayError `IDEMPOTENCY_KEY_IN_USE`, `IDEMPOTENCY_KEY_REUSED`, `SQL_NOT_ALLOWED` for a statement that asks what the
   *   connection did last, `UNAVAILABLE` also where the outcome is unknown: with the key, repeating is safe; and as the runner
   */
  async run(
    once: Once,
    request: RequestContext,
    options: StatementOptions,
    runner: UnitsRunner = this.#runner,
  ): Promise<OnceReply> {
    once.units.forEach(({ statement }, step) => refuseAsking(statement, step));
    const place = `${once.namespace}\0${once.key}`;
    const running = this.#running.get(place);
    if (running !== undefined) throw running === once.fingerprint ? inUse() : reused();
    this.#running.set(place, once.fingerprint);
    try {
      return await this.#apply(runner, once, request, options);
    } catch (error) {
      throw hasCode(error, "OUTCOME_UNKNOWN") ? repeatable(error) : error;
    } finally {
      this.#running.delete(place);
    }
  }

  async #apply(
    runner: UnitsRunner,
    once: Once,
    request: RequestContext,
    options: StatementOptions,
  ): Promise<OnceReply> {
    const { namespace, key, fingerprint } = once;
    const units = once.units.map((unit) => recorded(unit, key));
    let create: readonly GatedStatement[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const now = this.#now();
      const before = [...create, ...this.#expiring(namespace, now), own(INSERT, key, fingerprint, now)];
      const reply = await runUnits(runner, { namespace, before, units }, request, options);
      if (reply.kind === "done" || reply.step >= 0) return reply;
      if (isMissing(reply.fault)) create = [CREATE];
      else if (!isTaken(reply.fault)) return { ...reply, step: 0 };
      else {
        const known = await this.#find(once, request, options);
        if (known) return known;
      }
    }
    throw new GatewayError("UNAVAILABLE", "the idempotency key could not be kept; nothing was changed");
  }

  async #find(once: Once, request: RequestContext, options: StatementOptions): Promise<OnceReply | undefined> {
    const statements = [own(FIND, once.key)];
    // Whoever leads now must have what the leader before may have acknowledged.
    const asked = { ...options, level: "linearizable" } as const;
    const { reply } = await this.#runner.run({ namespace: once.namespace, mode: "read", statements }, request, asked);
    const [outcome] = reply.kind === "done" ? reply.outcomes : [];
    const row = outcome?.ok === true ? outcome.result.rows?.rows[0] : undefined;
    if (row === undefined) return undefined;
    const [fingerprint, figures] = row;
    if (fingerprint !== once.fingerprint) throw reused();
    return { kind: "replayed", results: resultsOf(once.units, String(figures)) };
  }

  #expiring(namespace: string, now: number): GatedStatement[] {
    const writes = this.#writes.get(namespace) ?? 0;
    this.#writes.set(namespace, (writes + 1) % EXPIRE_EVERY);
    return writes === 0 ? [own(EXPIRE, now - LIFETIME)] : [];
  }
}

/** Names a request: the same operation with the same statements and values has the same fingerprint, and no other has. */
export function fingerprintOf(
  operation: string,
  steps: readonly (Pick<TransactionStep, "sql" | "args" | "expect"> & { readonly kind?: string })[],
): string {
  const spelled = steps.map(({ kind = "exec", sql, args, expect }) => [
    kind,
    sql,
    args.map(spell),
    expect && ("rows" in expect ? expect.rows : expect.values.map((row) => row.map(spell))),
  ]);
  return createHash("sha256").update(JSON.stringify([operation, spelled])).digest("base64url");
}

/** A value as it is stored, with its storage class. */
function spell(value: SqlArgument): string {
  if (value === null) return "null";
  if (typeof value === "string") return `text ${value}`;
  if (value instanceof Uint8Array) return `blob ${value.toBase64()}`;
  if (typeof value === "object") return `real ${value.real}`;
  if (typeof value === "number" && !Number.isSafeInteger(value)) return `real ${value}`;
  return `integer ${BigInt(value)}`;
}

function refuseAsking({ facts }: GatedStatement, step: number): void {
  if (!facts.asksConnection) return;
  const advice =
    "with an idempotency key no statement may ask for last_insert_rowid(), changes() or total_changes(): " +
    "statements of the gateway's own run in between";
  throw new GatewayError("SQL_NOT_ALLOWED", advice, { details: { step } });
}

const isInsert = ({ facts: { verb } }: GatedStatement) => verb === "INSERT" || verb === "REPLACE";

function recorded({ statement, behind = [] }: Unit, key: string): Unit {
  if (statement.facts.access !== "write") return { statement, behind };
  return { statement, behind: [own(isInsert(statement) ? RECORD_INSERT : RECORD_CHANGE, key), ...behind] };
}

function resultsOf(units: readonly Unit[], figures: string): StatementResult[] {
  const recorded = figures.split(",").values();
  return units.map(({ statement }) => {
    if (statement.facts.access !== "write") return { rowsAffected: 0, lastInsertId: 0 };
    const [changes = "0", id = "0"] = (recorded.next().value ?? "").split(":");
    const lastInsertId = BigInt(id) === NO_ROW ? 0 : fromInteger(BigInt(id));
    return { rowsAffected: Number(changes), lastInsertId };
  });
}

const isMissing = ({ message }: SqlFault) => /^no such table: (main\.)?_orama_idempotency$/.test(message);
const isTaken = ({ kind, message }: SqlFault) => kind === "constraint" && message.includes("_orama_idempotency.key");

const inUse = () =>
  new GatewayError("IDEMPOTENCY_KEY_IN_USE", "a request with this idempotency key is still running; ask again", {
    retryAfter: 1,
  });
const reused = () =>
  new GatewayError("IDEMPOTENCY_KEY_REUSED", "this idempotency key was used for another request; nothing was done");
const repeatable = (cause: GatewayError) =>
  new GatewayError(
    "UNAVAILABLE",
    "the database did not confirm the change; repeat the request with the same idempotency key, and it is applied once",
    { cause, retryAfter: 1 },
  );
