import type { CID } from "multiformats/cid";
import { keyOf, parseCid, RAW } from "../car/cids.ts";
import { CidList, Links } from "../car/links.ts";
import { type DagNode, decodeNode } from "../car/nodes.ts";
import type { BlockFiles } from "./block_files.ts";
import { DigestSet } from "../car/digest_set.ts";
import type { Underway } from "./underway.ts";

/** What a collection came to. */
export interface Collected {
  /** Roots from which content was marked. */
  readonly roots: number;
  /** Blocks that belong to them, each once. */
  readonly marked: number;
  /** Blocks that belong to none and are too young, or are used by an add. */
  readonly spared: number;
  /** Blocks that were removed, and their bytes. */
  readonly removed: number;
  readonly bytes: number;
  /**
   * Blocks with links that could not be read, at most 100. What is below them is not known, so while there are any, nothing is
   * removed at all.
   */
  readonly unreadable: readonly string[];
  /** Roots of which not even the first block is there, at most 100. They keep nothing from being removed. */
  readonly absent: readonly string[];
}

/** What the collector works on. */
export interface CollectorParts {
  readonly files: BlockFiles;
  readonly underway: Underway;
  /**
   * CIDs of all content that is to stay. One that is to stay all the while has to come; in whichever order, and some may come
   * twice.
   */
  readonly roots: () => AsyncIterable<string>;
}

/** Of each list in a report. */
const MOST_TOLD = 100;

/**
 * Removes blocks that belong to no root: marks what roots hold, then looks at every file. What is claimed, pinned or read while it
 * does so is protected: see DESIGN.md.
 */
export class Collector {
  #run: Run | undefined;
  #done: Promise<Collected> | undefined;

  constructor(private readonly parts: CollectorParts) {}

  /** One at a time: while one is under way, it is that one's end. @throws the signal's reason; what roots and the disk throw */
  collect(signal: AbortSignal): Promise<Collected> {
    return this.#done ??= this.#collect(signal).finally(() => this.#done = undefined);
  }

  /**
   * Has content stay that is to be kept from now on. When it comes back, a collection that is under way takes nothing of it any
   * more; what it took before is gone.
   */
  async protect(cid: CID): Promise<void> {
    await this.#run?.protect(cid);
  }

  async #collect(signal: AbortSignal): Promise<Collected> {
    const run = this.#run = new Run(this.parts, signal);
    try {
      return await run.all();
    } finally {
      this.#run = undefined;
      run.end();
    }
  }
}

interface Protected {
  readonly cid: CID;
  readonly done: () => void;
}

class Run {
  readonly #parts: CollectorParts;
  readonly #signal: AbortSignal;
  /** Every block that is to stay. */
  readonly #marked = new DigestSet();
  /** Blocks whose links were followed, by codec too: one file may be a block of each. */
  readonly #followed = new DigestSet();
  #late: Protected[] = [];
  readonly #unreadable: string[] = [];
  readonly #absent: string[] = [];

  constructor(parts: CollectorParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  protect(cid: CID): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#late.push({ cid, done: resolve });
    return promise;
  }

  /** Whoever still waits for its protection has nothing to fear any more. */
  end(): void {
    this.#parts.underway.collected();
    for (const { done } of this.#late.splice(0)) done();
  }

  async all(): Promise<Collected> {
    // Before the first root is asked for: whatever is claimed after that is younger.
    this.#parts.underway.collect();
    let roots = 0;
    for await (const root of this.#parts.roots()) {
      roots++;
      await this.#markRoot(root);
      await this.#markLate();
    }
    const swept = this.#unreadable.length > 0 ? { spared: 0, removed: 0, bytes: 0 } : await this.#sweep();
    return { roots, marked: this.#marked.size, ...swept, unreadable: this.#unreadable, absent: this.#absent };
  }

  async #sweep(): Promise<{ readonly spared: number; readonly removed: number; readonly bytes: number }> {
    const { files } = this.#parts;
    let spared = 0, removed = 0, bytes = 0;
    for await (const name of files.names()) {
      this.#signal.throwIfAborted();
      const digest = Uint8Array.fromHex(name);
      for (;;) {
        await this.#markLate();
        if (this.#unreadable.length > 0) return { spared, removed, bytes };
        if (this.#marked.has(digest)) break;
        const size = await files.remove(name, (modified) => this.#isSpared(modified));
        // It was spared because something else has to be marked first, which may be this very block's root.
        if (size === 0 && this.#late.length > 0) continue;
        if (size > 0) removed++;
        else spared++;
        bytes += size;
        break;
      }
    }
    return { spared, removed, bytes };
  }

  /** Asked in the very moment before a block goes. */
  #isSpared(modified: number): boolean {
    return this.#late.length > 0 || modified >= this.#parts.underway.floor;
  }

  async #markLate(): Promise<void> {
    while (this.#late.length > 0) {
      const { cid, done } = this.#late[0]!;
      await this.#mark(cid);
      this.#late.shift();
      done();
    }
  }

  async #markRoot(root: string): Promise<void> {
    let cid: CID;
    try {
      cid = parseCid(root);
    } catch {
      // What this driver does not take it does not have either.
      if (this.#absent.length < MOST_TOLD) this.#absent.push(root);
      return;
    }
    await this.#mark(cid);
  }

  async #mark(root: CID): Promise<void> {
    const left = new CidList();
    this.#marked.add(root.multihash.digest);
    if (root.code !== RAW && this.#followed.add(root.multihash.digest, root.code)) left.push(root);
    for (let cid, isRoot = true; (cid = left.pop()) !== undefined; isRoot = false) {
      this.#signal.throwIfAborted();
      const links = await this.#linksOf(cid, isRoot);
      for (let i = 0; i < links.length; i++) {
        const digest = links.digest(i), code = links.code(i);
        this.#marked.add(digest);
        if (code !== RAW && this.#followed.add(digest, code)) links.copyTo(left, i);
      }
    }
  }

  async #linksOf(cid: CID, isRoot: boolean): Promise<Links> {
    const bytes = await this.#parts.files.read(cid);
    const node = typeof bytes === "string" ? undefined : readable(cid, bytes);
    if (node !== undefined) return node.links;
    const list = bytes === "missing" && isRoot ? this.#absent : this.#unreadable;
    if (list.length < MOST_TOLD) list.push(keyOf(cid));
    return new Links(new Uint8Array(0));
  }
}

function readable(cid: CID, bytes: Uint8Array): DagNode | undefined {
  try {
    return decodeNode(cid, bytes);
  } catch {
    return undefined;
  }
}
