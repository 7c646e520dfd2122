import { quoteName, type Row, type SqlArgument } from "./values.ts";

/** How objects of an application lie in a table. */
export interface Mapping<T extends object, K extends keyof T & string> {
  /** The property, or the several properties, that tell one row from all others. */
  readonly primaryKey: K | readonly K[];
  /** Column of a property, where it is named otherwise. */
  readonly columns?: { readonly [P in keyof T]?: string };
  /** Properties that hold bytes. */
  readonly blobs?: readonly (keyof T & string)[];
  /** What is stored of an object, by property; `undefined` is left alone. Default: every property of its own. */
  readonly toRow?: (entity: Partial<T>) => Readonly<Record<string, SqlArgument | undefined>>;
  /** The object of a row, which comes by property. Default: the row itself. */
  readonly fromRow?: (row: Row) => T;
}

/** Columns and values to be stored, in order. */
export type StoredValues = ReadonlyMap<string, SqlArgument>;

/** Goes from properties to columns and back. */
export class Mapper<T extends object, K extends keyof T & string> {
  /** Columns of the primary key. */
  readonly keys: readonly string[];
  /** Columns that hold bytes. */
  readonly blobs: readonly string[];
  readonly #columns: ReadonlyMap<string, string>;
  readonly #properties: ReadonlyMap<string, string>;
  readonly #mapping: Mapping<T, K>;

  /** @throws TypeError for a primary key of no property, and for two properties in one column */
  constructor(mapping: Mapping<T, K>) {
    const { primaryKey, columns = {}, blobs = [] } = mapping;
    this.#mapping = mapping;
    this.#columns = new Map(Object.entries<string | undefined>(columns).filter(hasColumn));
    this.#properties = new Map([...this.#columns].map(([property, column]) => [column, property]));
    if (this.#properties.size < this.#columns.size) throw new TypeError("columns has one column for two properties");
    this.keys = (typeof primaryKey === "string" ? [primaryKey] : primaryKey).map((property) => this.column(property));
    if (this.keys.length === 0) throw new TypeError("primaryKey names no property");
    this.blobs = blobs.map((property) => this.column(property));
  }

  /** The column of a property. */
  column(property: string): string {
    return this.#columns.get(property) ?? property;
  }

  /** The same as SQL text. */
  quoted(property: string): string {
    return quoteName(this.column(property));
  }

  /** What is to be stored of an object. */
  stored(entity: Partial<T>): StoredValues {
    const { toRow } = this.#mapping;
    const values = Object.entries(toRow ? toRow(entity) : entity) as [string, SqlArgument | undefined][];
    return new Map(
      values.flatMap(([property, value]) => value === undefined ? [] : [[this.column(property), value] as const]),
    );
  }

  /** The values of the primary key among others, or `undefined` unless all are there. */
  keyOf(values: StoredValues): readonly SqlArgument[] | undefined {
    const key = this.keys.flatMap((column) => values.get(column) ?? []);
    return key.length === this.keys.length ? key : undefined;
  }

  /** The object of a row. */
  entity(row: Row): T {
    const { fromRow } = this.#mapping;
    const named = this.#properties.size === 0 ? row : Object.fromEntries(
      Object.entries(row).map(([column, value]) => [this.#properties.get(column) ?? column, value]),
    );
    return fromRow ? fromRow(named) : named as T;
  }
}

const hasColumn = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined;
