import type { ReadOptions } from "./options.ts";
import { argsToWire, type Row, type SqlArgument } from "./values.ts";

/** `JOIN` of a `SELECT`. */
export interface Join {
  /** Default `INNER`. */
  readonly kind?: "INNER" | "LEFT" | "RIGHT" | "FULL" | "CROSS";
  /** A table, also with an alias: `orders AS o`. */
  readonly table: string;
  /** An SQL condition; values belong into `where`. */
  readonly on?: string;
}

/** Parts of a `SELECT` beside its table and conditions. */
export interface SelectParts {
  /** Columns and calls, with or without `AS`: `id`, `u.name`, `COUNT(*) AS n`. Default `*`. */
  readonly select?: readonly string[];
  readonly joins?: readonly Join[];
  readonly groupBy?: readonly string[];
  /** `name`, `name DESC`, `name ASC NULLS LAST`. */
  readonly orderBy?: readonly string[];
  readonly limit?: number;
  readonly offset?: number;
}

/** One clause of `WHERE`, as the wire has it. */
export interface WhereClause {
  readonly conj: "AND" | "OR";
  readonly expr: string;
  readonly args: readonly unknown[];
}

/** All parts of a `SELECT`. */
export interface SelectState extends SelectParts {
  readonly table: string;
  readonly after?: string | undefined;
  readonly alias?: string | undefined;
  readonly where: readonly WhereClause[];
}

/** The parts by their names on the wire. */
export const partsToWire = (
  { select, joins, groupBy, orderBy, limit, offset }: SelectParts,
): Record<string, unknown> => ({
  select,
  joins,
  group_by: groupBy,
  order_by: orderBy,
  limit,
  offset,
});

/** Some rows, and where the next ones begin. */
export interface Page<T = Row> {
  readonly rows: T[];
  /** For {@link SelectBuilder.after}; `null` where this page was not full. */
  readonly next: string | null;
}

/** Runs what a builder has put together. */
export interface SelectRunner {
  page<T>(body: Record<string, unknown>, options: ReadOptions<T>): Promise<Page<T>>;
  all<T>(body: Record<string, unknown>, options: ReadOptions<T>): Promise<T[]>;
  stream<T>(body: Record<string, unknown>, options: ReadOptions<T>): AsyncIterable<T>;
}

/**
 * A `SELECT` in parts. Each method gives another builder, so that a common beginning can be kept. Names of tables and columns are
 * checked by the gateway; expressions are SQL, so values belong into arguments for their `?`.
 */
export class SelectBuilder<T = Row> {
  readonly #runner: SelectRunner;
  readonly #state: SelectState;

  /** @param runner whose database it is */
  constructor(runner: SelectRunner, state: SelectState) {
    this.#runner = runner;
    this.#state = state;
  }

  /** Only rows for which this holds. Behind another one it is {@link andWhere}. */
  where(expr: string, ...args: readonly SqlArgument[]): SelectBuilder<T> {
    return this.#clause("AND", expr, args);
  }

  /** … and for which this holds too. Clauses stand in parentheses, and are joined in their order as SQL does: AND first. */
  andWhere(expr: string, ...args: readonly SqlArgument[]): SelectBuilder<T> {
    return this.#clause("AND", expr, args);
  }

  /** … or for which this holds. */
  orWhere(expr: string, ...args: readonly SqlArgument[]): SelectBuilder<T> {
    return this.#clause("OR", expr, args);
  }

  /** Rows of both tables where `on` holds. */
  innerJoin(table: string, on: string): SelectBuilder<T> {
    return this.#join({ kind: "INNER", table, on });
  }

  /** The same, and rows of what stands before without a counterpart. */
  leftJoin(table: string, on: string): SelectBuilder<T> {
    return this.#join({ kind: "LEFT", table, on });
  }

  /** The same, and rows of `table` without a counterpart. */
  rightJoin(table: string, on: string): SelectBuilder<T> {
    return this.#join({ kind: "RIGHT", table, on });
  }

  /** The same, and rows of either without a counterpart. */
  fullJoin(table: string, on: string): SelectBuilder<T> {
    return this.#join({ kind: "FULL", table, on });
  }

