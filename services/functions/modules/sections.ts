import { BOUNDS } from "./bounds.ts";
import { Cursor, tooMany } from "./cursor.ts";
import { disguise } from "./disguise.ts";
import { grouped, refused } from "./refusals.ts";

/** Sections by id, in the order in which they have to come: https://webassembly.github.io/spec/core/binary/modules.html */
const ORDER = new Map([
  [1, "type"],
  [2, "import"],
  [3, "function"],
  [4, "table"],
  [5, "memory"],
  [13, "tag"],
  [6, "global"],
  [7, "export"],
  [8, "start"],
  [9, "element"],
  [12, "data count"],
  [10, "code"],
  [11, "data"],
]);
const PLACES = [...ORDER.keys()];

/** A part of a module. Its bytes are from `from` up to `to`, its id and size stand before them. */
export interface Section {
  readonly name: string;
  /** Where its id stands. */
  readonly begin: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The sections of a module, in their order, without those that an engine does not look at.
 * @throws GatewayError `MODULE_INVALID` for what is no module, is cut off, or has sections twice or in another order
 */
export function sectionsOf(bytes: Uint8Array): Section[] {
  const problem = disguise(bytes);
  if (problem !== undefined) throw refused(problem);
  const sections: Section[] = [];
  const cursor = new Cursor(bytes, 8, bytes.length, "header");
  let place = -1;
  for (let count = 1; !cursor.done; count++) {
    if (count > BOUNDS.sections) throw tooMany("sections", count, BOUNDS.sections);
    const begin = cursor.at;
    const section = next(cursor);
    if (section === undefined) continue;
    const own = PLACES.indexOf(bytes[begin]!);
    if (own <= place) {
      throw refused(`The ${section.name} section of the module is there twice, or in the wrong place.`);
    }
    place = own;
    sections.push({ ...section, begin });
  }
  return sections;
}

/** The section at the cursor, which is then behind it; `undefined` for one that an engine does not look at. */
function next(cursor: Cursor): Omit<Section, "begin"> | undefined {
  const { bytes } = cursor;
  const begin = cursor.at;
  const id = cursor.byte();
  const name = id === 0 ? "custom" : ORDER.get(id);
  if (name === undefined) {
    throw refused(`The module has a section of the unknown kind ${id} (at byte ${grouped(begin)}).`);
  }
  const size = new Cursor(bytes, cursor.at, bytes.length, `${name} section`);
  const length = size.u32();
  const left = bytes.length - size.at;
  if (length > left) {
    throw refused(
      `The module is cut off: its ${name} section has ${grouped(length)} bytes, of which ${grouped(left)} are there.`,
    );
  }
  const from = size.at;
  cursor.at = from + length;
  if (id !== 0) return { name, from, to: cursor.at };
  new Cursor(bytes, from, cursor.at, "custom section").name();
  return undefined;
}
