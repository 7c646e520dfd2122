import type { SelectSpec } from "../../../src/contracts/database.ts";
import { part, readColumns, readOrders, readTable, wrong } from "../select_builder.ts";
import { orderText, PartReader, quoteName } from "../select_parts.ts";
import { upper } from "../gate/lexer.ts";

/** One term of an order in which no two rows are alike. */
export interface PageKey {
  /** A column, or a call, as SQL. */
  readonly item: string;
  /** The same for `ORDER BY`, where the name of a result column goes before that of a column, and there alone. */
  readonly ordered: string;
  readonly collation: string | undefined;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** A table whose rows must be told apart. */
export interface PagedTable {
  /** The part that names it. */
  readonly field: string;
  readonly name: string;
  /** How columns of it are addressed. */
  readonly qualifier: string;
}

/** Each page compares every term, and each comparison holds those behind it. */
const MAX_KEYS = 32;
const CHANCE = /^RANDOM(BLOB)?\//;
/** They make one row of many. (`MIN` and `MAX` with more arguments do not.) */
const AGGREGATES =
  /^(?:(?:MIN|MAX)\/1|(?:COUNT|SUM|TOTAL|AVG|GROUP_CONCAT|STRING_AGG|JSONB?_GROUP_(?:ARRAY|OBJECT)|MEDIAN|PERCENTILE\w*)\/\d+)$/;

/**
 * The order that was asked for, without what makes it unique.
 * @throws GatewayError `INVALID_REQUEST` for parts that cannot be paged, and names them
 */
export function orderKeys(spec: SelectSpec): PageKey[] {
  const { distinct, columns, calls } = readColumns(spec.select);
  const orders = readOrders(spec.orderBy);
  if (orders.length === 0) throw wrong("after", "it needs an order: give order_by");
  if (!spec.limit) throw wrong("limit", "a page needs one of at least 1");
  if (spec.offset !== undefined) {
    throw wrong("offset", "it cannot stand beside after, which says where the page begins");
  }
  if (spec.groupBy && spec.groupBy.length > 0) throw wrong("group_by", `it cannot stand beside after: ${NOT_ROWS}`);
  if (distinct) throw wrong("select.0", `DISTINCT cannot stand beside after: ${NOT_ROWS}`);
  const together = calls.findIndex((names) => names.some((name) => AGGREGATES.test(name)));
  if (together >= 0) throw wrong(`select.${together}`, `an aggregate cannot stand beside after: ${NOT_ROWS}`);
  const aliases = new Map(columns.toReversed().map(({ item, alias }) => [upper(alias ?? ""), item]));
  return orders.map(({ item: given, name, constant, collation, direction, nulls, field }) => {
    const item = name === undefined ? given : aliases.get(upper(name)) ?? given;
    if (constant || !part(field, () => isRowValue(item))) {
      throw wrong(field, "to page by, it must be a column, or a call that has one");
    }
    const descending = direction === "DESC";
    return {
      item,
      ordered: given,
      collation,
      descending,
      nullsFirst: nulls === undefined ? !descending : nulls === "FIRST",
    };
  });
}

const NOT_ROWS = "such rows are none of a table's; use offset";

/** The item as the reader wrote it, so it can be read again. */
function isRowValue(item: string): boolean {
  const reader = new PartReader(item);
  const [read] = reader.orders();
  return read?.constant === false && !reader.calls.some((call) => CHANCE.test(call) || AGGREGATES.test(call));
}

/** The tables of `FROM`, in order. */
export function pagedTables({ table, alias, joins = [] }: SelectSpec): PagedTable[] {
  const named = (text: string, field: string, alias?: string): PagedTable => {
    const read = readTable(text, field);
    return { field, name: read.name, qualifier: alias ?? quoteName(read.alias ?? read.name) };
  };
  return [
    named(table, "table", alias ? quoteName(aliasName(alias)) : undefined),
    ...joins.map((join, at) => named(join.table, `joins.${at}.table`)),
  ];
}

const aliasName = (text: string): string => readTable(text, "alias").name;

/** What tells the rows of a table apart: the row id, under a name that no column has, or the primary key. */
export function identity(
  table: PagedTable,
  columns: readonly { name: string; pk: number }[],
  rowids: boolean,
): string[] {
  const taken = new Set(columns.map(({ name }) => upper(name)));
  const rowid = rowids ? ["rowid", "_rowid_", "oid"].find((name) => !taken.has(upper(name))) : undefined;
  const names = rowid === undefined
    ? columns.filter(({ pk }) => pk > 0).toSorted((a, b) => a.pk - b.pk).map(({ name }) => name)
    : [rowid];
  if (names.length === 0) throw noIdentity(table.field);
  return names.map((name) => `${table.qualifier}.${quoteName(name)}`);
}

/** `INVALID_REQUEST` for what has no rows of its own. */
export const noIdentity = (field: string) =>
  wrong(
    field,
    "a view, or a table without row ids and primary key, cannot be paged by after: use its tables, or offset",
  );

/**
 * The order with what makes it unique behind it, in the last term's direction: an index on the columns that were asked for then
 * has the rows in this very order.
 */
export function uniqueKeys(order: readonly PageKey[], identities: readonly string[]): PageKey[] {
  const descending = order.at(-1)?.descending === true;
  const tail = identities.map((item) => ({
    item,
    ordered: item,
    collation: undefined,
    descending,
    nullsFirst: !descending,
  }));
  const keys = [...order, ...tail];
  if (keys.length > MAX_KEYS) {
    throw wrong("order_by", `a page goes by at most ${MAX_KEYS} columns, those that tell rows apart included`);
  }
  return keys;
}

/** A key as a term of `ORDER BY`. */
export const keyOrder = ({ ordered, collation, descending, nullsFirst }: PageKey): string =>
  orderText({
    item: ordered,
    collation,
    direction: descending ? "DESC" : "ASC",
    // Where it is what SQLite does anyway it is left out, so that an index is found.
    nulls: nullsFirst === !descending ? undefined : nullsFirst ? "FIRST" : "LAST",
  });