  /** Every row with every row. */
  crossJoin(table: string): SelectBuilder<T> {
    return this.#join({ kind: "CROSS", table });
  }

  /** One row for each group of equal values. */
  groupBy(...columns: readonly string[]): SelectBuilder<T> {
    return this.#with({ groupBy: [...this.#state.groupBy ?? [], ...columns] });
  }

  /** `name`, `name DESC`, `name ASC NULLS LAST`; behind another one it decides among equals. */
  orderBy(...columns: readonly string[]): SelectBuilder<T> {
    return this.#with({ orderBy: [...this.#state.orderBy ?? [], ...columns] });
  }

  /** At most so many rows. */
  limit(rows: number): SelectBuilder<T> {
    return this.#with({ limit: rows });
  }

  /** Leaves so many rows away at the beginning. */
  offset(rows: number): SelectBuilder<T> {
    return this.#with({ offset: rows });
  }

  /**
   * Rows behind the page whose `next` this is; `""` is the beginning. For {@link getPage} and {@link pages}; `getMany` needs a
   * `limit` with it, and `stream` cannot have it.
   */
  after(next: string): SelectBuilder<T> {
    return this.#with({ after: next });
  }

  /**
   * One page of `limit` rows (default 1,000), by `orderBy`, in which several rows may be alike. A row that is there all the time
   * is on one page alone, whatever is inserted and deleted between two of them.
   * @throws OramaError
   */
  getPage<U = T>(options: ReadOptions<U> = {}): Promise<Page<U>> {
    const { after = "", limit = PAGE } = this.#state;
    return this.#runner.page(this.#body({ ...this.#state, after, limit }), options);
  }

  /** The rows of this page, and of each one behind it, as they are asked for. Each is a request of its own. @throws OramaError */
  async *pages<U = T>(options: ReadOptions<U> = {}): AsyncGenerator<U[], void, void> {
    for (let next: string | null = this.#state.after ?? ""; next !== null;) {
      const page: Page<U> = await this.after(next).getPage(options);
      if (page.rows.length > 0) yield page.rows;
      next = page.next;
    }
  }

  /** All rows. @throws OramaError */
  getMany<U = T>(options: ReadOptions<U> = {}): Promise<U[]> {
    return this.#runner.all(this.#body(this.#state), options);
  }

  /** The first row, or `null`. @throws OramaError */
  async getOne<U = T>(options: ReadOptions<U> = {}): Promise<U | null> {
    const limit = Math.min(this.#state.limit ?? 1, 1);
    const [first] = await this.#runner.all(this.#body({ ...this.#state, limit }), options);
    return first ?? null;
  }

  /** Rows as they come; see `Database.stream`. */
  stream<U = T>(options: ReadOptions<U> = {}): AsyncIterable<U> {
    return this.#runner.stream(this.#body(this.#state), options);
  }

  #clause(conj: "AND" | "OR", expr: string, args: readonly SqlArgument[]): SelectBuilder<T> {
    const { where } = this.#state;
    return this.#with({ where: [...where, { conj, expr, args: argsToWire(args, `where[${where.length}].args`) }] });
  }

  #join(join: Join): SelectBuilder<T> {
    return this.#with({ joins: [...this.#state.joins ?? [], join] });
  }

  #with(changes: Partial<SelectState>): SelectBuilder<T> {
    return new SelectBuilder<T>(this.#runner, { ...this.#state, ...changes });
  }

  #body(state: SelectState): Record<string, unknown> {
    const { table, alias, where, after } = state;
    return { table, alias, where, ...partsToWire(state), after };
  }
}

/** Rows of a page where nobody said. */
const PAGE = 1_000;

/** The beginning of a `SELECT`: its columns are known, its table is not. */
export class SelectStart {
  readonly #runner: SelectRunner;
  readonly #columns: readonly string[];

  /** @param columns none for `*` */
  constructor(runner: SelectRunner, columns: readonly string[]) {
    this.#runner = runner;
    this.#columns = columns;
  }

  /** @param table also with an alias: `orders AS o`. A name that is no plain word is given as `quoteName(name)` */
  from<T = Row>(table: string, alias?: string): SelectBuilder<T> {
    return new SelectBuilder<T>(this.#runner, { table, alias, select: this.#columns, where: [] });
  }
}
