import { joined } from "../joined.ts";
import { BOUNDS } from "./bounds.ts";
import { type Limits, memoryOf, tablesOf } from "./limits.ts";
import { grouped, refused } from "./refusals.ts";
import { type Section, sectionsOf } from "./sections.ts";

/**
 * The module with a maximum of its memory and of each of its tables, which the engine then holds it to: the lesser of its own and
 * the one given. A memory without one would also take 4 GiB of addresses, of which a process has only so many.
 * @param bytes a module that `readModule` took
 * @param pages of 64 KiB that its memory may have
 * @throws GatewayError `MODULE_INVALID` for a module that begins with more, as after its limit was lowered
 */
export function prepareModule(bytes: Uint8Array, pages: number): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let done = 0;
  for (const section of sectionsOf(bytes)) {
    const limits = limitsIn(bytes, section, pages);
    if (limits.length === 0) continue;
    const content = joined(edited(bytes, section, limits));
    parts.push(bytes.subarray(done, section.begin + 1), number(content.length), content);
    done = section.to;
  }
  return joined([...parts, bytes.subarray(done)]);
}

interface Capped extends Limits {
  readonly cap: number;
}

function limitsIn(bytes: Uint8Array, section: Section, pages: number): Capped[] {
  if (section.name === "table") {
    return tablesOf(bytes, section).map((table) => ({ ...table, cap: Math.max(table.initial, BOUNDS.tableGrowth) }));
  }
  const memory = section.name === "memory" ? memoryOf(bytes, section) : undefined;
  if (!memory) return [];
  if (memory.initial > pages) {
    throw refused(
      `The module's memory begins with ${grouped(memory.initial)} pages of 64 KiB, and this function may have ${
        grouped(pages)
      }.`,
    );
  }
  return [{ ...memory, cap: pages }];
}

/** The parts of a section, with its limits replaced. */
function edited(bytes: Uint8Array, section: Section, limits: readonly Capped[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let done = section.from;
  for (const { from, to, initial, maximum, cap } of limits) {
    parts.push(bytes.subarray(done, from), Uint8Array.of(1), number(initial), number(Math.min(maximum ?? cap, cap)));
    done = to;
  }
  return [...parts, bytes.subarray(done, section.to)];
}

/** An unsigned number in LEB128. */
function number(value: number): Uint8Array {
  const digits: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) digits.push(left % 0x80 + 0x80);
  return Uint8Array.of(...digits, left);
}
