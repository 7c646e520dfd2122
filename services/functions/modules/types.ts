import { BOUNDS } from "./bounds.ts";
import { Cursor, tooMany } from "./cursor.ts";
import { refused } from "./refusals.ts";
import type { Section } from "./sections.ts";

/** How many parameters of a type are told. */
const TOLD = 16;

const NUMBERS: Readonly<Record<number, string>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
  0x7b: "v128",
  0x70: "funcref",
  0x6f: "externref",
};

/** What a type section declares. Of each type only its place is kept: most are never asked for. */
export class Types {
  readonly #bytes: Uint8Array;
  /** Where the parameters of each type begin. */
  readonly #places: number[] = [];
  /** Those that were asked for: a thousand imports may be of the same type of a thousand parameters. */
  readonly #told = new Map<number, string>();
  #params = 0;

  /** @throws GatewayError `MODULE_INVALID` */
  constructor(bytes: Uint8Array, section: Section | undefined) {
    this.#bytes = bytes;
    if (!section) return;
    const cursor = new Cursor(bytes, section.from, section.to, "type section");
    for (let left = cursor.count("types", BOUNDS.types); left > 0; left--) this.#group(cursor);
    if (!cursor.done) throw cursor.damaged("goes on behind its last entry");
  }

  get length(): number {
    return this.#places.length;
  }

  /** A function's type as it is told, such as `(i32, i64) -> i32`; `undefined` where there is none. */
  told(index: number): string | undefined {
    const place = this.#places[index];
    if (place === undefined) return undefined;
    const known = this.#told.get(index);
    if (known !== undefined) return known;
    const cursor = new Cursor(this.#bytes, place, this.#bytes.length, "type section");
    const params = told(cursor);
    const results = told(cursor);
    const text = `(${params.join(", ")}) -> ${results.length === 1 ? results[0] : `(${results.join(", ")})`}`;
    this.#told.set(index, text);
    return text;
  }

  #group(cursor: Cursor): void {
    if (cursor.bytes[cursor.at] !== 0x4e) return this.#subtype(cursor);
    cursor.byte();
    for (let left = cursor.count("types", BOUNDS.types); left > 0; left--) this.#subtype(cursor);
  }

  #subtype(cursor: Cursor): void {
    if (this.#places.length >= BOUNDS.types) throw tooMany("types", this.#places.length + 1, BOUNDS.types);
    let form = cursor.byte();
    if (form === 0x50 || form === 0x4f) {
      for (let left = cursor.count("supertypes", 1); left > 0; left--) cursor.u32();
      form = cursor.byte();
    }
    if (form === 0x60) {
      this.#places.push(cursor.at);
      for (let lists = 0; lists < 2; lists++) {
        const count = cursor.count("parameters of one function", BOUNDS.params);
        this.#params += count;
        if (this.#params > BOUNDS.paramsInAll) {
          throw tooMany("parameters and results of its types, or more", this.#params, BOUNDS.paramsInAll);
        }
        for (let left = count; left > 0; left--) valueType(cursor);
      }
      return;
    }
    if (form !== 0x5e && form !== 0x5f) throw cursor.damaged(`has a type of the unknown form ${form}`);
    // One array may have a gigabyte: V8 checks the limit of its heap only behind such an allocation, and a memory's maximum is none
    // for what its garbage collector gives. No limit of a function would hold.
    throw refused(
      `The module has types for garbage collection (an ${
        form === 0x5e ? "array" : "object"
      }), to which no memory limit applies; ` +
        "compile it to linear memory.",
    );
  }
}

/** Goes over a type of values, and gives it as it is told. @throws GatewayError `MODULE_INVALID` */
export function valueType(cursor: Cursor): string {
  const code = cursor.byte();
  if (code === 0x63 || code === 0x64) {
    cursor.skipSigned(33);
    return "ref";
  }
  if (code < 0x68 || code > 0x7f || code === 0x77 || code === 0x78) {
    throw cursor.damaged(`has an unknown type of values, ${code}`);
  }
  return NUMBERS[code] ?? "ref";
}

function told(cursor: Cursor): string[] {
  const types: string[] = [];
  const count = cursor.u32();
  for (let i = 0; i < count; i++) {
    const type = valueType(cursor);
    if (i < TOLD) types.push(type);
  }
  return count > TOLD ? [...types, `and ${count - TOLD} more`] : types;
}
