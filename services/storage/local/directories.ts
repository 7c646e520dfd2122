import { createHash } from "node:crypto";
import { murmur364 } from "@multiformats/murmur3";
import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { DAG_PB } from "../car/cids.ts";
import { CidList } from "../car/links.ts";
import type { Folder } from "../car/paths.ts";
import { turn } from "../car/turns.ts";
import type { Incoming } from "./incoming.ts";
import { Message } from "./message.ts";

/** Bytes of names and CIDs from which on Kubo spreads a directory over blocks, and of a CID. */
const SPREAD_FROM = 256 * 2 ** 10, CID_LENGTH = 36;
/** Places of each block that it is spread over, and bytes of the hash that tells a place: one for each depth. */
const FANOUT = 256, HASH_LENGTH = 8;
/** Entries that are looked at before others have their turn. */
const SLICE = 1_024;

/** Messages of UnixFS: the type of a directory; the type, hash and fanout of a shard, whose places stand between them. */
const DIRECTORY = [8, 1], SHARD_TYPE = [8, 5], SHARD_REST = [40, 0x22, 48, 128, 2];

/** Roots of files and folders by number, in about 50 bytes each: files in the order in which they came, then folders. */
export class WrittenNodes {
  readonly #cids = new CidList();
  /** Bytes of each with all that is below it, as links tell them. */
  readonly #sizes: number[] = [];

  constructor(private readonly incoming: Pick<Incoming, "put">) {}

  /** @returns its number */
  note(code: number, digest: Uint8Array, size: number): number {
    this.#cids.put(code, digest);
    return this.#sizes.push(size) - 1;
  }

  cid(number: number): CID {
    return this.#cids.at(number);
  }

  size(number: number): number {
    return this.#sizes[number]!;
  }

  /** Writes a block whose links have so many bytes below them. @returns its number */
  async write(bytes: Uint8Array, below: number): Promise<number> {
    const digest = createHash("sha256").update(bytes).digest();
    await this.incoming.put(digest.toString("hex"), bytes);
    return this.note(DAG_PB, digest, below + bytes.length);
  }
}

/**
 * Writes the blocks of a folder and those below it, as Kubo does: in one block as long as names and CIDs have less than 256 KiB
 * together, else spread over blocks by the hashes of names (HAMT). The importer's own takes 4.5 KB of memory for each entry, leaves folders of folders in one
 * block however large that is, and takes a slash behind a backslash for a part of the name.
 * @param hash of names; default: the first half of murmur3-x64-128, as everywhere
 * @returns the root
 * @throws GatewayError `INVALID_REQUEST` for names that no hash tells apart; the signal's reason
 */
export async function writeDirectory(
  folder: Folder,
  written: WrittenNodes,
  signal: AbortSignal,
  hash: NameHash = murmur364.encode,
): Promise<CID> {
  return written.cid(await new Writer(written, signal, hash).folder(folder));
}

/** Eight bytes that tell where a name stands. */
type NameHash = (name: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** What is in one folder. */
interface Entries {
  readonly names: readonly string[];
  /** Of each, its number among what was written. */
  readonly nodes: readonly number[];
}

class Writer {
  #looks = 0;

  constructor(
    private readonly written: WrittenNodes,
    private readonly signal: AbortSignal,
    private readonly hash: NameHash,
  ) {}

  async folder(folder: Folder): Promise<number> {
    const names: string[] = [], nodes: number[] = [];
    let bytes = 0;
    for (const [name, entry] of folder) {
      await this.#look();
      names.push(name);
      nodes.push(typeof entry === "number" ? entry : await this.folder(entry));
      bytes += utf8.encode(name).length + CID_LENGTH;
    }
    const entries = { names, nodes };
    return bytes >= SPREAD_FROM ? await this.#spread(entries) : await this.#whole(entries);
  }

  async #whole({ names, nodes }: Entries): Promise<number> {
    const links = names.map((name, i) => ({ name: utf8.encode(name), node: nodes[i]! }));
    links.sort((a, b) => compare(a.name, b.name));
    const message = new Message();
    let below = 0;
    for (const { name, node } of links) below += this.#link(message, name, node);
    return await this.written.write(message.node(DIRECTORY), below);
  }

  async #spread({ names, nodes }: Entries): Promise<number> {
    const hashes = new Uint8Array(names.length * HASH_LENGTH);
    for (let i = 0; i < names.length; i++) {
      await this.#look();
      hashes.set(await this.hash(utf8.encode(names[i]!)), i * HASH_LENGTH);
    }
    const all = Uint32Array.from(names, (_, i) => i);
    return await this.#shard({ names, nodes }, hashes, all, 0);
  }

  /** @param which of the entries stand below this place */
  async #shard(entries: Entries, hashes: Uint8Array, which: Uint32Array, depth: number): Promise<number> {
    if (depth === HASH_LENGTH) throw notToldApart(entries.names[which[0]!]!, entries.names[which[1]!]!);
    const placeOf = (i: number) => hashes[i * HASH_LENGTH + depth]!;
    const ends = new Uint32Array(FANOUT);
    for (const i of which) ends[placeOf(i)]!++;
    for (let place = 1; place < FANOUT; place++) ends[place]! += ends[place - 1]!;
    const sorted = new Uint32Array(which.length), next = ends.slice();
    for (const i of which) sorted[--next[placeOf(i)]!] = i;
    const message = new Message(), places = new Uint8Array(FANOUT / 8);
    let below = 0;
    for (let place = 0; place < FANOUT; place++) {
      const here = sorted.subarray(next[place]!, ends[place]!);
      if (here.length === 0) continue;
      places[places.length - 1 - (place >> 3)]! |= 1 << (place & 7);
      const label = place.toString(16).toUpperCase().padStart(2, "0");
      if (here.length === 1) {
        const [i] = here as unknown as [number];
        below += this.#link(message, utf8.encode(label + entries.names[i]!), entries.nodes[i]!);
      } else {
        const node = await this.#shard(entries, hashes, here, depth + 1);
        below += this.#link(message, utf8.encode(label), node);
      }
      await this.#look();
    }
    const used = places.subarray(places.findIndex((byte) => byte !== 0));
    const unixfs = [...SHARD_TYPE, 18, used.length, ...used, ...SHARD_REST];
    return await this.written.write(message.node(unixfs), below);
  }

  /** @returns what is below the link */
  #link(message: Message, name: Uint8Array, node: number): number {
    const size = this.written.size(node);
    message.link(this.written.cid(node).bytes, name, size);
    return size;
  }

  async #look(): Promise<void> {
    if (++this.#looks % SLICE !== 0) return;
    await turn();
    this.signal.throwIfAborted();
  }
}

const utf8 = new TextEncoder();

/** The order of dag-pb. */
function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function notToldApart(a: string, b: string): GatewayError {
  const problem = `\`${a}\` and \`${b}\` cannot be in one large directory: their hashes are the same; rename one`;
  return new GatewayError("INVALID_REQUEST", `path: ${problem}`, { details: [{ field: "path", problem }] });
}
