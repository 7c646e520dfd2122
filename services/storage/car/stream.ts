import { decode, encode } from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { isBlockOf, problemOf } from "./cids.ts";

/** The largest block that the network passes on, in bytes. */
export const MAX_BLOCK = 2 * 2 ** 20;
/** Longer than a header with one root, in bytes. */
const MAX_HEADER = 256;
/** Longer than any CID that is taken, in bytes. */
const MAX_CID = 64;

/** A block, and whose it is. */
export interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

/** The head of a CAR of version 1 with one root. */
export const carHeader = (root: CID): Uint8Array => withLength([encode({ version: 1, roots: [root] })]);

/** A block as it stands in a CAR. */
export const carSection = ({ cid, bytes }: Block): Uint8Array => withLength([cid.bytes, bytes]);

/** A CAR that is read as it comes: first its root, then its blocks, each held against its CID. */
export class CarReader {
  readonly #source: ByteReader;

  /** @param source bytes of a CAR, from its beginning; never read further than is needed */
  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = new ByteReader(source);
  }

  /** To be called first. @throws GatewayError `INVALID_REQUEST` for anything but version 1 with one root that is taken */
  async root(): Promise<CID> {
    const length = await this.#source.varint();
    if (length === undefined) throw notInOrder("it is empty");
    if (length > MAX_HEADER) throw notInOrder("its header is too long, or it has not exactly one root");
    const bytes = await this.#source.take(length);
    let header: { readonly version?: unknown; readonly roots?: unknown } | null;
    try {
      header = decode(bytes);
    } catch (cause) {
      throw notInOrder("its header cannot be read", cause);
    }
    if (header?.version !== 1) throw notInOrder("expected version 1");
    const { roots } = header;
    const root = Array.isArray(roots) && roots.length === 1 ? CID.asCID(roots[0]) : null;
    if (root === null) throw notInOrder("expected exactly one root");
    const problem = problemOf(root);
    if (problem !== undefined) throw notInOrder(`its root: ${problem}`);
    return root;
  }

  /** The next block; `undefined` at the end. @throws GatewayError `INVALID_REQUEST` */
  async next(): Promise<Block | undefined> {
    const length = await this.#source.varint();
    if (length === undefined) return undefined;
    if (length > MAX_BLOCK + MAX_CID) throw notInOrder(`a block is larger than ${MAX_BLOCK} bytes`);
    const section = await this.#source.take(length);
    let cid: CID, bytes: Uint8Array;
    try {
      [cid, bytes] = CID.decodeFirst(section);
    } catch (cause) {
      throw notInOrder("a block has no CID", cause);
    }
    const problem = problemOf(cid);
    if (problem !== undefined) throw notInOrder(`the block ${cid.toString().slice(0, 100)}: ${problem}`);
    if (bytes.length > MAX_BLOCK) throw notInOrder(`a block is larger than ${MAX_BLOCK} bytes`);
    if (!isBlockOf(cid, bytes)) throw notInOrder(`the bytes of the block ${cid} are not its own`);
    return { cid, bytes };
  }

  /** Lets the source go. */
  async close(): Promise<void> {
    await this.#source.close();
  }
}

/** What is wrong with a CAR. */
export const notInOrder = (problem: string, cause?: unknown): GatewayError =>
  new GatewayError("INVALID_REQUEST", `the CAR is not in order: ${problem}`, {
    cause,
    details: [{ field: "body", problem }],
  });

function withLength(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const prefix: number[] = [];
  let rest = length;
  for (; rest >= 128; rest = Math.floor(rest / 128)) prefix.push(rest % 128 + 128);
  prefix.push(rest);
  const bytes = new Uint8Array(prefix.length + length);
  bytes.set(prefix);
  let at = prefix.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Takes as many bytes as are wanted from pieces of any size. */
class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** `undefined` where the source ends. */
  async varint(): Promise<number | undefined> {
    let value = 0;
    for (let factor = 1;; factor *= 128) {
      if (this.#piece.length === 0 && !await this.#more()) {
        if (factor === 1) return undefined;
        throw notInOrder("it ends in the middle");
      }
      const byte = this.#piece[0]!;
      this.#piece = this.#piece.subarray(1);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      if (factor >= 128 ** 4) throw notInOrder("a length in it is too large");
    }
  }

  async take(length: number): Promise<Uint8Array> {
    if (this.#piece.length >= length) return this.#cut(length);
    const whole = new Uint8Array(length);
    for (let at = 0; at < length;) {
      if (this.#piece.length === 0 && !await this.#more()) throw notInOrder("it ends in the middle");
      const part = this.#cut(Math.min(this.#piece.length, length - at));
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  #cut(length: number): Uint8Array {
    const part = this.#piece.subarray(0, length);
    this.#piece = this.#piece.subarray(length);
    return part;
  }

  async #more(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { value, done } = await this.#pieces.next();
      if (done === true) return false;
      this.#piece = value;
    }
    return true;
  }
}
