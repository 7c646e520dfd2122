import type { CacheValue } from "../../../src/contracts/cache.ts";
import type { Arena } from "./arena.ts";
import { FIELD, HEADER } from "./header.ts";

/** A value as it lies in memory. */
export interface Content {
  readonly bytes: Uint8Array;
  /** The media type; `undefined`: it is JSON. */
  readonly type: Uint8Array | undefined;
}

/** Bytes for which memory is kept. Larger values have memory of their own for a moment. */
const KEPT = 49_152;
/** Bytes of the longest key, and of the longest media type: their lengths have one byte each. */
const LONGEST = 255;
/** What one byte of a media type counts in the form of an entry, and that there is one. */
const TYPE = 0x100, HAS_TYPE = 0x10000;

/** Writes entries into the arena, and reads them. */
export class Codec {
  readonly #arena: Arena;
  readonly #encoder = new TextEncoder();
  readonly #keys = new Uint8Array(LONGEST);
  readonly #values = new Uint8Array(KEPT);

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** A key in UTF-8, until the next key is asked for. */
  keyBytes(key: string): Uint8Array {
    const { read, written } = this.#encoder.encodeInto(key, this.#keys);
    if (read < key.length) throw new RangeError(`a key of more than ${LONGEST} bytes`);
    return this.#keys.subarray(0, written);
  }

  /** A value in bytes, until the next value is asked for. */
  content(value: CacheValue): Content {
    if ("bytes" in value) {
      const type = this.#encoder.encode(value.type);
      if (type.length > LONGEST) throw new RangeError(`a media type of more than ${LONGEST} bytes`);
      return { bytes: value.bytes, type };
    }
    const { json } = value;
    if (json.length * 3 > KEPT) return { bytes: this.#encoder.encode(json), type: undefined };
    return { bytes: this.#values.subarray(0, this.#encoder.encodeInto(json, this.#values).written), type: undefined };
  }

  /** Bytes that an entry takes in the arena. */
  sizeOf(id: number): number {
    const form = this.#arena.word(id, FIELD.form);
    return HEADER + (form % TYPE) + (form / TYPE | 0) % TYPE + this.#arena.word(id, FIELD.length);
  }

  hasKey(id: number, key: Uint8Array): boolean {
    return this.#arena.word(id, FIELD.form) % TYPE === key.length && this.#arena.equals(id, HEADER, key);
  }

  /** Writes an entry behind its header. There must be room for it. */
  put(id: number, key: Uint8Array, { bytes, type }: Content): void {
    this.#arena.setWord(id, FIELD.form, key.length + (type === undefined ? 0 : HAS_TYPE + TYPE * type.length));
    this.#arena.setWord(id, FIELD.length, bytes.length);
    let at = HEADER;
    for (const part of type === undefined ? [key, bytes] : [key, type, bytes]) {
      this.#arena.write(id, at, part);
      at += part.length;
    }
  }

  key(id: number): string {
    return this.#arena.text(id, HEADER, this.#arena.word(id, FIELD.form) % TYPE);
  }

  value(id: number): CacheValue {
    const form = this.#arena.word(id, FIELD.form), length = this.#arena.word(id, FIELD.length);
    const afterKey = HEADER + form % TYPE;
    if (form < HAS_TYPE) return { json: this.#arena.text(id, afterKey, length) };
    const typeLength = (form / TYPE | 0) % TYPE;
    const type = this.#arena.text(id, afterKey, typeLength);
    return { bytes: this.#arena.read(id, afterKey + typeLength, length), type };
  }
}

/** Bytes that an entry takes in the arena once it is written. */
export const sizeOf = (key: Uint8Array, { bytes, type }: Content): number =>
  HEADER + key.length + (type?.length ?? 0) + bytes.length;
