import type { Expectation, SqlArgument } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { GatedStatement, SqlFault } from "./driver.ts";

/** SQLite's own bound on the parameters of one statement (SQLITE_MAX_VARIABLE_NUMBER). */
const MAX_ARGUMENTS = 32_766;

/**
 * Checks what queries of a transaction give, within the transaction: the query is run once more inside a statement that fails
 * when its rows are others. A failure has to name itself in SQLite's words, so it is a JSON path that is none; a mark that no
 * client knows tells it from the mistakes of clients, and makes the names that stand around their text.
 */
export class Preconditions {
  readonly #mark: string;
  readonly #failure: RegExp;
  readonly #otherColumns: RegExp;

  /** @param random bytes that cannot be guessed */
  constructor(random: (n: number) => Uint8Array) {
    this.#mark = `expected_${random(16).toHex()}`;
    this.#failure = new RegExp(`'${this.#mark}:(\\d+)'`);
    this.#otherColumns = new RegExp(`^table ${this.#mark} has (\\d+) values for \\d+ columns$`);
  }

  /**
   * The statement that fails when the query gives anything else. To be run behind the query itself, which shows that its text
   * is a statement of its own.
   * @throws GatewayError `INVALID_REQUEST` for an expectation that makes no sense
   */
  check({ sql, args, facts }: GatedStatement, expect: Expectation): GatedStatement {
    if (facts.verb !== "SELECT" && facts.verb !== "VALUES") throw refused("expect needs a SELECT or VALUES");
    const values = "values" in expect ? rectangular(expect.values) : [];
    const counted = "values" in expect ? expect.values.length : expect.rows;
    const mark = `${this.#mark}:`;
    const [body, all] = values.length > 1
      ? [this.#comparing(sql, values), [values.length, mark, ...args, ...values.flat()]]
      : [this.#looking(sql, values[0]), [...args, counted, ...values.flat(), mark]];
    if (all.length > MAX_ARGUMENTS) throw refused(`expect.values: with args it has more than ${MAX_ARGUMENTS} values`);
    return { sql: body, args: all, facts: { ...facts, verb: "SELECT", placeholders: all.length } };
  }

  /** The client's error, when this is the fault of a {@link check}. */
  errorOf({ message }: SqlFault, expect: Expectation | undefined): GatewayError | undefined {
    if (expect === undefined) return undefined;
    const expected = described(expect);
    const [, found] = this.#failure.exec(message) ?? [];
    if (found !== undefined) {
      const wanted = "rows" in expect ? expect.rows : expect.values.length;
      const sentence = Number(found) === wanted
        ? "the query gave other values than expected"
        : `the query gave ${found} rows, and ${wanted} were expected`;
      return new GatewayError("PRECONDITION_FAILED", sentence, { details: { expected, rows: Number(found) } });
    }
    const [, columns] = this.#otherColumns.exec(message) ?? [];
    if (columns === undefined) return undefined;
    return new GatewayError("PRECONDITION_FAILED", `the query gave ${columns} columns, and expect has others`, {
      details: { expected, columns: Number(columns) },
    });
  }

  /** Counts the rows, and compares the only one there may be: as short a statement as the query itself, where that is one. */
  #looking(sql: string, row: readonly SqlArgument[] = []): string {
    const got = this.#mark;
    const columns = row.map((_, at) => `c${at}`).join();
    const head = columns && ` (${columns})`;
    const equal = columns && ` AND count(CASE WHEN (${columns}) IS (${row.map(() => "?").join()}) THEN 1 END) = 1`;
    return `WITH ${got}${head} AS (${sql}) ` +
      `SELECT json_extract('{}', CASE WHEN count(*) = ?${equal} THEN '$' ELSE ? || count(*) END) FROM ${got}`;
  }

  /** Rows are numbered as they come and compared with those of the same number. */
  #comparing(sql: string, values: readonly (readonly SqlArgument[])[]): string {
    const got = this.#mark;
    const columns = values[0]!.map((_, at) => `c${at}`);
    const rows = values.map((_, at) => `(${at}, ${columns.map(() => "?").join(", ")})`).join(", ");
    return `SELECT json_extract('{}', CASE WHEN found = ? AND equal = found THEN '$' ELSE ? || found END) FROM (` +
      `WITH ${got} (${columns.join(", ")}) AS MATERIALIZED (${sql}), ` +
      `${got}_n AS MATERIALIZED (SELECT row_number() OVER () - 1 AS n, * FROM ${got}), ` +
      `${got}_v (n, ${columns.join(", ")}) AS MATERIALIZED (VALUES ${rows}) ` +
      `SELECT (SELECT count(*) FROM ${got}_n) AS found, (SELECT count(*) FROM ${got}_n AS g JOIN ${got}_v AS v ` +
      `ON v.n = g.n AND (${columns.map((name) => `g.${name}`).join()}) IS (${
        columns.map((name) => `v.${name}`).join()
      })) AS equal)`;
  }
}

function rectangular(values: readonly (readonly SqlArgument[])[]): readonly (readonly SqlArgument[])[] {
  const width = values[0]?.length;
  if (values.some((row) => row.length !== width)) throw refused("expect.values: all rows must have as many values");
  if (width === 0) throw refused("expect.values: a row has at least one value");
  return values;
}

const refused = (problem: string) => new GatewayError("INVALID_REQUEST", problem);

/** As JSON can say it. */
function described(expect: Expectation): unknown {
  return "rows" in expect ? { rows: expect.rows } : { values: expect.values.map((row) => row.map(asJson)) };
}

function asJson(value: SqlArgument): unknown {
  if (typeof value === "bigint") return { type: "integer", value: String(value) };
  if (value instanceof Uint8Array) return { type: "blob", base64: value.toBase64() };
  return typeof value === "object" && value !== null ? { type: "float", value: value.real } : value;
}
