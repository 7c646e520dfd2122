import type { CallOptions } from "../http.ts";
import type { Row } from "./values.ts";

/**
 * What INTEGER becomes. `number` (default): a number, beyond ±(2^53 − 1) a `bigint`, so that nothing is rounded. `bigint`: always
 * a `bigint`, as is a REAL that is whole, because JSON does not tell them apart. `string`: text; REAL columns excepted.
 */
export type Integers = "number" | "bigint" | "string";

/** What a read must see, weakest first. A gateway on a single node satisfies every level. */
export type ReadLevel = "none" | "weak" | "linearizable" | "strong";

/** What becomes of rows. */
export interface RowOptions<T> {
  readonly integers?: Integers | undefined;
  /** Columns that hold BLOBs and come as `Uint8Array`: in JSON they are text, and nothing else tells them from text. */
  readonly blobs?: readonly string[] | undefined;
  /** Makes what is wanted of a row. */
  readonly map?: ((row: Row) => T) | undefined;
}

/** What goes with any statement. */
export interface StatementOptions extends CallOptions {
  /** Milliseconds that the gateway lets the statement run. */
  readonly timeout?: number | undefined;
}

/** What goes with a read. */
export interface ReadOptions<T = Row> extends StatementOptions, RowOptions<T> {
  readonly level?: ReadLevel | undefined;
  /** With level `none`: by how much the answer may lag, in milliseconds or as text such as `2s`. */
  readonly freshness?: number | string | undefined;
}

/** What goes with whatever changes something. */
export interface KeyOptions {
  /**
   * Makes repeating harmless, so that the client repeats what a network lost. `true`: a new key for this call. Text: the
   * application's own key, which it can use again after a crash.
   */
  readonly idempotencyKey?: boolean | string | undefined;
}

/** What goes with a write. `map` and `blobs` are for the rows of a `RETURNING` clause. */
export interface WriteOptions<T = Row> extends StatementOptions, KeyOptions, RowOptions<T> {}

/** What counts for every call of a database that does not say otherwise. */
export interface DatabaseDefaults {
  readonly integers?: Integers;
  readonly level?: ReadLevel;
  readonly freshness?: number | string;
  readonly timeout?: number;
  /** A new key for each write. */
  readonly idempotencyKey?: boolean;
}

/** The members of a request that say how it runs. */
export const optionMembers = (
  { level, freshness, timeout, integers }: ReadOptions<unknown>,
): Record<string, unknown> => ({
  level,
  freshness,
  timeout,
  ...(integers === "string" && { integers }),
});

/** The key to send, if any. */
export const keyOf = ({ idempotencyKey }: KeyOptions): string | undefined =>
  idempotencyKey === true ? crypto.randomUUID() : idempotencyKey || undefined;
