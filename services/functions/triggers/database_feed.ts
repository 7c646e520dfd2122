import type {
  ChangeEvent,
  ChangeListener,
  DatabaseChanges,
  RowChange,
} from "../../../src/contracts/database_changes.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import { rowTexts } from "../../../src/contracts/sql_values.ts";
import type { Fed } from "./fed.ts";

/** Why a table is not followed, and what helps. */
export const NOT_RECORDED = "changes of this table are not recorded: POST /v1/rqlite/changes/tables turns it on";

/** What a function is told where changes are missing. */
const TRUNCATED = new TextEncoder().encode('{"truncated":true}');

/**
 * Follows a table for a trigger, until that is over: each change is told at least once, in order, and the next one when the function is
 * done with it.
 * @returns when nothing can come any more
 * @throws NotOurs; GatewayError as `DatabaseChanges.listen`, `NOT_FOUND` with what switches the feed on
 */
export async function followTable(
  changes: Pick<DatabaseChanges, "listen">,
  fed: Fed,
  table: string,
  operations: readonly string[],
): Promise<void> {
  const listener = await listen(changes, fed, table);
  try {
    if (fed.position === undefined) fed.moveTo(listener.position);
    for (;;) {
      const events = await listener.next(fed.signal);
      if (events === undefined) return;
      for (const event of events) {
        if (event.kind === "dropped") fed.tell(NOT_RECORDED);
        if (event.kind === "truncated") await fed.call(TRUNCATED, event.position);
        else if (operations.includes(event.kind)) await fed.call(bytesOf(event), event.position);
        else fed.moveTo(event.position);
      }
      fed.moveTo(listener.position);
    }
  } finally {
    listener.close();
  }
}

async function listen(changes: Pick<DatabaseChanges, "listen">, fed: Fed, table: string): Promise<ChangeListener> {
  const begin = (since: string) => changes.listen(fed.row.namespace, { tables: [table], since }, fed.context);
  try {
    return await begin(fed.position ?? "now");
  } catch (error) {
    if (hasCode(error, "NOT_FOUND")) throw new GatewayError("NOT_FOUND", NOT_RECORDED, { cause: error });
    if (fed.position === undefined || !hasCode(error, "INVALID_REQUEST", "POSITION_GONE")) throw error;
  }
  // What it missed cannot be found any more: it may have been another life of the database.
  const listener = await begin("now");
  try {
    await fed.call(TRUNCATED, listener.position);
    return listener;
  } catch (error) {
    listener.close();
    throw error;
  }
}

const bytesOf = (change: RowChange) => new TextEncoder().encode(changeText(change));

/** A change as `GET /v1/rqlite/changes` writes it, whole numbers as JSON numbers. */
export function changeText(event: Exclude<ChangeEvent, { readonly kind: "truncated" }>): string {
  const { kind, position, table, key, before, after, tooLarge } = event;
  return `{"id":"${position}","event":"${kind}","table":${JSON.stringify(table)},"key":${rowText(key)}` +
    `,"before":${rowText(before)},"after":${rowText(after)}${tooLarge ? ',"too_large":true' : ""}}`;
}

const rowText = (row: RowChange["key"]): string =>
  row === undefined ? "null" : rowTexts({ columns: row.columns, types: row.types, rows: [row.values] }, "number")[0]!;
