import { Buffer } from "node:buffer";
import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { isBlockOf, keyOf } from "../car/cids.ts";
import type { Disk } from "./disk.ts";
import { eachOf } from "./sources.ts";

/** The name of a block's file: its SHA-256 in hexadecimal, as `sha256sum` prints it. */
export type BlockName = string;

/** What is wrong with a block. */
export type Damage = "missing" | "damaged";

const NAME = /^[0-9a-f]{64}$/;
/** Folders that are read or synced at once. */
const AT_ONCE = 8;

/** The name of a block's file. */
export const nameOf = ({ multihash }: CID): BlockName => multihash.digest.toHex();

/** Blocks, each in a file of its own in one of 256 folders. */
export class BlockFiles {
  readonly #disk: Disk;
  readonly #folder: string;
  /** By name; resolves when nobody changes the file any more. */
  readonly #busy = new Map<BlockName, Promise<void>>();
  /** Folders with changes that the disk may not hold yet, each with the number of its last one. */
  readonly #unsynced = new Map<string, number>();
  #changes = 0;
  #held: { bytes: number; readonly counted: Set<string>; done: Promise<void> | undefined } | undefined;

  constructor(disk: Disk, folder: string, private readonly onDamage: (cid: string, damage: Damage) => void) {
    this.#disk = disk;
    this.#folder = folder;
  }

  /** To be called first, with its folder there: what a gateway renamed that was killed may be seen, and yet not be on the disk. */
  async open(): Promise<void> {
    const there = new Set<string>();
    for await (const shard of this.#disk.names(this.#folder)) there.add(shard);
    await eachOf(SHARDS, AT_ONCE, async (shard) => {
      if (there.has(shard)) await this.#disk.syncFolder(this.#shard(shard));
      else await this.#disk.makeFolder(this.#shard(shard));
    });
    await this.#disk.syncFolder(this.#folder);
  }

  /**
   * A block, held against its CID.
   * @returns what is wrong where it cannot be had
   */
  async read(cid: CID): Promise<Uint8Array | Damage> {
    const bytes = await this.#disk.read(this.#path(nameOf(cid)));
    if (bytes === undefined) return "missing";
    if (isBlockOf(cid, bytes)) return bytes;
    this.onDamage(keyOf(cid), "damaged");
    return "damaged";
  }

  /** The length of a block; `undefined` where it is not there. Its bytes are not read. */
  async size(name: BlockName): Promise<number | undefined> {
    return (await this.#disk.facts(this.#path(name)))?.size;
  }

  /**
   * Whether a block is there, byte for byte: whoever brings bytes again mends what the disk lost of them. If so, it is young again.
   * @param begun Unix milliseconds: one that is younger is not touched
   * @param now Unix milliseconds
   * @param unsynced told of its folder, where the disk may not hold yet that it is there
   */
  async found(
    name: BlockName,
    bytes: Uint8Array,
    { begun, now, unsynced }: {
      readonly begun: number;
      readonly now: number;
      readonly unsynced: (shard: string) => void;
    },
  ): Promise<boolean> {
    return await this.#alone(name, async () => {
      const path = this.#path(name);
      const facts = await this.#disk.facts(path);
      if (facts?.size !== bytes.length || !await this.#holds(path, bytes)) return false;
      if (facts.modified < begun) await this.#disk.touch(path, now);
      if (this.#unsynced.has(shardOf(name))) unsynced(shardOf(name));
      return true;
    });
  }

  /** Moves a file in, over one that is there. The disk holds that once its folder is synced. @returns the folder */
  async adopt(from: string, name: BlockName, size: number): Promise<string> {
    const shard = shardOf(name);
    await this.#alone(name, async () => {
      const before = this.#counts(shard) ? (await this.#disk.facts(this.#path(name)))?.size : undefined;
      this.#unsynced.set(shard, ++this.#changes);
      await this.#disk.rename(from, this.#path(name));
      this.#count(shard, size - (before ?? 0));
    });
    return shard;
  }

  /** Has the disk hold what is in folders. */
  async sync(shards: Iterable<string>): Promise<void> {
    await eachOf(shards, AT_ONCE, async (shard) => {
      const change = this.#unsynced.get(shard);
      await this.#disk.syncFolder(this.#shard(shard));
      if (this.#unsynced.get(shard) === change) this.#unsynced.delete(shard);
    });
  }

  /**
   * Removes a block that is old enough. Nobody adds, finds or removes it meanwhile.
   * @param spared looked at last, with when it was written: whether it stays all the same
   * @returns its bytes, 0 where it stays
   */
  async remove(name: BlockName, spared: (modified: number) => boolean): Promise<number> {
    if (this.#busy.has(name)) return 0;
    return await this.#alone(name, async () => {
      const path = this.#path(name);
      const facts = await this.#disk.facts(path);
      if (facts === undefined || spared(facts.modified)) return 0;
      const removing = this.#disk.remove(path);
      const size = await removing ? facts.size : 0;
      this.#count(shardOf(name), -size);
      return size;
    });
  }

  /** The names of all blocks. */
  async *names(): AsyncGenerator<BlockName> {
    for (const shard of SHARDS) {
      for await (const name of this.#disk.names(this.#shard(shard))) if (NAME.test(name)) yield name;
    }
  }

  /** Bytes of all blocks. They are counted once, and from then on as they change. */
  async held(): Promise<number> {
    this.#held ??= { bytes: 0, counted: new Set(), done: undefined };
    await (this.#held.done ??= this.#countAll(this.#held));
    return this.#held.bytes;
  }

  async #countAll(held: { bytes: number; readonly counted: Set<string> }): Promise<void> {
    try {
      for (const shard of SHARDS) {
        // What changes in this folder while it is counted may be counted or not.
        const names: BlockName[] = [];
        for await (const name of this.#disk.names(this.#shard(shard))) if (NAME.test(name)) names.push(name);
        await eachOf(names, AT_ONCE, async (name) => {
          const size = await this.size(name) ?? 0;
          held.bytes += size;
        });
        held.counted.add(shard);
      }
    } catch (error) {
      this.#held = undefined;
      throw error;
    }
  }

  #counts(shard: string): boolean {
    return this.#held?.counted.has(shard) === true;
  }

  #count(shard: string, bytes: number): void {
    if (this.#counts(shard)) this.#held!.bytes += bytes;
  }

  async #holds(path: string, bytes: Uint8Array): Promise<boolean> {
    const there = await this.#disk.read(path);
    return there !== undefined && Buffer.compare(there, bytes) === 0;
  }

  /** Does something with a file while nobody else of this process does. */
  async #alone<T>(name: BlockName, work: () => Promise<T>): Promise<T> {
    for (let other; (other = this.#busy.get(name)) !== undefined;) await other;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy.set(name, promise);
    try {
      return await work();
    } finally {
      this.#busy.delete(name);
      resolve();
    }
  }

  #shard(shard: string): string {
    return `${this.#folder}/${shard}`;
  }

  #path(name: BlockName): string {
    return `${this.#shard(shardOf(name))}/${name}`;
  }
}

const shardOf = (name: BlockName) => name.slice(0, 2);
const SHARDS: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

/** Content of which a block cannot be had: its bytes are not there, or not its own. The file is named to nobody. */
export function unavailable(cid: CID, damage: Damage): GatewayError {
  const sentence = damage === "missing"
    ? "a block of this content is missing in this gateway's storage"
    : "a block of this content is damaged in this gateway's storage; it is not handed out";
  return new GatewayError("UNAVAILABLE", sentence, {
    cause: new Error(`block ${keyOf(cid)}: ${damage}`),
    retryAfter: 60,
  });
}
