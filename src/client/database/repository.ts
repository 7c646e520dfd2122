import type { CallOptions } from "../http.ts";
import type { BatchStatement } from "./batch.ts";
import type { Database } from "./database.ts";
import { Mapper, type Mapping, type StoredValues } from "./mapping.ts";
import type { Integers, KeyOptions, ReadOptions, StatementOptions } from "./options.ts";
import { quoteName, type Row, type SqlArgument } from "./values.ts";

/** How a table holds objects of the application's. */
export interface RepositoryOptions<T extends object, K extends keyof T & string> extends Mapping<T, K> {
  readonly integers?: Integers;
}

/** Properties and the values they must equal; `null` means `IS NULL`. */
export type EntityCriteria<T> = { readonly [P in keyof T]?: SqlArgument };

/** Which rows, in which order, and how they are read. */
export interface EntityFindOptions<T> extends Pick<ReadOptions, "level" | "freshness" | "timeout">, CallOptions {
  /** By these properties, in their order: `{ name: "asc", id: "desc" }`. */
  readonly orderBy?: { readonly [P in keyof T]?: "asc" | "desc" };
  readonly limit?: number;
  readonly offset?: number;
}

/** What goes with a change. */
export interface EntityWriteOptions extends StatementOptions, KeyOptions {}

/** A table whose rows are objects of the application's. Errors are those of {@link Database}. */
export class Repository<T extends object, K extends keyof T & string> {
  readonly #db: Database;
  readonly #table: string;
  readonly #mapper: Mapper<T, K>;
  readonly #integers: Integers | undefined;

  /** @param table its very name @throws TypeError for a mapping that cannot be */
  constructor(db: Database, table: string, options: RepositoryOptions<T, K>) {
    this.#db = db;
    this.#table = quoteName(table);
    this.#mapper = new Mapper(options);
    this.#integers = options.integers;
  }

