import { equal, match, ok } from "node:assert/strict";
import { BOUNDS, readModule } from "../../../../services/functions/modules/index.ts";
import { hasCode } from "../../../../src/contracts/errors.ts";
import {
  allOf,
  type Bytes,
  code,
  entries,
  exported,
  joined,
  module,
  name,
  number,
  repeated,
  section,
} from "../../../fixtures/functions/support/binary.ts";

/** The sections of a module with an empty `_start`, by their kinds. */
const WHOLE: Readonly<Record<number, Bytes>> = {
  1: section(1, entries([[0x60, 0, 0]])),
  3: section(3, entries([[0]])),
  7: section(7, entries([exported("_start", 0, 0)])),
  10: section(10, entries([code([0x0b])])),
};
const ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/** What is said of a module with other sections; `taken` where nothing is. */
function said(parts: Readonly<Record<number, Bytes>>): string {
  return saidOf(...ORDER.map((id) => parts[id] ?? WHOLE[id] ?? []));
}

function saidOf(...sections: readonly Bytes[]): string {
  try {
    readModule(module(...sections), { maxMemory: 64 }, {});
    return "taken";
  } catch (error) {
    ok(hasCode(error, "MODULE_INVALID"), String(error));
    return error.message;
  }
}

Deno.test("a whole module is taken, with custom sections anywhere", () => {
  equal(said({}), "taken");
  const custom = section(0, joined(name("producers"), [1, 2, 3]));
  equal(saidOf(custom, WHOLE[1]!, custom, WHOLE[3]!, WHOLE[7]!, custom, WHOLE[10]!, custom), "taken");
});

Deno.test("sections that are there twice, out of order, unknown or cut off are told", () => {
  match(saidOf(WHOLE[1]!, WHOLE[1]!), /^The type section of the module is there twice/);
  match(saidOf(WHOLE[3]!, WHOLE[1]!), /^The type section of the module is there twice, or in the wrong place\.$/);
  match(saidOf([99, 0]), /^The module has a section of the unknown kind 99 \(at byte 8\)\.$/);
  match(saidOf([1, 0xe8, 7, 0]), /^The module is cut off: its type section has 1,000 bytes, of which 1 are there\.$/);
  match(saidOf([1]), /^The type section of the module is damaged: it ends in the middle of an entry/);
  match(saidOf([1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]), /a number of more than 32 bits/);
  match(saidOf([0, 5, 9, 0x61]), /^The module is cut off: its custom section/);
  match(saidOf(section(0, [9, 0x61])), /^The custom section of the module is damaged/);
});

Deno.test("what a section says of others has to be there", () => {
  match(said({ 3: section(3, entries([[5]])) }), /the type 5, which there is not/);
  match(said({ 7: section(7, entries([exported("_start", 0, 9)])) }), /exports the function 9, which there is not/);
  match(said({ 7: section(7, entries([exported("a", 0, 0), exported("a", 0, 0)])) }), /^The module exports a twice\.$/);
  match(said({ 7: section(7, entries([exported("a", 9, 0)])) }), /something of the unknown kind 9/);
  match(said({ 10: section(10, entries([])) }), /^The module declares 1 functions and has the code of 0\.$/);
  match(said({ 3: section(3, entries([])), 10: section(10, entries([])) }), /exports the function 0/);
  match(
    said({ 2: section(2, entries([joined(name("env"), name("log_info"), [0, 7])])) }),
    /the type 7, which there is not/,
  );
});

Deno.test("what goes on behind its end or ends before it is told", () => {
  match(said({ 1: section(1, [1, 0x60, 0, 0, 0]) }), /^The type section of the module is damaged: it goes on behind/);
  match(said({ 1: section(1, [9, 0x60, 0, 0]) }), /says that it has 9 entries, and is shorter/);
  match(said({ 5: section(5, [1, 0, 1, 0]) }), /^The memory section of the module is damaged: it goes on behind/);
  match(said({ 10: section(10, [1, 50, 0, 0x0b]) }), /^The code section of the module is damaged: it ends/);
  match(said({ 10: section(10, entries([code([0x0b], [2, 1, 0x7f])])) }), /^The code section/);
});

Deno.test("types of all forms are read, and those that are none are told", () => {
  const types = (...each: Bytes[]) => said({ 1: section(1, entries([[0x60, 0, 0], ...each])) });
  equal(types([0x60, 4, 0x7f, 0x7e, 0x7d, 0x7c, 2, 0x7b, 0x70]), "taken");
  equal(types([0x60, 3, 0x63, 0x70, 0x64, 0, 0x6f, 0]), "taken");
  equal(types([0x4e, 2, 0x60, 0, 0, 0x50, 0, 0x60, 0, 0]), "taken");
  equal(types([0x4f, 1, 0, 0x60, 0, 0]), "taken");
  match(types([0x5e, 0x7f, 1]), /types for garbage collection \(an array\)/);
  match(types([0x4e, 1, 0x50, 0, 0x5f, 0]), /types for garbage collection \(an object\)/);
  match(types([0x61]), /a type of the unknown form 97/);
  match(types([0x60, 1, 0x01, 0]), /an unknown type of values, 1/);
  match(said({ 1: section(1, entries(repeated([0x4e, 1, 0x60, 0, 0], 3))) }), /^taken$/);
});

