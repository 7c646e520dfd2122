import { BOUNDS } from "./bounds.ts";
import { Cursor, tooMany } from "./cursor.ts";
import { skipConstant } from "./expressions.ts";
import { grouped, refused } from "./refusals.ts";
import type { Section } from "./sections.ts";
import { valueType } from "./types.ts";

/** How large a memory or table is and may become, and where in the module that stands. */
export interface Limits {
  readonly initial: number;
  readonly maximum: number | undefined;
  readonly from: number;
  readonly to: number;
}

/**
 * The memory of a module; `undefined` where it has none.
 * @throws GatewayError `MODULE_INVALID` for several, and for one that is shared, or has 64-bit addresses
 */
export function memoryOf(bytes: Uint8Array, section: Section | undefined): Limits | undefined {
  if (!section) return undefined;
  const cursor = new Cursor(bytes, section.from, section.to, "memory section");
  const count = cursor.u32();
  if (count === 0) return undefined;
  // Engines hold each memory to its own maximum, and a function's limit is one for all that it has.
  if (count > 1) throw refused(`The module has ${grouped(count)} memories; a function has one.`);
  const memory = limits(cursor, "memory");
  if (!cursor.done) throw cursor.damaged("goes on behind its last entry");
  return memory;
}

/** The tables of a module. @throws GatewayError `MODULE_INVALID` for too many or too large ones */
export function tablesOf(bytes: Uint8Array, section: Section | undefined): Limits[] {
  if (!section) return [];
  const cursor = new Cursor(bytes, section.from, section.to, "table section");
  const tables: Limits[] = [];
  for (let left = cursor.count("tables", BOUNDS.tables); left > 0; left--) {
    const initialised = cursor.bytes[cursor.at] === 0x40;
    if (initialised) cursor.skip(2);
    valueType(cursor);
    tables.push(limits(cursor, "table"));
    if (initialised) skipConstant(cursor);
  }
  const elements = tables.reduce((sum, { initial }) => sum + initial, 0);
  if (elements > BOUNDS.tableElements) throw tooMany("elements in its tables", elements, BOUNDS.tableElements);
  if (!cursor.done) throw cursor.damaged("goes on behind its last entry");
  return tables;
}

function limits(cursor: Cursor, what: "memory" | "table"): Limits {
  const from = cursor.at;
  const flags = cursor.byte();
  if (flags & 4) {
    throw refused(`The module has a ${what} with 64-bit addresses; a function works with those of 32 bits.`);
  }
  if (flags & 2) {
    throw refused(`The module has a shared ${what}; a function has one thread. Compile it without threads.`);
  }
  if (flags & 8) throw refused(`The module has a ${what} with pages of its own size; only those of 64 KiB are taken.`);
  if (flags > 1) throw cursor.damaged(`has a ${what} with the unknown flags ${flags}`);
  const initial = cursor.u32();
  const maximum = flags === 1 ? cursor.u32() : undefined;
  if (maximum !== undefined && maximum < initial) {
    throw refused(
      `The module has a ${what} whose maximum, ${grouped(maximum)}, is less than its beginning, ${grouped(initial)}.`,
    );
  }
  return { initial, maximum, from, to: cursor.at };
}
