import { Links } from "./links.ts";

/** What a block of dag-pb says. */
export interface DagPbNode {
  /** The message of UnixFS; `undefined` where there is none. */
  readonly data: Uint8Array | undefined;
  readonly links: Links;
}

/** Fields of a node, and of a link. */
const DATA = 1, LINKS = 2, HASH = 1, NAME = 2, TSIZE = 3;
const BYTES = 2, NUMBER = 0;

/**
 * Reads a block of dag-pb, as strictly as its specification: what `@ipld/dag-pb` reads, this does, and nothing else. That one makes a dozen
 * objects for each link.
 * @throws Error
 */
export function decodeDagPb(bytes: Uint8Array): DagPbNode {
  const reader = new Reader(bytes), links = new Links(bytes);
  let data: Uint8Array | undefined, behind = false;
  while (reader.at < bytes.length) {
    const key = reader.varint();
    if ((key & 7) !== BYTES) throw new Error(`a field of wire type ${key & 7}`);
    const end = reader.end(bytes.length);
    if (key >> 3 === DATA) {
      if (data !== undefined) throw new Error("two messages");
      data = bytes.subarray(reader.at, end);
      behind = links.length > 0;
    } else if (key >> 3 === LINKS) {
      if (behind) throw new Error("links before and behind the message");
      readLink(reader, end, links);
    } else throw new Error(`a field of the number ${key >> 3}`);
    reader.at = end;
  }
  return { data, links };
}

function readLink(reader: Reader, end: number, links: Links): void {
  let last = 0, cidAt = 0, cidEnd = 0, nameAt = 0, nameEnd = 0;
  while (reader.at < end) {
    const key = reader.varint(), field = key >> 3;
    // In order, each once.
    if (field <= last || field > TSIZE) throw new Error("a link whose fields are not in order");
    if ((key & 7) !== (field === TSIZE ? NUMBER : BYTES)) throw new Error(`a field of wire type ${key & 7}`);
    last = field;
    if (field === TSIZE) {
      reader.varint();
      continue;
    }
    const to = reader.end(end);
    if (field === HASH) [cidAt, cidEnd] = [reader.at, to];
    else if (field === NAME) [nameAt, nameEnd] = [reader.at, to];
    reader.at = to;
  }
  if (reader.at > end) throw new Error("a link that ends too early");
  if (cidEnd === 0) throw new Error("a link without a CID");
  links.add(cidAt, cidEnd, nameAt, nameEnd);
}

class Reader {
  at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error("it ends too early");
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error("a number is too long");
  }

  /** Reads a length. @returns where what has it ends @throws Error behind `most` */
  end(most: number): number {
    const length = this.varint(), end = this.at + length;
    if (end > most) throw new Error("it ends too early");
    return end;
  }
}