Deno.test("memories and tables of no known kind are told", () => {
  const memory = (...limits: number[]) => said({ 5: section(5, entries([limits])) });
  equal(memory(0, 1), "taken");
  equal(memory(1, 1, 2), "taken");
  match(memory(1, 2, 1), /whose maximum, 1, is less than its beginning, 2\.$/);
  match(memory(8, 1, 0), /pages of its own size/);
  match(memory(16, 1), /the unknown flags 16/);
  match(memory(3, 1, 1), /shared memory/);
  match(memory(0, ...number(2 ** 32 - 1)), /begins with 268,435,455\.938 MiB/);
  const table = (...each: Bytes[]) => said({ 4: section(4, entries(each)) });
  equal(table([0x70, 0, 0], [0x6f, 1, 0, 5], [0x63, 0x70, 0, 1]), "taken");
  equal(table([0x40, 0, 0x70, 0, 1, 0xd0, 0x70, 0x0b]), "taken");
  match(table([0x40, 0, 0x70, 0, 1, 0x10, 0, 0x0b]), /an instruction in a constant that cannot be there, 16/);
  match(table([0x70, 2, 1]), /shared table/);
  match(table(joined([0x70, 0], number(60_000)), joined([0x70, 0], number(60_000))), /120,000 elements in its tables/);
});

Deno.test("element segments of all kinds are gone through", () => {
  const zero: Bytes = [0x41, 0, 0x0b];
  const segments = (...each: Bytes[]) => said({ 4: section(4, entries([[0x70, 0, 9]])), 9: section(9, entries(each)) });
  equal(
    segments(
      joined([0], zero, [2, 0, 0]),
      [1, 0, 1, 0],
      joined([2, 0], zero, [0, 1, 0]),
      [3, 0, 1, 0],
      joined([4], zero, [1, 0xd2, 0, 0x0b]),
      [5, 0x70, 1, 0xd0, 0x70, 0x0b],
      joined([6, 0], zero, [0x70, 0]),
      [7, 0x6f, 0],
    ),
    "taken",
  );
  match(segments([8]), /unknown flags 8/);
  match(segments(joined([1, 0], number(2 ** 32 - 1))), /4,294,967,295 elements in its segments/);
});

/** So many in pieces of at most so many. */
const inPieces = (count: number, most: number): readonly number[] =>
  Array.from({ length: Math.ceil(count / most) }, (_, i) => Math.min(most, count - most * i));

/** A constant expression of so many instructions. */
const offset = (instructions: number): Bytes => joined(allOf(repeated([0x41, 0], instructions - 1)), [0x0b]);

Deno.test("each bound holds: as many are taken, and one more is not", () => {
  const globals = (count: number) => said({ 6: section(6, entries(repeated([0x7f, 0, 0x41, 0, 0x0b], count))) });
  const data = (count: number) => said({ 11: section(11, entries(repeated([1, 0], count))) });
  const locals = (count: number) =>
    said({ 10: section(10, entries([code([0x0b], joined([2, 1, 0x7e], number(count - 1), [0x7f]))])) });
  const names = (length: number) =>
    said({ 7: section(7, entries([exported("_start", 0, 0), exported("n".repeat(length), 0, 0)])) });
  const tags = (count: number) => said({ 13: section(13, entries(repeated([0, 0], count))) });
  const exports = (count: number) =>
    said({
      7: section(
        7,
        entries([exported("_start", 0, 0), ...Array.from({ length: count - 1 }, (_, i) => exported(`${i}`, 0, 0))]),
      ),
    });
  const imports = (count: number) =>
    said({
      2: section(2, entries(repeated(joined(name("wasi_snapshot_preview1"), name("sched_yield"), [0, 1]), count))),
      1: section(1, entries([[0x60, 0, 0], [0x60, 0, 1, 0x7f]])),
      7: section(7, entries([exported("_start", 0, count)])),
    });
  const functions = (count: number) =>
    said({ 3: section(3, entries(repeated([0], count))), 10: section(10, entries(repeated(code([0x0b]), count))) });
  const types = (count: number) => said({ 1: section(1, entries(repeated([0x60, 0, 0], count))) });
  const wide = (count: number) => {
    const types = inPieces(count, BOUNDS.params).map((each) => joined([0x60], entries(repeated([0x7f], each)), [0]));
    return said({ 1: section(1, entries([[0x60, 0, 0], ...types])) });
  };
  const bodiesOf = (each: readonly number[]) =>
    said({
      3: section(3, entries(repeated([0], each.length))),
      10: section(10, entries(each.map((groups) => code([0x0b], entries(repeated([0, 0x7f], groups)))))),
    });
  const groups = (count: number) => bodiesOf([count]);
  const groupsInAll = (count: number) => bodiesOf(inPieces(count, BOUNDS.localGroups));
  // An offset, whose end is one of its instructions.
  const constant = (count: number) =>
    said({
      4: section(4, entries([[0x70, 0, 9]])),
      9: section(9, entries([joined([0], offset(count), [1, 0])])),
    });
  const constants = (count: number) =>
    said({
      4: section(4, entries([[0x70, 0, 9]])),
      9: section(9, entries([joined([5, 0x70], entries(inPieces(count, BOUNDS.constant).map(offset)))])),
    });
  const bounds: readonly (readonly [of: (count: number) => string, bound: number])[] = [
    [globals, BOUNDS.globals],
    [data, BOUNDS.dataSegments],
    [locals, BOUNDS.locals],
    [names, BOUNDS.name],
    [tags, BOUNDS.tags],
    [exports, BOUNDS.exports],
    [imports, BOUNDS.imports],
    [functions, BOUNDS.functions],
    [types, BOUNDS.types],
    [wide, BOUNDS.paramsInAll],
    [groups, BOUNDS.localGroups],
    [groupsInAll, BOUNDS.localGroupsInAll],
    [constant, BOUNDS.constant],
    [constants, BOUNDS.constantsInAll],
  ];
  for (const [of, bound] of bounds) {
    equal(of(bound), "taken", of.name);
    match(of(bound + 1), /at most [\d,]+ are taken\.$/, of.name);
  }
});