  /**
   * Inserts, or updates the row of the same primary key; what the object leaves out stays as it is. With several properties in
   * the primary key all must be there; with one it may be missing, and the database gives it.
   * @returns the row as it is now, defaults and generated key included; which the credential must be allowed to read
   */
  async save(entity: Partial<T>, options: EntityWriteOptions = {}): Promise<T> {
    const values = this.#mapper.stored(entity);
    const key = this.#mapper.keyOf(values);
    if (key) return await this.#upsert(values, key, options);
    if (this.#mapper.keys.length === 1) return await this.#insert(values, options);
    throw new TypeError(`save needs every property of the primary key: ${this.#mapper.keys.join(", ")}`);
  }

  /** The objects whose properties equal the given values; all, where none are given. */
  async find(criteria: EntityCriteria<T> = {}, options: EntityFindOptions<T> = {}): Promise<T[]> {
    const { orderBy = {}, ...rest } = options;
    const order = Object.entries<"asc" | "desc" | undefined>(orderBy).flatMap(([property, direction]) =>
      direction === undefined ? [] : [`${this.#mapper.quoted(property)} ${direction === "desc" ? "DESC" : "ASC"}`]
    );
    return await this.#db.find(this.#table, this.#criteria(criteria), {
      ...rest,
      ...this.#rows,
      ...(order.length > 0 && { orderBy: order }),
      map: (row) => this.#mapper.entity(row),
    });
  }

  /** The first of them, or `null`. */
  async findOne(criteria: EntityCriteria<T>, options: EntityFindOptions<T> = {}): Promise<T | null> {
    const [first] = await this.find(criteria, { ...options, limit: 1 });
    return first ?? null;
  }

  /** How many there are. */
  async count(
    criteria: EntityCriteria<T> = {},
    options: Omit<EntityFindOptions<T>, "orderBy" | "limit" | "offset"> = {},
  ): Promise<number> {
    const select = ["COUNT(*) AS n"];
    const [row] = await this.#db.find(this.#table, this.#criteria(criteria), { ...options, select });
    return Number(row?.n);
  }

  /**
   * Deletes the row with the primary key of this object; nothing else of it counts.
   * @returns whether there was one
   * @throws TypeError unless the whole primary key is there
   */
  async delete(entity: Partial<T>, options: EntityWriteOptions = {}): Promise<boolean> {
    const key = this.#mapper.keyOf(this.#mapper.stored(entity));
    if (!key) throw new TypeError(`delete needs every property of the primary key: ${this.#mapper.keys.join(", ")}`);
    const { rowsAffected } = await this.#db.exec(`DELETE FROM ${this.#table} WHERE ${this.#isKey}`, key, options);
    return rowsAffected > 0;
  }

  async #insert(values: StoredValues, options: EntityWriteOptions): Promise<T> {
    const [key = ""] = this.#mapper.keys;
    const given = new Map([...values].filter(([column]) => column !== key));
    const names = [...given.keys()].map(quoteName).join(", ");
    const marks = Array.from(given, () => "?").join(", ");
    const what = given.size === 0 ? "DEFAULT VALUES" : `(${names}) VALUES (${marks})`;
    const sql = `INSERT INTO ${this.#table} ${what} RETURNING *`;
    const { rows: [row], lastInsertId } = await this.#db.exec(sql, [...given.values()], { ...options, ...this.#rows });
    return row ? this.#mapper.entity(row) : await this.#readBack("rowid = ?", [lastInsertId], options);
  }

  /** Not `ON CONFLICT`: that would want the object to have every column that must not be NULL. */
  async #upsert(values: StoredValues, key: readonly SqlArgument[], options: EntityWriteOptions): Promise<T> {
    const changed = [...values].filter(([column]) => !this.#mapper.keys.includes(column));
    const names = [...values.keys()].map(quoteName).join(", ");
    const marks = Array.from(values, () => "?").join(", ");
    const insert: BatchStatement = {
      sql: `INSERT INTO ${this.#table} (${names}) SELECT ${marks} ` +
        `WHERE NOT EXISTS (SELECT 1 FROM ${this.#table} WHERE ${this.#isKey}) RETURNING *`,
      args: [...values.values(), ...key],
    };
    const update: BatchStatement = {
      sql: `UPDATE ${this.#table} SET ${changed.map(([column]) => `${quoteName(column)} = ?`).join(", ")} ` +
        `WHERE ${this.#isKey} RETURNING *`,
      args: [...changed.map(([, value]) => value), ...key],
    };
    const statements = changed.length === 0 ? [insert] : [update, insert];
    const results = await this.#db.batch(statements, { ...options, ...this.#rows });
    const row = results.flatMap(({ rows }) => rows)[0];
    return row ? this.#mapper.entity(row) : await this.#readBack(this.#isKey, key, options);
  }

  /** The row that is there now, where the answer to the change had none: it was replayed, or nothing but the key was given. */
  async #readBack(condition: string, args: readonly SqlArgument[], options: EntityWriteOptions): Promise<T> {
    const { signal, requestTimeout, timeout } = options;
    const sql = `SELECT * FROM ${this.#table} WHERE ${condition}`;
    const [row] = await this.#db.query<Row>(sql, args, { ...this.#rows, signal, requestTimeout, timeout });
    if (row) return this.#mapper.entity(row);
    throw new Error("the row was saved, and deleted or changed its key before it could be read");
  }

  get #isKey(): string {
    return this.#mapper.keys.map((column) => `${quoteName(column)} = ?`).join(" AND ");
  }

  get #rows(): Pick<ReadOptions, "integers" | "blobs"> {
    return { integers: this.#integers, blobs: this.#mapper.blobs };
  }

  #criteria(criteria: EntityCriteria<T>): Record<string, SqlArgument> {
    return Object.fromEntries(
      Object.entries<SqlArgument | undefined>(criteria).map(([property, value]) => {
        if (value === undefined) throw new TypeError(`criteria.${property} is undefined: give null for NULL`);
        return [this.#mapper.quoted(property), value];
      }),
    );
  }
}
