import type { ChangedRow } from "../../../src/contracts/database_changes.ts";
import type { SqlOutput } from "../../../src/contracts/database.ts";
import { upper } from "../gate/lexer.ts";
import { present, type StoredValue, UnpresentableValue } from "../values.ts";
import { readLiterals } from "./literals.ts";
import type { Column, Shape } from "./shape.ts";

/** How the triggers of a table wrote its rows at one time: rows that they wrote are read by it for ever. */
export interface Layout {
  readonly table: string;
  /** Columns that are written, in the table's order. */
  readonly columns: readonly Column[];
  /** Which of them are the key; where there is none, the row id is written behind them. */
  readonly key: readonly number[];
  /** The names of all columns of the table. */
  readonly all: readonly string[];
}

/** @param wanted names of columns that exist, in any case; `undefined` for all */
export function layoutOf({ table, columns, key }: Shape, wanted: readonly string[] | undefined): Layout {
  const shown = wanted && new Set([...wanted, ...key].map(upper));
  const written = shown ? columns.filter(({ name }) => shown.has(upper(name))) : columns;
  return {
    table,
    columns: written,
    key: key.map((name) => written.findIndex((column) => column.name === name)),
    all: columns.map(({ name }) => name),
  };
}

/** The names of what is key. */
export const keyNames = ({ columns, key }: Layout): string[] =>
  key.length > 0 ? key.map((at) => columns[at]!.name) : ["rowid"];

/** A row and its key as a trigger wrote them; `row` is missing where it was too large. */
export interface WrittenRow {
  readonly row: ChangedRow | undefined;
  readonly key: ChangedRow | undefined;
}

const ROWID: readonly Column[] = [{ name: "rowid", type: "INTEGER" }];

/** Reads what {@link rowText} of the triggers wrote. */
export function readRow({ columns, key }: Layout, text: string): WrittenRow {
  const keyColumns = key.length > 0 ? key.map((at) => columns[at]!) : ROWID;
  if (text.startsWith("!")) {
    return { row: undefined, key: text === "!" ? undefined : changedRow(keyColumns, readLiterals(text.slice(1))) };
  }
  const values = readLiterals(text);
  const keyValues = key.length > 0 ? key.map((at) => values[at] ?? null) : values.slice(columns.length);
  return { row: changedRow(columns, values), key: changedRow(keyColumns, keyValues) };
}

function changedRow(columns: readonly Column[], stored: readonly StoredValue[]): ChangedRow {
  return {
    columns: columns.map(({ name }) => name),
    types: columns.map(({ type }) => type.toLowerCase()),
    values: columns.map(({ type }, at) => presentOne(type, stored[at] ?? null)),
  };
}

/** As a query presents it; what a query cannot present is given as text, because one value must not stop a feed. */
function presentOne(type: string, value: StoredValue): SqlOutput {
  try {
    return present([""], [type], [[value]]).rows[0]![0]!;
  } catch (error) {
    if (!(error instanceof UnpresentableValue)) throw error;
    return typeof value === "string" ? value : String(value);
  }
}
