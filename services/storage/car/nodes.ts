import { decode as decodeCbor } from "@ipld/dag-cbor";
import { decode as decodePb } from "@ipld/dag-pb";
import { CID } from "multiformats/cid";
import type { ContentKind } from "../../../src/contracts/storage.ts";
import { DAG_PB, RAW } from "./cids.ts";
import { readUnixFs } from "./unixfs.ts";

/** A link of a block. */
export interface Link {
  readonly cid: CID;
  /** Of an entry of a directory; in a shard its first letters tell the place. Else empty. */
  readonly name: string;
  /** What it says of the bytes below it; of a raw block its length. Nobody checked it. */
  readonly size: number | undefined;
}

/** What a block holds. */
export interface DagNode {
  /** `shard`: a part of a directory that is spread over several blocks. `block`: no UnixFS, or a symbolic link. */
  readonly kind: ContentKind | "shard";
  /** All of them, in order. */
  readonly links: readonly Link[];
  /** Of a file: its bytes that stand in this block itself. */
  readonly data: Uint8Array;
  /** Of a file with links: how many of its bytes are below each. */
  readonly below: readonly number[];
  /** Of a file: what it says of its length. Else the bytes of the block. */
  readonly size: number;
  /** Of a shard: into how many places it is divided, a power of two. */
  readonly fanout: number;
}

/** A block that is not what its codec says. */
export class MalformedBlock extends Error {
  override readonly name = "MalformedBlock";
}

/** Reads a block. @throws MalformedBlock */
export function decodeNode(cid: CID, bytes: Uint8Array): DagNode {
  const size = bytes.length;
  if (cid.code === RAW) return { kind: "file", links: [], data: bytes, below: [], size, fanout: 0 };
  try {
    return cid.code === DAG_PB ? decodeDagPb(bytes) : other(linksOf(decodeCbor(bytes)), size);
  } catch (cause) {
    throw new MalformedBlock(`the block ${cid} cannot be read`, { cause });
  }
}

/** How many letters of a link's name in a shard tell its place. */
export const placeLength = (fanout: number): number => (fanout - 1).toString(16).length;

const NONE = new Uint8Array(0);

function decodeDagPb(bytes: Uint8Array): DagNode {
  const { Data: message, Links } = decodePb(bytes);
  const links = Links.map(({ Hash: cid, Name: name = "", Tsize: size }) => ({ cid, name, size }));
  const unixfs = message === undefined ? undefined : readUnixFs(message);
  switch (unixfs?.type) {
    case "file": {
      const { data, blockSizes: below } = unixfs;
      if (below.length !== links.length) throw new Error(`${links.length} links with ${below.length} sizes`);
      const size = below.reduce((sum, one) => sum + one, data.length);
      if (unixfs.fileSize !== undefined && unixfs.fileSize !== size) throw new Error("a length that is not its own");
      return { kind: "file", links, data, below, size, fanout: 0 };
    }
    case "directory":
      return { kind: "directory", links, data: NONE, below: [], size: 0, fanout: 0 };
    case "shard": {
      const place = placeLength(unixfs.fanout);
      if (links.some(({ name }) => name.length < place)) throw new Error("an entry of a shard without its place");
      return { kind: "shard", links, data: NONE, below: [], size: 0, fanout: unixfs.fanout };
    }
    default:
      return other(links, bytes.length);
  }
}

const other = (links: readonly Link[], size: number): DagNode => ({
  kind: "block",
  links,
  data: NONE,
  below: [],
  size,
  fanout: 0,
});

function linksOf(value: unknown): Link[] {
  const links: Link[] = [];
  for (const left = [value]; left.length > 0;) {
    const one = left.pop();
    if (typeof one !== "object" || one === null || one instanceof Uint8Array) continue;
    const cid = CID.asCID(one);
    if (cid !== null) links.push({ cid, name: "", size: undefined });
    else left.push(...Object.values(one).reverse());
  }
  return links;
}
