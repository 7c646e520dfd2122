import { murmur364 } from "@multiformats/murmur3";
import type { Link } from "./links.ts";
import { type DagNode, placeLength } from "./nodes.ts";
import { Parts } from "./parts.ts";

/** Where a name stands in a directory that is spread over blocks: its place in the shard of each depth. */
export class ShardPlaces {
  private constructor(private readonly hash: bigint) {}

  static async of(name: string): Promise<ShardPlaces> {
    const bytes = await murmur364.encode(new TextEncoder().encode(name));
    return new ShardPlaces(bytes.reduce((sum, byte) => sum << 8n | BigInt(byte), 0n));
  }

  /** As it begins the names of links. @returns `undefined` below the deepest shard that there can be */
  at(depth: number, fanout: number): string | undefined {
    const bits = Math.log2(fanout), rest = 64 - bits * (depth + 1);
    if (rest < 0) return undefined;
    const place = Number(this.hash >> BigInt(rest) & BigInt(fanout - 1));
    return place.toString(16).toUpperCase().padStart(placeLength(fanout), "0");
  }
}

/** Links of a shard, told apart: entries of the directory under their own names, and further shards. */
export function partsOfShard(
  { links, fanout }: DagNode,
): { readonly entries: readonly Link[]; readonly shards: Parts } {
  const length = placeLength(fanout), entries: Link[] = [], shards = new Parts();
  for (let i = 0; i < links.length; i++) {
    const name = links.name(i);
    if (name.length > length) entries.push({ cid: links.cid(i), name: name.slice(length) });
    else shards.add(links, i, 0, undefined);
  }
  return { entries, shards };
}
