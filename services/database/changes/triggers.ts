import type { GatedStatement } from "../driver.ts";
import { own } from "../own.ts";
import type { Layout } from "./layout.ts";
import { quoted, triggerName, TRIGGERS } from "./names.ts";
import type { Shape } from "./shape.ts";
import { excludes } from "./unique_indexes.ts";

/** Bytes of a row beyond which a feed keeps its key alone. */
const MAX_ROW_BYTES = 256 * 1024;
/** Arguments of one function: older builds of SQLite take 127. */
const CHUNK = 100;

/** Which feed writes, in which layout. */
export interface FeedNumbers {
  readonly feed: number;
  readonly layout: number;
}

/** Takes a feed's triggers away, as far as they are there. */
export const dropTriggers = (feed: number): GatedStatement[] =>
  TRIGGERS.map((what) => own(`DROP TRIGGER IF EXISTS ${triggerName(feed, what)}`));

/**
 * Makes the triggers of a feed, and compiles them: SQLite itself would do so only when a client's statement fires them.
 *
 * A row that `OR REPLACE` takes away fires no delete trigger. What a new row will exclude is therefore noted before each
 * insert and update, and counts as deleted once the new row is in; a statement that gives way to a conflict gets no new row in.
 */
export function createTriggers(shape: Shape, layout: Layout, { feed, layout: number }: FeedNumbers): GatedStatement[] {
  const table = quoted(shape.table);
  const row = rowText(shape, layout);
  const key = keyText(shape);
  const log = (columns: string, rest: string) => `INSERT INTO _orama_changes (layout, op, ${columns}) ${rest}`;
  const create = (what: typeof TRIGGERS[number], when: string, body: readonly string[]) =>
    own(`CREATE TRIGGER ${triggerName(feed, what)} ${when} BEGIN ${body.map((one) => `${one}; `).join("")}END`);
  const settled = (condition: string) => `DELETE FROM _orama_feed_replaced WHERE feed = ${feed} AND ${condition}`;
  const conflicts = conflictsOf(shape);
  const candidates = (kind: string, unless: string) =>
    conflicts.map(({ slot, condition }) =>
      `INSERT INTO _orama_feed_replaced (feed, kind, slot, "key", "before") SELECT ${feed}, '${kind}', ${slot}, ` +
      `${key("r.")}, ${row("r.")} FROM ${table} AS r WHERE ${condition}${unless}`
    );
  const replaced = (kind: string, and: string) => {
    // The row id of a row that is to get one is not known before: what was noted for it may have been another's.
    const same = shape.rowid ? ` AND (slot IS NULL OR slot = new.${quoted(shape.rowid)})` : "";
    const condition = `FROM _orama_feed_replaced WHERE feed = ${feed} AND kind = '${kind}'${same}${and}`;
    return log('"before"', `SELECT ${number}, 'delete', "before" ${condition} ORDER BY rowid`);
  };
  const itself = shape.rowid ? `r.${quoted(shape.rowid)} = old.${quoted(shape.rowid)}` : sameKey(shape, "r.", "old.");
  return [
    ...(conflicts.length > 0
      ? [
        create("before_insert", `BEFORE INSERT ON ${table}`, [settled("kind = 'i'"), ...candidates("i", "")]),
        create("before_update", `BEFORE UPDATE ON ${table}${whenMoved(shape)}`, [
          settled("kind = 'u'"),
          ...candidates("u", ` AND NOT (${itself})`),
        ]),
      ]
      : []),
    create("insert", `AFTER INSERT ON ${table}`, [
      ...(conflicts.length > 0 ? [replaced("i", ""), settled("kind = 'i'")] : []),
      log('"after"', `VALUES (${number}, 'insert', ${row("new.")})`),
    ]),
    create("update", `AFTER UPDATE ON ${table}`, [
      ...(conflicts.length > 0
        ? [settled(`"key" = ${key("old.")}`), replaced("u", andMoved(shape)), settled("kind = 'u'")]
        : []),
      log(
        '"before", "after"',
        `SELECT ${number}, 'update', ${row("old.")}, ${row("new.")}${whereShown(shape, layout)}`,
      ),
    ]),
    create("delete", `AFTER DELETE ON ${table}`, [
      ...(conflicts.length > 0 ? [settled(`"key" = ${key("old.")}`)] : []),
      log('"before"', `VALUES (${number}, 'delete', ${row("old.")})`),
    ]),
    own(`INSERT INTO ${table} (${quoted(shape.writable)}) SELECT ${quoted(shape.writable)} FROM ${table} WHERE 0`),
    own(`UPDATE ${table} SET ${quoted(shape.writable)} = ${quoted(shape.writable)} WHERE 0`),
    own(`DELETE FROM ${table} WHERE 0`),
  ];
}

