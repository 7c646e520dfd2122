import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import { DAG_CBOR, DAG_PB, DIGEST_LENGTH, problemOf, RAW, SHA2_256 } from "./cids.ts";

/** A link of a block. */
export interface Link {
  readonly cid: CID;
  /** Of an entry of a directory; in a shard its first letters tell the place. Else empty. */
  readonly name: string;
}

/** Numbers that are kept of each link: where its CID begins and ends, and its name. */
const PLACES = 4;
/** Bytes of a CID of version 1 and of version 0, of those that are taken. */
const LENGTH_1 = 36, LENGTH_0 = 34;
const VERSION_0 = 0;

/**
 * The links of a block, in order, where they stand in its bytes. Each becomes an object when somebody asks for it: a block of 2 MiB may have
 * fifty thousand, and their objects would take 25 times as much memory, and tenths of a second to make.
 */
export class Links implements Iterable<Link> {
  #places = new Uint32Array(PLACES);
  #length = 0;

  /** @param bytes the block; kept for as long as the links are */
  constructor(private readonly bytes: Uint8Array) {}

  get length(): number {
    return this.#length;
  }

  /** One more. @throws Error for what is no CID */
  add(cidAt: number, cidEnd: number, nameAt: number, nameEnd: number): void {
    checkCid(this.bytes, cidAt, cidEnd);
    const at = this.#length++ * PLACES;
    if (at === this.#places.length) {
      const more = new Uint32Array(at * 2);
      more.set(this.#places);
      this.#places = more;
    }
    this.#places[at] = cidAt;
    this.#places[at + 1] = cidEnd;
    this.#places[at + 2] = nameAt;
    this.#places[at + 3] = nameEnd;
  }

  cid(i: number): CID {
    // A copy: whoever keeps one CID is not to keep the block.
    return CID.decode(this.bytes.slice(this.#places[i * PLACES]!, this.#places[i * PLACES + 1]!));
  }

  name(i: number): string {
    return text.decode(this.#name(i));
  }

  /** Why a link's CID is not taken; `undefined`: it is. */
  problem(i: number): string | undefined {
    return this.#tag(i) === undefined ? problemOf(this.cid(i)) : undefined;
  }

  /** The codec of a link that is taken. */
  code(i: number): number {
    return this.#tag(i) || DAG_PB;
  }

  /** The digest of a link that is taken, within the block. */
  digest(i: number): Uint8Array {
    const end = this.#places[i * PLACES + 1]!;
    return this.bytes.subarray(end - DIGEST_LENGTH, end);
  }

  /** Puts a link that is taken behind others. */
  copyTo(list: CidList, i: number): void {
    list.put(this.#tag(i) ?? VERSION_0, this.digest(i));
  }

  /** The first link of a name. @returns −1 where there is none */
  find(name: string): number {
    const wanted = new TextEncoder().encode(name);
    for (let i = 0; i < this.#length; i++) {
      const at = this.#places[i * PLACES + 2]!;
      if (this.#places[i * PLACES + 3]! - at !== wanted.length) continue;
      let same = 0;
      while (same < wanted.length && this.bytes[at + same] === wanted[same]) same++;
      if (same === wanted.length) return i;
    }
    return -1;
  }

  *[Symbol.iterator](): Generator<Link, void, void> {
    for (let i = 0; i < this.#length; i++) yield { cid: this.cid(i), name: this.name(i) };
  }

  #name(i: number): Uint8Array {
    return this.bytes.subarray(this.#places[i * PLACES + 2]!, this.#places[i * PLACES + 3]!);
  }

  /** The codec, of version 0 a 0; `undefined` for what is not taken. */
  #tag(i: number): number | undefined {
    const { bytes } = this, at = this.#places[i * PLACES]!, length = this.#places[i * PLACES + 1]! - at;
    if (length === LENGTH_0 && bytes[at] === SHA2_256 && bytes[at + 1] === DIGEST_LENGTH) return VERSION_0;
    const code = bytes[at + 1];
    const isTaken = length === LENGTH_1 && bytes[at] === 1 && bytes[at + 2] === SHA2_256 &&
      bytes[at + 3] === DIGEST_LENGTH && (code === RAW || code === DAG_PB || code === DAG_CBOR);
    return isTaken ? code : undefined;
  }
}

const text = new TextDecoder("utf-8", { ignoreBOM: true });

/** @throws Error for what is no CID of version 0 or 1 */
function checkCid(bytes: Uint8Array, at: number, end: number): void {
  let next = at;
  const varint = () => {
    let value = 0;
    for (let factor = 1; factor <= 128 ** 7; factor *= 128) {
      const byte = next < end ? bytes[next++]! : undefined;
      if (byte === undefined) break;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new Error("a link has no CID");
  };
  let version = varint();
  if (version === SHA2_256) version = end - at === LENGTH_0 ? 1 : 0;
  else varint(), varint();
  const length = varint();
  if (version !== 1 || length !== end - next) throw new Error("a link has no CID");
}

/** Bytes of one in a list. */
const ENTRY = 1 + DIGEST_LENGTH;

/** CIDs that are taken, 33 bytes each: also a stack. As objects they would take more than 500. */
export class CidList {
  #bytes = new Uint8Array(4 * ENTRY);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push({ version, code, multihash }: CID): void {
    this.put(version === 0 ? VERSION_0 : code, multihash.digest);
  }

  /** @param tag its codec; of version 0 a 0 */
  put(tag: number, digest: Uint8Array): void {
    const at = this.#length++ * ENTRY;
    if (at === this.#bytes.length) {
      const more = new Uint8Array(at * 2);
      more.set(this.#bytes);
      this.#bytes = more;
    }
    this.#bytes[at] = tag;
    this.#bytes.set(digest, at + 1);
  }

  /** The last one, which goes. */
  pop(): CID | undefined {
    return this.#length === 0 ? undefined : this.at(--this.#length);
  }

  at(i: number): CID {
    const at = i * ENTRY, tag = this.#bytes[at]!;
    const digest = createDigest(SHA2_256, this.#bytes.slice(at + 1, at + ENTRY));
    return tag === VERSION_0 ? CID.createV0(digest) : CID.createV1(tag, digest);
  }
}
