import type { ClientStatement, SqlArgument, SqlOutput } from "../../../src/contracts/database.ts";
import { type KeyValue, textOf } from "./cursor.ts";
import type { PageKey } from "./keys.ts";

/**
 * What comes behind a row, as conditions whose rows follow each other: all that fulfil the first one, then those of the second.
 * They are apart because `x <= ? OR x IS NULL` finds no index; and the bound on the first key stands by itself, because behind
 * an OR it would find none either.
 * @param values of the row, as many as keys
 */
export function conditionsBehind(keys: readonly PageKey[], values: readonly KeyValue[]): ClientStatement[] {
  const [key, ...keysBehind] = keys, [value = null, ...valuesBehind] = values;
  if (key === undefined) return [];
  const { item } = key;
  const rest = behind(keysBehind, valuesBehind);
  if (value === null) {
    const sameNull = { sql: `${item} IS NULL AND ${rest.sql}`, args: rest.args };
    return key.nullsFirst ? [sameNull, { sql: `${item} IS NOT NULL`, args: [] }] : [sameNull];
  }
  const given = placeholder(value), compared = collated(key);
  const bounded = {
    sql: `${compared} ${key.descending ? "<=" : ">="} ${given.sql} AND (${compared} <> ${given.sql} OR ${rest.sql})`,
    args: [...given.args, ...given.args, ...rest.args],
  };
  return key.nullsFirst ? [bounded] : [bounded, { sql: `${item} IS NULL`, args: [] }];
}

/** One condition for all that comes behind the values: `(a > ? OR (a = ? AND (b < ? OR …)))`. */
function behind(keys: readonly PageKey[], values: readonly KeyValue[]): ClientStatement {
  let { sql, args }: { sql: string; args: readonly SqlArgument[] } = { sql: "0", args: [] };
  for (let at = keys.length - 1; at >= 0; at--) {
    const key = keys[at]!, value = values[at] ?? null;
    const { item, nullsFirst } = key;
    if (value === null) {
      sql = nullsFirst ? `(${item} IS NOT NULL OR ${sql})` : `(${item} IS NULL AND ${sql})`;
      continue;
    }
    const given = placeholder(value), compared = collated(key);
    const nulls = nullsFirst ? "" : ` OR ${item} IS NULL`;
    sql = `(${compared} ${key.descending ? "<" : ">"} ${given.sql}${nulls} OR (${compared} = ${given.sql} AND ${sql}))`;
    args = [...given.args, ...given.args, ...args];
  }
  return { sql, args };
}

const collated = ({ item, collation }: PageKey): string =>
  collation === undefined ? item : `${item} COLLATE \`${collation.replaceAll("`", "``")}\``;

/** `+` takes the affinity away that a CAST has: it would turn the numbers of an expression into text. */
function placeholder(value: Exclude<KeyValue, null>): ClientStatement {
  if (value === Infinity) return { sql: "9e999", args: [] };
  if (value === -Infinity) return { sql: "-9e999", args: [] };
  if (typeof value === "number") return { sql: "?", args: [{ real: value }] };
  if (typeof value === "object" && "text" in value) return { sql: "(+CAST(? AS TEXT))", args: [value.text] };
  return { sql: "?", args: [value] };
}

/** Bytes of a text or blob that are read as a key: so many are more than a cursor holds, and whatever is longer is too long too. */
const LONGEST = 49_152;

/**
 * Columns that carry the keys of each row as they are stored, however their own columns are presented: the values, and behind
 * them one text with their storage classes.
 */
export const keyColumns = (keys: readonly PageKey[]): string[] => [
  ...keys.map(({ item }) =>
    `iif(typeof(${item}) IN ('text', 'blob'), hex(substr(CAST(${item} AS BLOB), 1, ${LONGEST})), ` +
    `CASE ${item} WHEN 9e999 THEN 'inf' WHEN -9e999 THEN '-inf' ELSE ${item} END)`
  ),
  keys.map(({ item }) => `typeof(${item})`).join(" || ' ' || "),
];

/** The keys of a row from what {@link keyColumns} gave. */
export function keyValues(columns: readonly SqlOutput[]): KeyValue[] {
  const classes = String(columns.at(-1)).split(" ");
  return classes.map((storageClass, at) => keyValue(storageClass, columns[at] ?? null));
}

function keyValue(storageClass: string, value: SqlOutput): KeyValue {
  switch (storageClass) {
    case "integer":
      return BigInt(value as number | bigint);
    case "real":
      return value === "inf" ? Infinity : value === "-inf" ? -Infinity : Number(value);
    case "text":
      return textOf(Uint8Array.fromHex(String(value)));
    case "blob":
      return Uint8Array.fromHex(String(value));
    default:
      return null;
  }
}
