import type { BulkLoad } from "../../../src/contracts/bulk_loads.ts";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { GatedStatement } from "../driver.ts";
import { judge, type JudgedStatement } from "../gate/gate.ts";
import { quoteName } from "../select_parts.ts";

/** SQLite's own bounds: parameters of a statement, and columns of a table. */
const MAX_PARAMETERS = 32_766, MAX_COLUMNS = 2_000;
/** Beyond so many rows or parameters a statement gets no quicker. */
const ROWS = 500, PARAMETERS = 4_000;

const VERBS = { abort: "INSERT", ignore: "INSERT OR IGNORE", replace: "INSERT OR REPLACE" } as const;

/** The statements of one load, gated like a client's: table and columns are names, quoted, and nothing else. */
export class BulkStatements {
  /** Rows of one statement. */
  readonly rows: number;
  readonly table: string;
  readonly #head: string;
  readonly #row: string;
  readonly #judged = new Map<number, JudgedStatement>();

  /**
   * @param width how many values each row has
   * @throws GatewayError `INVALID_REQUEST`, `SQL_NOT_ALLOWED`
   */
  constructor({ table, columns, onConflict }: Pick<BulkLoad, "table" | "columns" | "onConflict">, width: number) {
    if (width === 0) throw wrong("rows", "a row must have at least one value");
    if (width > MAX_COLUMNS) throw wrong("columns", `a row may have ${MAX_COLUMNS} values`);
    this.table = table;
    const names = columns?.map((name) => quoteName(plain("columns", name)));
    const list = names === undefined ? "" : ` (${names.join(", ")})`;
    this.#head = `${VERBS[onConflict]} INTO ${quoteName(plain("table", table))}${list} VALUES `;
    this.#row = `(${Array(width).fill("?").join(",")})`;
    this.rows = Math.max(1, Math.min(ROWS, Math.floor(Math.min(PARAMETERS, MAX_PARAMETERS) / width)));
    this.#judge(1);
  }

  /** One that inserts a row, whose values are somewhere else. */
  ofOne(): GatedStatement {
    return { ...this.#judge(1), args: [] };
  }

  /** One statement that inserts these. */
  of(rows: readonly (readonly SqlArgument[])[]): GatedStatement {
    const { sql, facts } = this.#judge(rows.length);
    return { sql, facts, args: rows.flat() };
  }

  #judge(rows: number): JudgedStatement {
    let judged = this.#judged.get(rows);
    if (!judged) this.#judged.set(rows, judged = judge(this.#head + Array(rows).fill(this.#row).join(",")));
    return judged;
  }
}

function plain(field: string, name: string): string {
  if (name === "" || name.includes("\0")) throw wrong(field, "must be a name");
  return name;
}

const wrong = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
