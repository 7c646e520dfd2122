import { GatewayError } from "../../../src/contracts/errors.ts";
import type { GatedStatement } from "../driver.ts";
import { upper } from "../gate/lexer.ts";
import { own } from "../own.ts";
import type { OwnCalls, Rows, Waiter } from "./own_calls.ts";
import { type IndexColumn, type UniqueIndex, uniqueIndexOf } from "./unique_indexes.ts";

/** A column as it was declared. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

/** What a feed must know of a table. */
export interface Shape {
  /** As the schema spells it. */
  readonly table: string;
  /** Those that `SELECT *` gives, generated ones included. */
  readonly columns: readonly Column[];
  /** A column that can be written. */
  readonly writable: string;
  /** Names of the primary key's columns; none where a row has its row id alone. */
  readonly key: readonly string[];
  /** By which name the row id can be reached. */
  readonly rowid: string | undefined;
  readonly uniques: readonly UniqueIndex[];
  /** Changes with whatever of the above does. */
  readonly madeFrom: string;
}

/** A text that is another one after every definition that concerns the table and its indexes. */
export const madeFrom = (table: string): string =>
  `(SELECT group_concat(ifnull(s.sql, s.name), char(10) ORDER BY s.type, s.name) FROM sqlite_schema s
WHERE s.tbl_name = ${table} COLLATE NOCASE AND s.type IN ('table', 'index'))`;

const questions = (table: string): GatedStatement[] => [
  // Read first, and compared again when the triggers are made: what comes between is noticed.
  own(`SELECT ${madeFrom("?")}`, table),
  own("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE", table),
  own("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", table),
  own(
    `SELECT l.name, x.cid, x.name, x.coll, s.sql FROM pragma_index_list(?) l JOIN pragma_index_xinfo(l.name) x
LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = l.name WHERE l."unique" = 1 AND x.key = 1 ORDER BY l.seq, x.seqno`,
    table,
  ),
];

/**
 * Looks at a table.
 * @throws GatewayError `NOT_FOUND` for none of that name, `SQL_NOT_ALLOWED` for what is no ordinary table
 */
export async function shapeOf(calls: OwnCalls, namespace: string, table: string, waiter: Waiter): Promise<Shape> {
  if (table.includes("\0") || /^(_orama_|sqlite_)/i.test(table)) throw noTable(table);
  const [made = [], list = [], columns = [], indexes = []] = await calls.read(namespace, questions(table), waiter) ??
    [];
  const [found] = list;
  if (found === undefined) throw noTable(table);
  const [name, type, withoutRowid] = found;
  if (type !== "table") {
    const problem = `a ${type === "view" ? "view" : "virtual table"} has no feed: its tables may have one`;
    throw new GatewayError("SQL_NOT_ALLOWED", problem);
  }
  const names = columns.map(([column]) => String(column));
  const key = columns.filter(([, , pk]) => Number(pk) > 0)
    .toSorted((a, b) => Number(a[2]) - Number(b[2]));
  const rowid = withoutRowid === 1 ? undefined : rowidName(names, key.map(([column, type]) => [column, type]));
  if (key.length === 0 && rowid === undefined) {
    throw new GatewayError("SQL_NOT_ALLOWED", "the rows of this table have no name: give it a primary key");
  }
  return {
    table: String(name),
    columns: columns.map(([column, type]) => ({ name: String(column), type: String(type ?? "") })),
    writable: String(columns.find(([, , , hidden]) => hidden === 0)?.[0]),
    key: key.map(([column]) => String(column)),
    rowid,
    uniques: uniqueIndexes(indexes, names),
    madeFrom: String(made[0]?.[0] ?? ""),
  };
}

/** An `INTEGER PRIMARY KEY` is the row id; otherwise the first of SQLite's names for it that no column has. */
function rowidName(columns: readonly string[], key: readonly (readonly unknown[])[]): string | undefined {
  const [[column, type] = []] = key;
  if (key.length === 1 && upper(String(type)) === "INTEGER") return String(column);
  const taken = new Set(columns.map(upper));
  return ["rowid", "_rowid_", "oid"].find((name) => !taken.has(upper(name)));
}

function uniqueIndexes(rows: Rows, columns: readonly string[]): UniqueIndex[] {
  const found = new Map<string, { parts: IndexColumn[]; sql: string | undefined }>();
  for (const [index, cid, name, collation, sql] of rows) {
    const known = found.get(String(index)) ?? { parts: [], sql: typeof sql === "string" ? sql : undefined };
    known.parts.push({
      cid: Number(cid),
      name: name === null ? null : String(name),
      collation: String(collation),
    });
    found.set(String(index), known);
  }
  return [...found.values()].map(({ parts, sql }) => uniqueIndexOf(parts, sql, columns));
}

const noTable = (table: string) => new GatewayError("NOT_FOUND", `no such table: ${table.slice(0, 200)}`);
