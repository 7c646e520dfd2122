import type { CID } from "multiformats/cid";
import type { ContentKind } from "../../../src/contracts/storage.ts";
import { DAG_PB, RAW } from "./cids.ts";
import { linksOfDagCbor } from "./dag_cbor.ts";
import { decodeDagPb } from "./dag_pb.ts";
import { Links } from "./links.ts";
import { readUnixFs } from "./unixfs.ts";

/** What a block holds. */
export interface DagNode {
  /** `shard`: a part of a directory that is spread over several blocks. `block`: no UnixFS, or a symbolic link. */
  readonly kind: ContentKind | "shard";
  /** All of them, in order. */
  readonly links: Links;
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
  if (cid.code === RAW) return { kind: "file", links: NO_LINKS, data: bytes, below: [], size, fanout: 0 };
  try {
    return cid.code === DAG_PB ? nodeOfDagPb(bytes) : other(linksOfDagCbor(bytes), size);
  } catch (cause) {
    throw new MalformedBlock(`the block ${cid} cannot be read`, { cause });
  }
}

/** How many letters of a link's name in a shard tell its place. */
export const placeLength = (fanout: number): number => (fanout - 1).toString(16).length;

const NONE = new Uint8Array(0);
const NO_LINKS = new Links(NONE);

function nodeOfDagPb(bytes: Uint8Array): DagNode {
  const { data: message, links } = decodeDagPb(bytes);
  const unixfs = message === undefined ? undefined : readUnixFs(message, links.length);
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
      const { fanout } = unixfs;
      if (links.length > fanout) throw new Error(`${links.length} links in ${fanout} places`);
      const place = placeLength(fanout);
      for (let i = 0; i < links.length; i++) {
        const { length } = links.name(i), problem = length > place ? undefined : links.problem(i);
        if (length < place) throw new Error("an entry of a shard without its place");
        if (problem !== undefined) throw new Error(`a further shard: ${problem}`);
      }
      return { kind: "shard", links, data: NONE, below: [], size: 0, fanout };
    }
    default:
      return other(links, bytes.length);
  }
}

const other = (links: Links, size: number): DagNode => ({
  kind: "block",
  links,
  data: NONE,
  below: [],
  size,
  fanout: 0,
});
