/** Numbers of protobuf: a field of bytes in a node, and the fields of a link. */
const DATA = 10, LINK = 18, HASH = 10, NAME = 18, TSIZE = 24;
const FIRST = 1_024;

/** A block of dag-pb that is being written: links in the order of their names' bytes, then its message of UnixFS. */
export class Message {
  #bytes = new Uint8Array(FIRST);
  #length = 0;

  /** @param size bytes of what is below it */
  link(cid: Uint8Array, name: Uint8Array, size: number): void {
    const length = 1 + lengthOf(cid.length) + cid.length + 1 + lengthOf(name.length) + name.length + 1 + lengthOf(size);
    this.#field(LINK, length);
    this.#field(HASH, cid.length, cid);
    this.#field(NAME, name.length, name);
    this.#field(TSIZE, size);
  }

  /** The whole block. */
  node(unixfs: readonly number[]): Uint8Array {
    this.#field(DATA, unixfs.length, Uint8Array.from(unixfs));
    return this.#bytes.subarray(0, this.#length);
  }

  /** @param value its number, or the length of what follows */
  #field(key: number, value: number, bytes?: Uint8Array): void {
    const most = this.#length + 10 + (bytes?.length ?? 0);
    if (most > this.#bytes.length) {
      const more = new Uint8Array(Math.max(most, this.#bytes.length * 2));
      more.set(this.#bytes);
      this.#bytes = more;
    }
    this.#bytes[this.#length++] = key;
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = rest % 128 + 128;
    this.#bytes[this.#length++] = rest;
    if (bytes === undefined) return;
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

/** Bytes of a number. */
function lengthOf(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}