/**
 * Which rows `r` a row `new` cannot stand beside: at most one by each condition, found by an index, and none by two. One
 * condition for all would leave it to the planner whether it reads the whole table, and in which order rows come: nodes of a
 * cluster must number their changes alike.
 */
function conflictsOf({ uniques, rowid }: Shape): { readonly slot: string; readonly condition: string }[] {
  const conditions = uniques.map((index) => excludes(index, "r.", "new."));
  const others = (at: number) => conditions.slice(0, at).map((one) => ` AND (${one}) IS NOT TRUE`).join("");
  const found = conditions.map((condition, at) => ({ slot: "NULL", condition: condition + others(at) }));
  if (!rowid) return found;
  const name = `r.${quoted(rowid)}`;
  return [...found, { slot: name, condition: `${name} = new.${quoted(rowid)}${others(conditions.length)}` }];
}

const sameKey = ({ key }: Shape, one: string, other: string) =>
  key.map((name) => `${one}${quoted(name)} = ${other}${quoted(name)}`).join(" AND ");

/** Whether an update can exclude another row at all; empty where that cannot be told from columns. */
function moved({ rowid, uniques }: Shape): string {
  if (uniques.some(({ columns }) => columns === undefined)) return "";
  const names = new Set([...(rowid ? [rowid] : []), ...uniques.flatMap(({ columns }) => columns!)]);
  return differ([...names]);
}

const differ = (names: readonly string[]) =>
  balanced(" OR ", names.map((name) => `old.${quoted(name)} IS NOT new.${quoted(name)} COLLATE BINARY`));

function whenMoved(shape: Shape): string {
  const condition = moved(shape);
  return condition && ` WHEN ${condition}`;
}

function andMoved(shape: Shape): string {
  const condition = moved(shape);
  return condition && ` AND (${condition})`;
}

/** An update that changes nothing of what is shown is no event. */
function whereShown({ columns }: Shape, layout: Layout): string {
  if (layout.columns.length === columns.length) return "";
  const condition = differ(layout.columns.map(({ name }) => name));
  return ` WHERE ${condition || "0"}`;
}

/** SQL of a row's text, see `readRow`: its values, or behind `!` those of its key where it is too large. */
function rowText(shape: Shape, layout: Layout): (prefix: string) => string {
  const names = layout.columns.map(({ name }) => name);
  const rowid = shape.key.length === 0 ? [shape.rowid!] : [];
  const written = [...names, ...rowid], key = [...shape.key, ...rowid];
  return (prefix) =>
    `CASE WHEN ${bytes(prefix, written)} <= ${MAX_ROW_BYTES} THEN ${values(prefix, written)} ` +
    `WHEN ${bytes(prefix, key)} <= ${MAX_ROW_BYTES} THEN '!' || ${values(prefix, key)} ELSE '!' END`;
}

/** SQL of a text that tells a row from all others. */
function keyText({ key, rowid }: Shape): (prefix: string) => string {
  return (prefix) => values(prefix, key.length > 0 ? key : [rowid!]);
}

const bytes = (prefix: string, names: readonly string[]) =>
  balanced(" + ", names.map((name) => `ifnull(octet_length(${prefix}${quoted(name)}), 0)`));

function values(prefix: string, names: readonly string[]): string {
  const texts = names.map((name) => `quote(${prefix}${quoted(name)})`);
  const chunks = Array.from(
    { length: Math.ceil(texts.length / CHUNK) },
    (_, at) => texts.slice(at * CHUNK, (at + 1) * CHUNK),
  );
  return chunks.map((chunk) => chunk.length === 1 ? chunk[0] : `concat_ws(',', ${chunk.join(", ")})`).join(
    " || ',' || ",
  );
}

/** Terms in parentheses by halves: SQLite takes no expression that is a thousand operators deep. */
function balanced(operator: string, terms: readonly string[]): string {
  if (terms.length <= 8) return terms.join(operator);
  const half = terms.length >> 1;
  return `(${balanced(operator, terms.slice(0, half))})${operator}(${balanced(operator, terms.slice(half))})`;
}
