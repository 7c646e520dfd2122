import { RESERVED_PREFIX } from "../gate/forbidden.ts";
import { prepareExact, type SqliteDatabase } from "../sqlite/node_sqlite.ts";

/** Characters of one `INSERT`, roughly: a statement of this size is loaded about as fast as a larger one. */
const STATEMENT = 64_000;
/** Characters that are gathered before they are handed out. */
const CHUNK = 64_000;

/** A name in double quotes, as any SQL has it. */
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly sql: string;
}

/**
 * Writes a database as SQL text that makes it again, to the bit: REAL by their shortest exact digits, text that holds U+0000 or
 * is no UTF-8 by its bytes, row ids also where no column names them. Tables come with their rows, then virtual tables with the
 * tables that hold their data (loading those takes a connection that is not `defensive`, as it does for `.dump` of the SQLite
 * shell), then indexes, views and triggers. The gateway's own tables and statistics are left out.
 */
export function* dumpOf(db: SqliteDatabase): Generator<string> {
  let text = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n";
  for (const line of statementsOf(db)) {
    text += `${line};\n`;
    if (text.length < CHUNK) continue;
    yield text;
    text = "";
  }
  yield `${text}COMMIT;\n`;
}

function* statementsOf(db: SqliteDatabase): Generator<string> {
  const kinds = new Map(
    all(db, "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'").map((
      [name, ...facts],
    ) => [name, facts]),
  );
  const schema = schemaOf(db);
  const tables = schema.filter(({ type }) => type === "table");
  const ofKind = (kind: string) => tables.filter(({ name }) => kinds.get(name)?.[0] === kind);
  const rows = (name: string) => rowsOf(db, name, columnsOf(db, name, kinds.get(name)?.[1] === "0"));
  for (const { name, sql } of ofKind("table")) {
    yield sql;
    yield* rows(name);
  }
  const virtual = ofKind("virtual");
  for (const { sql } of virtual) yield sql;
  // Making a virtual table has made these, with what an empty one holds.
  for (const { name } of ofKind("shadow")) {
    yield `DELETE FROM ${quoted(name)}`;
    yield* rows(name);
  }
  if (all(db, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").length > 0) {
    yield "DELETE FROM sqlite_sequence";
    yield* rowsOf(
      db,
      "sqlite_sequence",
      ["name", "seq"],
      `name NOT LIKE '${RESERVED_PREFIX.replaceAll("_", "\\_")}%' ESCAPE '\\'`,
    );
  }
  for (const kind of ["index", "view", "trigger"]) {
    for (const { type, sql } of schema) if (type === kind) yield sql;
  }
}

function schemaOf(db: SqliteDatabase): SchemaRow[] {
  return all(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
    .filter(([, name = "", table = ""]) => !isLeftOut(name) && !isLeftOut(table))
    .map(([type = "", name = "", , sql = ""]) => ({ type, name, sql }));
}

const isLeftOut = (name: string) => /^sqlite_/i.test(name) || name.toLowerCase().startsWith(RESERVED_PREFIX);

const all = (db: SqliteDatabase, sql: string): string[][] =>
  (prepareExact(db, sql).all() as unknown as unknown[][]).map((row) => row.map(String));

/** The rows of a table as `INSERT`s with many rows each. */
function* rowsOf(
  db: SqliteDatabase,
  table: string,
  names: readonly string[],
  condition?: string,
): Generator<string> {
  const columns = names.map(quoted);
  const kinds = columns.map((name) => `substr(typeof(${name}), 1, 1)`).join(" || ");
  // `node:sqlite` cuts text at U+0000 and mends what is no UTF-8, so text is read as the bytes it is.
  const values = columns.map((name) => `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END`);
  const where = condition === undefined ? "" : ` WHERE ${condition}`;
  const read = prepareExact(db, `SELECT ${[kinds, ...values].join(", ")} FROM ${quoted(table)}${where}`);
  const head = `INSERT INTO ${quoted(table)} (${columns.join(",")}) VALUES\n`;
  let text = "";
  for (const [kinds, ...stored] of read.iterate() as unknown as Iterable<[string, ...Stored[]]>) {
    const row = `(${stored.map((value, at) => literal(value, kinds[at] === "t")).join(",")})`;
    text += text === "" ? head + row : `,\n${row}`;
    if (text.length < STATEMENT) continue;
    yield text;
    text = "";
  }
  if (text !== "") yield text;
}

/** The columns that can be given values, and before them the row id where no column stands for it. */
function columnsOf(db: SqliteDatabase, table: string, hasRowId: boolean): string[] {
  const info = all(db, `SELECT name, type, pk, hidden FROM pragma_table_xinfo(${textLiteral(table)})`);
  const names = info.filter(([, , , hidden]) => hidden === "0").map(([name]) => name!);
  if (!hasRowId) return names;
  const keys = info.filter(([, , key]) => key !== "0");
  const isRowId = keys.length === 1 && /^integer$/i.test(keys[0]![1]!) &&
    all(db, `SELECT 1 FROM pragma_index_list(${textLiteral(table)}) WHERE origin = 'pk'`).length === 0;
  const taken = new Set(info.map(([name]) => name!.toLowerCase()));
  const free = ["rowid", "_rowid_", "oid"].find((name) => !taken.has(name));
  return isRowId || free === undefined ? names : [free, ...names];
}

type Stored = null | bigint | number | string | Uint8Array;

function literal(value: Stored, isText: boolean): string {
  if (value === null) return "NULL";
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return realLiteral(value);
  if (typeof value === "string") return textLiteral(value);
  return isText ? textOfBytes(value) : `x'${value.toHex()}'`;
}

/** JavaScript writes the shortest digits that are this number and no other, and SQLite reads them back exactly. */
function realLiteral(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
  const digits = String(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

const textLiteral = (text: string) => `'${text.replaceAll("'", "''")}'`;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOfBytes(bytes: Uint8Array): string {
  const text = bytes.includes(0) ? undefined : decoded(bytes);
  // The gate takes such a text for a name, as SQLite does where only a name can stand.
  const isName = text?.toLowerCase().startsWith(RESERVED_PREFIX);
  return text === undefined || isName ? `CAST(x'${bytes.toHex()}' AS TEXT)` : textLiteral(text);
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}
