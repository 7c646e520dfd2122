/** Where the first block begins: 0 stands for none. */
const FIRST = 16;
/** Blocks that there are at once. */
const MAX_BLOCKS = 65_536;

/** @property room bytes that it has, of which `length` were asked for */
interface Block {
  readonly length: number;
  readonly room: number;
}

/**
 * The memory of a plug-in that is not its own: blocks which it asks for, and reads and writes by numbers. Offsets are as in the
 * reference (https://github.com/extism/extism/blob/main/kernel/src/lib.rs): places in one memory, so that what lies within a block
 * has one, too. What lies in no block is 0, and cannot be written.
 */
export class Blocks {
  readonly #most: number;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  /** Where the next new block begins. */
  #end = FIRST;
  /** Those in use, by their beginning. */
  readonly #used = new Map<number, Block>();
  /** Of those given back: their beginnings, by the room that they have. */
  readonly #free = new Map<number, number[]>();
  /** Where the input begins; 0 for an empty one. */
  readonly input: number;
  /** Bytes of the input; 0 once the plug-in has given it back. */
  inputLength = 0;

  /**
   * @param input becomes the first block
   * @param pages of 64 KiB that the blocks may have in all, beside the input
   */
  constructor(input: Uint8Array, pages: number) {
    this.#most = pages * 65_536 + roomFor(input.length) + FIRST;
    this.input = this.keep(input);
    this.inputLength = this.input === 0 ? 0 : input.length;
  }

  /** @returns the beginning of a new block; 0 for no bytes, and for more than there may be */
  allocate(length: number): number {
    if (!(length > 0) || length > this.#most || this.#used.size === MAX_BLOCKS) return 0;
    let room = roomFor(length), begin = this.#free.get(room)?.pop();
    if (begin === undefined && this.#end + room <= this.#most) {
      begin = this.#end;
      this.#end += room;
      this.#reserve(this.#end);
    }
    if (begin === undefined) {
      // The next larger one that was given back. It keeps its room.
      room = [...this.#free].reduce(
        (least, [of, { length }]) => of > room && length > 0 ? Math.min(least, of) : least,
        Infinity,
      );
      begin = this.#free.get(room)?.pop();
    }
    if (begin === undefined) return 0;
    this.#used.set(begin, { length, room });
    return begin;
  }

  /** Gives a block back, whose beginning this is. */
  release(begin: number): void {
    const block = this.#used.get(begin);
    if (block === undefined) return;
    this.#used.delete(begin);
    const free = this.#free.get(block.room);
    if (free) free.push(begin);
    else this.#free.set(block.room, [begin]);
    if (begin === this.input) this.inputLength = 0;
  }

  /** Bytes of the block that begins here; 0 for none. */
  lengthOf(begin: number): number {
    return this.#used.get(begin)?.length ?? 0;
  }

  /** A copy in a block of its own. @returns its beginning; 0 where there is no room */
  keep(bytes: Uint8Array): number {
    const begin = this.allocate(bytes.length);
    if (begin !== 0) this.#bytes.set(bytes, begin);
    return begin;
  }

  /** The block that begins here, not a copy; `undefined` for none. */
  block(begin: number): Uint8Array | undefined {
    const block = this.#used.get(begin);
    return block && this.#bytes.subarray(begin, begin + block.length);
  }

  /** So many bytes from an offset, not a copy; `undefined` where they are not all within the memory. */
  range(offset: number, length: number): Uint8Array | undefined {
    const within = offset >= FIRST && length >= 0 && offset + length <= this.#end;
    return within ? this.#bytes.subarray(offset, offset + length) : undefined;
  }

  /** One byte. */
  byteAt(offset: number): number {
    return offset >= FIRST && offset < this.#end ? this.#bytes[offset]! : 0;
  }

  /** Eight bytes, the lowest first. */
  wordAt(offset: number): bigint {
    return offset >= FIRST && offset + 8 <= this.#end ? this.#view.getBigUint64(offset, true) : 0n;
  }

  /** Sets one byte. */
  putByte(offset: number, byte: number): void {
    if (offset >= FIRST && offset < this.#end) this.#bytes[offset] = byte;
  }

  /** Sets eight bytes, the lowest first. */
  putWord(offset: number, word: bigint): void {
    if (offset >= FIRST && offset + 8 <= this.#end) this.#view.setBigUint64(offset, word, true);
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.min(this.#most, Math.max(1_024, 2 * size)));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/**
 * Bytes that a block of some length gets: steps of an eighth of a power of two, so that what is given back fits the next ones of
 * about its length.
 */
function roomFor(length: number): number {
  const step = Math.max(16, 2 ** (Math.floor(Math.log2(Math.max(1, length))) - 3));
  return Math.ceil(length / step) * step;
}

/** Bytes of names and values that a call remembers at most, with a hundred for each: as much as the reference has by itself. */
const MAX_VARIABLE_BYTES = 2 ** 20;
const VARIABLE_COST = 100;

/** What a plug-in remembers by name, until its call ends. */
export class Variables {
  readonly #values = new Map<string, Uint8Array>();
  #size = 0;

  /** The value; `undefined` for none. */
  get(name: string): Uint8Array | undefined {
    return this.#values.get(name);
  }

  /**
   * Sets one, or forgets it.
   * @param value is copied; `undefined` to forget
   * @returns whether there was room
   */
  set(name: string, value: Uint8Array | undefined): boolean {
    const known = this.#values.get(name);
    const size = this.#size + (value ? costOf(name, value) : 0) - (known ? costOf(name, known) : 0);
    if (size > MAX_VARIABLE_BYTES) return false;
    this.#size = size;
    if (value) this.#values.set(name, value.slice());
    else this.#values.delete(name);
    return true;
  }
}

const costOf = (name: string, value: Uint8Array): number => 2 * name.length + value.length + VARIABLE_COST;
