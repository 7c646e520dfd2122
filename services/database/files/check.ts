import { GatewayError } from "../../../src/contracts/errors.ts";
import { RESERVED_PREFIX } from "../gate/forbidden.ts";
import { judge } from "../gate/gate.ts";
import { isWord, tokenize } from "../gate/lexer.ts";
import { MIGRATIONS_COLUMNS, MIGRATIONS_TABLE } from "../migrations/table.ts";
import { prepareExact, type SqliteDatabase } from "../sqlite/node_sqlite.ts";
import { quoteName } from "../select_parts.ts";

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly table: string;
  readonly sql: string | null;
}

/** Settings of a connection that opens a file of a stranger's: believe nothing that is in it, leave nothing beside it. */
export const CAUTION: readonly string[] = [
  "PRAGMA trusted_schema = OFF",
  "PRAGMA cell_size_check = ON",
  "PRAGMA mmap_size = 0",
  "PRAGMA foreign_keys = OFF",
  "PRAGMA secure_delete = ON",
  "PRAGMA temp_store = MEMORY",
];

/**
 * Makes sure that a file holds nothing but what its owner could have made by statements: it is sound, and each object of its
 * schema passes the gate under the name that it stands under. Drops statistics and what is the gateway's own.
 * @returns how many tables it holds
 * @throws GatewayError `INVALID_REQUEST`, `SQL_NOT_ALLOWED`; what SQLite throws about a damaged file
 */
export function checkDatabase(db: SqliteDatabase): { readonly tables: number } {
  const found = prepareExact(db, "PRAGMA integrity_check(3)").all() as unknown as string[][];
  if (found[0]?.[0] !== "ok") {
    throw refused(`the file is damaged: ${found.map(([line]) => line).join("; ").slice(0, 500)}`);
  }
  for (const row of schemaOf(db)) if (!isDropped(row) && !isKept(row)) checkObject(row);
  dropOwn(db);
  // Whoever knows the schema of the database before by this number must see that it is another one.
  const [version = 0] = crypto.getRandomValues(new Uint32Array(1));
  db.prepare(`PRAGMA schema_version = ${version >>> 1}`).all();
  const [[tables = 0] = []] = prepareExact(db, TABLES).all() as unknown as bigint[][];
  return { tables: Number(tables) };
}

/** Those of the owner, without the ones that virtual tables keep their data in. */
const TABLES = "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') " +
  "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/** Drops statistics, which may be made to mislead, and what is named like the gateway's own, but for the list of migrations. */
export function dropOwn(db: SqliteDatabase): void {
  const order = ["trigger", "view", "index", "table"];
  const own = schemaOf(db).filter(isDropped).filter(({ sql }) => sql !== null)
    .sort((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
  for (const { type, name } of own) db.prepare(`DROP ${type.toUpperCase()} IF EXISTS ${quoteName(name)}`).run();
}

function schemaOf(db: SqliteDatabase): SchemaRow[] {
  const rows = prepareExact(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").all();
  return (rows as unknown as [string, string, string, string | null][])
    .map(([type, name, table, sql]) => ({ type, name, table, sql }));
}

const isOwn = (name: string) => name.toLowerCase().startsWith(RESERVED_PREFIX);
const isInternal = (name: string) => /^sqlite_/i.test(name);
/** Knows what the schema beside it is: which migrations were applied. Taken as the gateway makes it, and in no other form. */
const isKept = ({ type, sql }: SchemaRow) =>
  type === "table" && sql === `CREATE TABLE ${MIGRATIONS_TABLE} ${MIGRATIONS_COLUMNS}`;
const isDropped = (row: SchemaRow) =>
  !isKept(row) && (isOwn(row.name) || isOwn(row.table) || /^sqlite_stat[1-4]$/i.test(row.name));

/** Words between `CREATE` and the name, by the type of an object. SQLite stores no others. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  table: ["TABLE", "VIRTUAL TABLE"],
  index: ["INDEX", "UNIQUE INDEX"],
  view: ["VIEW"],
  trigger: ["TRIGGER"],
};

function checkObject({ type, name, sql }: SchemaRow): void {
  const what = `${type} "${name}"`.slice(0, 100);
  if (sql === null) {
    if (type === "index" && /^sqlite_autoindex_/i.test(name)) return;
    throw refused(`${what} has no definition`);
  }
  if (isInternal(name)) {
    if (name === "sqlite_sequence" && sql === "CREATE TABLE sqlite_sequence(name,seq)") return;
    throw refused(`${what} is named like SQLite's own`);
  }
  let judged;
  try {
    judged = judge(sql);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new GatewayError(error.code, `${what}: ${error.message}`);
  }
  const tokens = tokenize(judged.sql).filter(({ kind }) => kind !== "comment");
  const fits = isWord(tokens[0], "CREATE") && WORDS[type]?.some((words) => {
    const expected = words.split(" ");
    const named = tokens[expected.length + 1];
    return expected.every((word, at) => isWord(tokens[at + 1], word)) && named !== undefined &&
      (named.kind === "word" ? judged.sql.slice(named.start, named.end) : named.value) === name;
  });
  if (!fits || judged.facts.placeholders > 0) throw refused(`${what} is not what its definition says`);
}

const refused = (sentence: string) =>
  new GatewayError("INVALID_REQUEST", sentence, { details: [{ field: "body", problem: sentence }] });
