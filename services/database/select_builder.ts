import type { ClientStatement, JoinSpec, SelectSpec, SqlArgument, WhereSpec } from "../../src/contracts/database.ts";
import { type FieldProblem, GatewayError } from "../../src/contracts/errors.ts";
import {
  checkExpression,
  type ColumnItem,
  columnText,
  type OrderItem,
  orderText,
  PartProblem,
  PartReader,
  quoteName,
  type TableItem,
} from "./select_parts.ts";

const JOIN_KINDS = ["INNER", "LEFT", "RIGHT", "FULL", "CROSS"];

/** What the gateway itself adds to a `SELECT`. All of it is SQL of its own. */
export interface SelectAdditions {
  /** Columns behind those that were asked for. */
  readonly columns: readonly string[];
  /** Holds beside all other conditions; the values are those of its placeholders. */
  readonly condition?: ClientStatement | undefined;
  /** Terms of `ORDER BY` in place of the given ones. */
  readonly orders: readonly string[];
}

/**
 * Makes one `SELECT` of its parts. Names are read by a small grammar and quoted (`select_parts.ts`); expressions of `where` and
 * `on` go in as they are, in parentheses.
 * @throws GatewayError `INVALID_REQUEST` whose sentence begins with the part that is wrong (`order_by.0`), also in `details`
 */
export function buildSelect(spec: SelectSpec, added?: SelectAdditions): ClientStatement {
  const { criteria = [], where = [], joins = [] } = spec;
  const { distinct, columns } = readColumns(spec.select);
  const args: SqlArgument[] = [];
  const table = tableText(readTable(spec.table, "table"));
  const alias = spec.alias === undefined || spec.alias === ""
    ? ""
    : ` AS ${part("alias", () => new PartReader(spec.alias!).alias())}`;
  const wanted = [columns.map(columnText).join(", ") || "*", ...added?.columns ?? []].join(", ");
  let sql = `SELECT ${distinct ? "DISTINCT " : ""}${wanted} FROM ${table}${alias}`;
  sql += joins.map((join, at) => ` ${buildJoin(join, `joins.${at}`)}`).join("");
  const conditions = [...criteria.map((one) => buildCriterion(one, args)), ...buildWhere(where, args)];
  if (added?.condition) {
    conditions.push(added.condition.sql);
    args.push(...added.condition.args);
  }
  if (conditions.length > 0) sql += ` WHERE ${conditions.join(" AND ")}`;
  const groups = readEach(spec.groupBy, "group_by", (reader) => reader.groups());
  if (groups.length > 0) sql += ` GROUP BY ${groups.join(", ")}`;
  const orders = added?.orders ?? readOrders(spec.orderBy).map(orderText);
  if (orders.length > 0) sql += ` ORDER BY ${orders.join(", ")}`;
  return { sql: sql + buildLimit(spec), args };
}

/** The result columns as they were read, and the calls in them. @throws GatewayError as {@link buildSelect} */
export function readColumns(
  select: readonly string[] = [],
): { distinct: boolean; columns: ColumnItem[]; calls: string[][] } {
  let distinct = false;
  const calls: string[][] = [];
  const columns = select.flatMap((text, at) =>
    part(`select.${at}`, () => {
      const reader = new PartReader(text);
      if (at === 0) distinct = reader.distinct();
      const items = reader.columns();
      calls.push([...reader.calls]);
      return items;
    })
  );
  return { distinct, columns, calls };
}

/** The terms of `ORDER BY` as they were read. @throws GatewayError as {@link buildSelect} */
export const readOrders = (orderBy: readonly string[] | undefined): (OrderItem & { readonly field: string })[] =>
  (orderBy ?? []).flatMap((text, at) => {
    const field = `order_by.${at}`;
    return part(field, () => new PartReader(text).orders()).map((item) => ({ ...item, field }));
  });

/** A table as it was read. @throws GatewayError as {@link buildSelect} */
export const readTable = (text: string, field: string): TableItem => part(field, () => new PartReader(text).table());

const tableText = ({ name, alias }: TableItem): string =>
  quoteName(name) + (alias === undefined ? "" : ` AS ${quoteName(alias)}`);

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
  const join = `${first} JOIN ${tableText(readTable(table, `${field}.table`))}`;
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

/** Runs what reads a part. @throws GatewayError that names it */
export function part<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof PartProblem ? wrong(field, error.message) : error;
  }
}

/** `INVALID_REQUEST` about a part. */
export function wrong(field: string, problem: string): GatewayError {
  const details: FieldProblem[] = [{ field, problem }];
  return new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details });
}
