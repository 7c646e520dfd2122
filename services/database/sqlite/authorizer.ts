import { FEED_TRIGGER_PREFIX, isFeedAccess } from "../changes/names.ts";
import {
  FORBIDDEN_FUNCTIONS,
  FORBIDDEN_TABLES,
  isReadingPragma,
  RESERVED_PREFIX,
  VIRTUAL_TABLE_MODULES,
} from "../gate/forbidden.ts";
import type { GatedStatement } from "../driver.ts";
import { ACTION, DENY, OK } from "./node_sqlite.ts";

/** Whose statement SQLite is compiling: the gateway's own, or a client's that may only read or may also write. */
export type Authority = "own" | "read" | "write";

/** Whose statement this is. EXPLAIN compiles a statement without running it, so it needs the rights of that statement. */
export function authorityOf({ own, facts: { access, verb } }: Pick<GatedStatement, "own" | "facts">): Authority {
  if (own) return "own";
  return access === "read" && verb !== "EXPLAIN" ? "read" : "write";
}

/** What a writing statement may do beside reading. Temporary objects, ATTACH, transactions and savepoints are not among it. */
const WRITES: ReadonlySet<number> = new Set([
  ACTION.UPDATE,
  ACTION.CREATE_TABLE,
  ACTION.CREATE_INDEX,
  ACTION.CREATE_VIEW,
  ACTION.CREATE_TRIGGER,
  ACTION.DROP_TABLE,
  ACTION.DROP_INDEX,
  ACTION.DROP_VIEW,
  ACTION.DROP_VTABLE,
  ACTION.ALTER_TABLE,
  ACTION.REINDEX,
]);
/** Asked by the modules of full-text search about their own tables. */
const INTERNAL_PRAGMAS = new Set(["data_version", "page_size"]);

/**
 * Decides on what SQLite's own parser found in a statement (`sqlite3_set_authorizer`): the second lock behind the gate, and the
 * one that cannot be talked round. Meaning of the arguments by action: sqlite.org/c3ref/c_alter_table.html.
 * @param trigger the innermost trigger or view that the access stands in
 */
export function authorize(
  authority: Authority,
  action: number,
  first: string | null,
  second: string | null,
  trigger: string | null,
): number {
  return authority === "own" || isAllowed(authority, action, first ?? "", second, trigger) ? OK : DENY;
}

function isAllowed(
  authority: "read" | "write",
  action: number,
  first: string,
  second: string | null,
  trigger: string | null,
): boolean {
  switch (action) {
    case ACTION.SELECT:
    case ACTION.RECURSIVE:
      return true;
    case ACTION.READ:
      return isOpenName(first) || isFeedAccess(first, trigger);
    case ACTION.FUNCTION:
      return !FORBIDDEN_FUNCTIONS.has((second ?? "").toLowerCase());
    case ACTION.PRAGMA:
      return isReadingPragma(first, second !== null) || (INTERNAL_PRAGMAS.has(first) && second === null);
    case ACTION.CREATE_VTABLE:
      return authority === "write" && isOpenName(first) && VIRTUAL_TABLE_MODULES.has((second ?? "").toLowerCase());
    case ACTION.INSERT:
    case ACTION.DELETE:
      return authority === "write" && (isOpenName(first) || isFeedAccess(first, trigger));
    case ACTION.DROP_TRIGGER:
      // Goes with its table. Alone, the gate refuses it by its name.
      return authority === "write" && (isOpenName(first) || first.startsWith(FEED_TRIGGER_PREFIX));
    case ACTION.ANALYZE:
      // Without a name it is of all tables.
      return authority === "write";
    default:
      // Whatever a later SQLite may ask beyond this list is refused.
      return authority === "write" && WRITES.has(action) && isOpenName(first) && isOpenName(second ?? "");
  }
}

function isOpenName(name: string): boolean {
  const lower = name.toLowerCase();
  return !lower.startsWith(RESERVED_PREFIX) && !FORBIDDEN_TABLES.has(lower);
}
