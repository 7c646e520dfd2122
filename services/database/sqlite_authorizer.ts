import {
  FORBIDDEN_FUNCTIONS,
  FORBIDDEN_TABLES,
  isReadingPragma,
  RESERVED_PREFIX,
  VIRTUAL_TABLE_MODULES,
} from "./forbidden.ts";
import { ACTION, DENY, OK } from "./node_sqlite.ts";

/** Whose statement SQLite is compiling: the gateway's own, or a client's that may only read or may also write. */
export type Authority = "own" | "read" | "write";

/** What a writing statement may do beside reading. Temporary objects, ATTACH, transactions and savepoints are not among it. */
const WRITES: ReadonlySet<number> = new Set([
  ACTION.INSERT,
  ACTION.UPDATE,
  ACTION.DELETE,
  ACTION.CREATE_TABLE,
  ACTION.CREATE_INDEX,
  ACTION.CREATE_VIEW,
  ACTION.CREATE_TRIGGER,
  ACTION.DROP_TABLE,
  ACTION.DROP_INDEX,
  ACTION.DROP_VIEW,
  ACTION.DROP_TRIGGER,
  ACTION.DROP_VTABLE,
  ACTION.ALTER_TABLE,
  ACTION.REINDEX,
  ACTION.ANALYZE,
]);
/** Asked by the modules of full-text search about their own tables. */
const INTERNAL_PRAGMAS = new Set(["data_version", "page_size"]);

/**
 * Decides on what SQLite's own parser found in a statement (`sqlite3_set_authorizer`): the second lock behind the gate, and the
 * one that cannot be talked round. Meaning of the arguments by action: sqlite.org/c3ref/c_alter_table.html.
 */
export function authorize(authority: Authority, action: number, first: string | null, second: string | null): number {
  return authority === "own" || isAllowed(authority, action, first ?? "", second) ? OK : DENY;
}

function isAllowed(authority: "read" | "write", action: number, first: string, second: string | null): boolean {
  switch (action) {
    case ACTION.SELECT:
    case ACTION.RECURSIVE:
      return true;
    case ACTION.READ:
      return isOpenName(first);
    case ACTION.FUNCTION:
      return !FORBIDDEN_FUNCTIONS.has((second ?? "").toLowerCase());
    case ACTION.PRAGMA:
      return isReadingPragma(first, second !== null) || (INTERNAL_PRAGMAS.has(first) && second === null);
    case ACTION.CREATE_VTABLE:
      return authority === "write" && isOpenName(first) && VIRTUAL_TABLE_MODULES.has((second ?? "").toLowerCase());
    default:
      // Whatever a later SQLite may ask beyond this list is refused.
      return authority === "write" && WRITES.has(action) && isOpenName(first) && isOpenName(second ?? "");
  }
}

function isOpenName(name: string): boolean {
  const lower = name.toLowerCase();
  return !lower.startsWith(RESERVED_PREFIX) && !FORBIDDEN_TABLES.has(lower);
}
