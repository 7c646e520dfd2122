import type { ClientStatement, JoinSpec, SelectSpec, SqlArgument, WhereSpec } from "../../src/contracts/database.ts";
import { type FieldProblem, GatewayError } from "../../src/contracts/errors.ts";
import { checkExpression, PartProblem, PartReader } from "./select_parts.ts";

const JOIN_KINDS = ["INNER", "LEFT", "RIGHT", "FULL", "CROSS"];

/**
 * Makes one `SELECT` of its parts. Names are read by a small grammar and quoted (`select_parts.ts`); expressions of `where` and
 * `on` go in as they are, in parentheses.
 * @throws GatewayError `INVALID_REQUEST` whose sentence begins with the part that is wrong (`order_by.0`), also in `details`
 */
export function buildSelect(spec: SelectSpec): ClientStatement {
  const { criteria = [], where = [], joins = [] } = spec;
  const { distinct, columns } = readColumns(spec.select ?? []);
  const args: SqlArgument[] = [];
  const table = part("table", () => new PartReader(spec.table).table());
  const alias = spec.alias === undefined || spec.alias === ""
    ? ""
    : ` AS ${part("alias", () => new PartReader(spec.alias!).alias())}`;
  let sql = `SELECT ${distinct ? "DISTINCT " : ""}${columns.join(", ") || "*"} FROM ${table}${alias}`;
  sql += joins.map((join, at) => ` ${buildJoin(join, `joins.${at}`)}`).join("");
  const conditions = [...criteria.map((one) => buildCriterion(one, args)), ...buildWhere(where, args)];
  if (conditions.length > 0) sql += ` WHERE ${conditions.join(" AND ")}`;
  const groups = readEach(spec.groupBy, "group_by", (reader) => reader.groups());
  if (groups.length > 0) sql += ` GROUP BY ${groups.join(", ")}`;
  const orders = readEach(spec.orderBy, "order_by", (reader) => reader.orders());
  if (orders.length > 0) sql += ` ORDER BY ${orders.join(", ")}`;
  return { sql: sql + buildLimit(spec), args };
}

function readColumns(select: readonly string[]): { distinct: boolean; columns: string[] } {
  let distinct = false;
  const columns = select.flatMap((text, at) =>
    part(`select.${at}`, () => {
      const reader = new PartReader(text);
      if (at === 0) distinct = reader.distinct();
      return reader.columns();
    })
  );
  return { distinct, columns };
}

const readEach = (
  texts: readonly string[] | undefined,
  field: string,
  read: (reader: PartReader) => string[],
): string[] => (texts ?? []).flatMap((text, at) => part(`${field}.${at}`, () => read(new PartReader(text))));

function buildJoin({ kind = "", table, on }: JoinSpec, field: string): string {
  const words = kind.trim().toUpperCase().split(/\s+/).filter((word) =>
    word !== "" && word !== "JOIN" && word !== "OUTER"
  );
  const [first = "INNER"] = words;
  if (words.length > 1 || !JOIN_KINDS.includes(first)) {
    throw wrong(`${field}.kind`, `it must be one of ${JOIN_KINDS.join(", ")}`);
  }
  const join = `${first} JOIN ${part(`${field}.table`, () => new PartReader(table).table())}`;
  if (on.trim() === "" && first === "CROSS") return join;
  const placeholders = part(`${field}.on`, () => checkExpression(on));
  if (placeholders > 0) throw wrong(`${field}.on`, "it has a placeholder; conditions with values belong into where");
  return `${join} ON (${on})`;
}

function buildCriterion([column, value]: readonly [string, SqlArgument], args: SqlArgument[]): string {
  const name = part(`criteria.${column}`, () => new PartReader(column).column());
  if (value === null) return `${name} IS NULL`;
  args.push(value);
  return `${name} = ?`;
}

/** All clauses as one condition, so that an `OR` among them does not reach beyond them. */
function buildWhere(where: readonly WhereSpec[], args: SqlArgument[]): string[] {
  if (where.length === 0) return [];
  const clauses = where.map(({ conj = "AND", expr, args: values }, at) => {
    const field = `where.${at}`;
    const placeholders = part(`${field}.expr`, () => checkExpression(expr));
    if (placeholders !== values.length) {
      throw wrong(`${field}.args`, `there are ${values.length} for ${placeholders} placeholders in expr`);
    }
    args.push(...values);
    return at === 0 ? `(${expr})` : `${conj} (${expr})`;
  });
  return [clauses.length === 1 ? clauses[0]! : `(${clauses.join(" ")})`];
}

/** SQLite knows `OFFSET` only behind `LIMIT`; a negative limit is none. */
function buildLimit({ limit, offset }: SelectSpec): string {
  const given = limit !== undefined ? count(limit, "limit") : offset !== undefined ? -1 : undefined;
  if (given === undefined) return "";
  return ` LIMIT ${given}${offset === undefined ? "" : ` OFFSET ${count(offset, "offset")}`}`;
}

function count(value: number, field: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw wrong(field, "it must be a whole number of at least 0");
  return value;
}

function part<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof PartProblem ? wrong(field, error.message) : error;
  }
}

function wrong(field: string, problem: string): GatewayError {
  const details: FieldProblem[] = [{ field, problem }];
  return new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details });
}
