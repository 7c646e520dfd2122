import { createHash } from "node:crypto";
import { CarWriter } from "@ipld/car";
import { encode as encodePb } from "@ipld/dag-pb";
import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import { awaitedLater } from "./awaited_later.ts";

/** A block as tests make them, right or wrong. */
export interface TestBlock {
  readonly cid: CID;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Codecs and hashes of the multicodec table. */
export const CODES = { raw: 0x55, dagPb: 0x70, dagCbor: 0x71, identity: 0x00, sha1: 0x11, sha256: 0x12 } as const;

/** The CID under which bytes belong. */
export function cidOf(codec: number, bytes: Uint8Array): CID {
  return CID.createV1(codec, createDigest(CODES.sha256, createHash("sha256").update(bytes).digest()));
}

const blockOf = (codec: number, bytes: Uint8Array): TestBlock => {
  const own = new Uint8Array(bytes);
  return { cid: cidOf(codec, own), bytes: own };
};

/** A leaf. */
export const rawBlock = (content: string | Uint8Array): TestBlock =>
  blockOf(CODES.raw, typeof content === "string" ? new TextEncoder().encode(content) : content);

/** A block of any codec. */
export const anyBlock = (codec: number, bytes: Uint8Array): TestBlock => blockOf(codec, bytes);

/** What a UnixFS message says: numbers of its fields. */
export interface TestUnixFs {
  readonly type: number;
  readonly data?: Uint8Array;
  readonly fileSize?: number;
  readonly blockSizes?: readonly number[];
  readonly fanout?: number;
}

/** Types of UnixFS. */
export const UNIXFS = { raw: 0, directory: 1, file: 2, symlink: 4, shard: 5 } as const;

/** A dag-pb block; links are put in the order in which the codec wants them. */
export function pbBlock(
  links: readonly { readonly name?: string; readonly cid: CID }[],
  unixfs?: TestUnixFs,
): TestBlock {
  const Links = links.map(({ name = "", cid }, i) => ({ Name: name, Tsize: 0, Hash: cid, i }));
  Links.sort((a, b) => a.Name < b.Name ? -1 : a.Name > b.Name ? 1 : a.i - b.i);
  const node = { Links: Links.map(({ i: _, ...link }) => link), ...(unixfs && { Data: unixFsMessage(unixfs) }) };
  return blockOf(CODES.dagPb, encodePb(node));
}

/** A file of parts, whose lengths it tells as they are given. */
export const fileBlock = (parts: readonly { readonly cid: CID; readonly size: number }[]): TestBlock =>
  pbBlock(parts, {
    type: UNIXFS.file,
    fileSize: parts.reduce((sum, { size }) => sum + size, 0),
    blockSizes: parts.map(({ size }) => size),
  });

/** A directory in one block. */
export const directoryBlock = (entries: Readonly<Record<string, CID>>): TestBlock =>
  pbBlock(Object.entries(entries).map(([name, cid]) => ({ name, cid })), { type: UNIXFS.directory });

/** A message of UnixFS, as its specification has it. */
export function unixFsMessage({ type, data, fileSize, blockSizes = [], fanout }: TestUnixFs): Uint8Array {
  return Uint8Array.from([
    ...[8, ...varint(type)],
    ...data ? [18, ...varint(data.length), ...data] : [],
    ...fileSize === undefined ? [] : [24, ...varint(fileSize)],
    ...blockSizes.flatMap((size) => [32, ...varint(size)]),
    ...fanout === undefined ? [] : [40, ...varint(0x22), 48, ...varint(fanout)],
  ]);
}

/** A number as CARs and protobuf have them. */
export function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return [...bytes, value];
}

/** A CAR, written by the library of its authors. */
export async function carOf(roots: readonly CID[], blocks: readonly TestBlock[]): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create([...roots]);
  const written = awaitedLater((async () => {
    for (const block of blocks) await writer.put(block);
    await writer.close();
  })());
  const car = await bytesOf(out);
  await written;
  return car;
}

/** All that comes, in one piece. */
export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return joined(pieces);
}

/** Bytes one behind the other. */
export function joined(pieces: readonly (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Bytes that look like chance, and are the same each time. @param seed other numbers make other bytes */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let a = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    a ^= a << 13;
    a ^= a >>> 17;
    a ^= a << 5;
    words[i] = a;
  }
  return new Uint8Array(words.buffer, 0, length).slice();
}

/** Something in pieces of a length, or of each of some lengths in turn. */
export async function* inPieces(bytes: Uint8Array, ...lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? bytes.length;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}
