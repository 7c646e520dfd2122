/** What a UnixFS message says, as far as it matters for reading. */
export type UnixFs =
  | {
    readonly type: "file";
    /** Bytes that stand in the message itself. */
    readonly data: Uint8Array;
    readonly fileSize: number | undefined;
    readonly blockSizes: readonly number[];
  }
  | { readonly type: "directory" | "other" }
  | { readonly type: "shard"; readonly fanout: number };

/** Numbers of its `Type`, but for metadata and symbolic links. */
const TYPE_RAW = 0, TYPE_DIRECTORY = 1, TYPE_FILE = 2, TYPE_SHARD = 5, LAST_TYPE = 5;
/** The hash of places in a shard: the first half of murmur3-x64-128. */
const MURMUR3 = 0x22;
const MAX_FANOUT = 1024;

/**
 * Reads the message in the data of a dag-pb block. Read here because a file's own word for its length counts: readers of other
 * implementations believe it.
 * @param most sizes that it may have, one for each link
 * @throws Error for what is none
 */
export function readUnixFs(bytes: Uint8Array, most: number): UnixFs {
  let type: number | undefined,
    data: Uint8Array = new Uint8Array(0),
    fileSize: number | undefined,
    hash = 0,
    fanout = 0;
  const blockSizes: number[] = [];
  const note = (size: number) => {
    if (blockSizes.push(size) > most) throw new Error(`more than ${most} sizes`);
  };
  const reader = new Reader(bytes);
  while (!reader.done) {
    const key = reader.varint();
    const field = Math.floor(key / 8), wire = key % 8;
    if (wire === 2) {
      const part = reader.bytes();
      if (field === 2) data = part;
      // Repeated numbers may stand packed.
      if (field === 4) { for (const packed = new Reader(part); !packed.done;) note(packed.varint()); }
    } else if (wire === 0) {
      const value = reader.varint();
      if (field === 1) type = value;
      else if (field === 3) fileSize = value;
      else if (field === 4) note(value);
      else if (field === 5) hash = value;
      else if (field === 6) fanout = value;
    } else if (wire === 5) reader.skip(4);
    else if (wire === 1) reader.skip(8);
    else throw new Error(`a field of wire type ${wire}`);
  }
  if (type === undefined || type > LAST_TYPE) throw new Error(`no type of UnixFS: ${type}`);
  if (type === TYPE_FILE || type === TYPE_RAW) return { type: "file", data, fileSize, blockSizes };
  if (type === TYPE_DIRECTORY) return { type: "directory" };
  if (type !== TYPE_SHARD) return { type: "other" };
  if (hash !== MURMUR3 || !isFanout(fanout)) throw new Error(`a shard with hash ${hash} and fanout ${fanout}`);
  return { type: "shard", fanout };
}

const isFanout = (n: number) => n >= 8 && n <= MAX_FANOUT && (n & (n - 1)) === 0;

class Reader {
  #at = 0;

  constructor(private readonly source: Uint8Array) {}

  get done(): boolean {
    return this.#at >= this.source.length;
  }

  /** Up to what a number holds exactly. */
  varint(): number {
    let value = 0;
    for (let shift = 1;; shift *= 128) {
      const byte = this.source[this.#at++];
      if (byte === undefined) throw new Error("it ends in a number");
      value += (byte & 127) * shift;
      if (!Number.isSafeInteger(value)) throw new Error("a number is too large");
      if (byte < 128) return value;
      if (shift > 2 ** 49) throw new Error("a number is too long");
    }
  }

  bytes(): Uint8Array {
    const length = this.varint();
    return this.source.subarray(this.#at, this.#advance(length));
  }

  skip(length: number): void {
    this.#advance(length);
  }

  #advance(length: number): number {
    const end = this.#at + length;
    if (end > this.source.length) throw new Error("it ends too early");
    return this.#at = end;
  }
}
