import { isNearlyFull } from "../../disk/space.ts";
import { type Disk, diskFull, type WrittenFile } from "./disk.ts";
import type { BlockFiles, BlockName } from "./block_files.ts";
import type { Clock } from "../../clock/clock.ts";
import { eachOf } from "./sources.ts";
import type { Add, Underway } from "./underway.ts";

/** What all adds share. */
export interface IncomingParts {
  readonly disk: Disk;
  readonly files: BlockFiles;
  readonly underway: Underway;
  readonly clock: Clock;
  readonly room: Room;
  readonly syncs: Syncs;
  /** A folder that is nobody else's. */
  readonly folder: string;
}

/** Names of blocks that an add has put last; content often repeats itself. */
const RECENT = 1_024;
/** Blocks that are moved at once. */
const MOVES = 8;
/** Bytes that an add writes between two looks at the disk's space. */
const LOOK = 32 * 2 ** 20;

/**
 * Blocks of one add, in a folder of their own until the add is whole. So one that fails, or is given up, leaves nothing: neither
 * blocks that somebody might find nor bytes on the disk.
 */
export class Incoming {
  readonly #parts: IncomingParts;
  readonly #add: Add;
  readonly #recent = new Set<BlockName>();
  readonly #shards = new Set<string>();
  #made: Promise<boolean> | undefined;
  #running = 0;
  #idle: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #unlooked = Infinity;

  constructor(parts: IncomingParts) {
    this.#parts = parts;
    this.#add = parts.underway.begin();
  }

  /**
   * Takes a block. Comes back when another may come; the block may not be written yet.
   * @param over told when its bytes are not read any more
   * @throws what became of a block before
   */
  async put(name: BlockName, bytes: Uint8Array, over: () => void = () => {}): Promise<void> {
    this.#assertWell();
    if (this.#recent.has(name)) return over();
    if (this.#recent.size >= RECENT) this.#recent.clear();
    this.#recent.add(name);
    const leave = await this.#parts.room.enter(bytes.length);
    this.#running++;
    this.#store(name, bytes, over)
      .catch((error) => void (this.#failure ??= { error }))
      .finally(() => {
        leave();
        if (--this.#running === 0) this.#idle?.();
      });
  }

  /** Resolves once the disk holds all that were taken. @throws what became of one */
  async settle(): Promise<void> {
    await this.#settled();
    this.#assertWell();
  }

  /**
   * Moves the blocks to all others, and ends the add: when it comes back, the disk holds them there.
   * @param names those to be moved; default all
   */
  async adopt(names?: Iterable<BlockName>): Promise<void> {
    const { disk, files, underway, folder } = this.#parts;
    await this.settle();
    let moved: number;
    do {
      moved = 0;
      await eachOf(names ?? disk.names(folder), MOVES, async (name) => {
        const size = (await disk.facts(this.#path(name)))?.size;
        if (size === undefined) return;
        this.#shards.add(await files.adopt(this.#path(name), name, size));
        moved++;
      });
      // A folder that shrinks while it is read may be told in part.
    } while (names === undefined && moved > 0);
    await files.sync(this.#shards);
    underway.end(this.#add, true);
    await disk.removeFolder(folder).catch(() => {});
  }

  /** Gives the add up, with all that was written. Nothing where it was adopted. Throws nothing: the next start removes it. */
  async discard(): Promise<void> {
    this.#failure ??= { error: new Error("the add was given up") };
    await this.#settled();
    this.#parts.underway.end(this.#add, false);
    await this.#parts.disk.removeFolder(this.#parts.folder).catch(() => {});
  }

  async #store(name: BlockName, bytes: Uint8Array, over: () => void): Promise<void> {
    const { disk, files, underway, clock, syncs, folder } = this.#parts;
    let written: WrittenFile;
    try {
      underway.note(this.#add);
      const unsynced = (shard: string) => void this.#shards.add(shard);
      if (await files.found(name, bytes, { begun: this.#add.begun, now: clock.now(), unsynced })) return;
      await (this.#made ??= disk.makeFolder(folder));
      await this.#look(bytes.length);
      written = await disk.write(this.#path(name), bytes, clock.now());
    } finally {
      over();
    }
    if (this.#failure) return written.close();
    await syncs.sync(written);
  }

  /** Before the disk is full for everybody who shares it: databases fare worse without space than uploads. */
  async #look(bytes: number): Promise<void> {
    this.#unlooked += bytes;
    if (this.#unlooked < LOOK) return;
    this.#unlooked = 0;
    if (isNearlyFull(await this.#parts.disk.space(this.#parts.folder))) throw diskFull();
  }

  async #settled(): Promise<void> {
    if (this.#running === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    await promise;
  }

  #assertWell(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #path(name: BlockName): string {
    return `${this.#parts.folder}/${name}`;
  }
}

/** The least that a block counts, so that there are never too many files open: bytes. */
const LEAST = 64 * 2 ** 10;

/** Bounds how many bytes wait to be written, for all adds together. Whoever comes first is let in first. */
export class Room {
  #free: number;
  readonly #waiting: { readonly cost: number; readonly enter: () => void }[] = [];

  /** @param bytes at least as many as the largest block has */
  constructor(private readonly bytes: number) {
    this.#free = bytes;
  }

  /** Waits until there is room. @returns what gives it back, once */
  async enter(bytes: number): Promise<() => void> {
    const cost = Math.min(this.bytes, Math.max(LEAST, bytes));
    if (this.#waiting.length > 0 || this.#free < cost) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push({ cost, enter: resolve });
      await promise;
    } else this.#free -= cost;
    return () => this.#leave(cost);
  }

  #leave(cost: number): void {
    this.#free += cost;
    for (let first; (first = this.#waiting[0]) !== undefined && first.cost <= this.#free;) {
      this.#free -= first.cost;
      this.#waiting.shift();
      first.enter();
    }
  }
}

/** Files that are synced at once. */
const SYNCS = 16;

interface Unsynced {
  readonly file: WrittenFile;
  readonly done: (failure?: { readonly error: unknown }) => void;
}

/** Syncs files in rounds: those written while a round is under way go together in the next one, without any timer. */
export class Syncs {
  #next: Unsynced[] = [];
  #running = false;

  /** Resolves once the disk holds the file; it is closed then. */
  async sync(file: WrittenFile): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#next.push({ file, done: (failure) => failure ? reject(failure.error) : resolve() });
    if (!this.#running) void this.#run();
    await promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let round; (round = this.#next).length > 0;) {
      this.#next = [];
      await eachOf(round, SYNCS, async ({ file, done }) => {
        await file.sync().then(() => done(), (error) => done({ error }));
      });
    }
    this.#running = false;
  }
}
