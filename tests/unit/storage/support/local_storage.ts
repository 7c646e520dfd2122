import { equal } from "node:assert/strict";
import type { Clock } from "../../../../services/clock/clock.ts";
import { type Disk, SYSTEM_DISK } from "../../../../services/storage/local/disk.ts";
import { LocalDriver, type LocalDriverOptions } from "../../../../services/storage/local/driver.ts";
import { ContentSubject } from "../../../support/test_content.ts";

/** What is done with files, as a test may interfere with it. */
export type DiskStep = Exclude<keyof Disk, "names"> | "sync";

/** This machine's disk, which can be told to wait, or to fail, before it does something. */
export class HurtDisk implements Disk {
  /** Called before each step. What it throws is what the disk says. */
  before: (step: DiskStep, path: string) => void | Promise<void> = () => {};
  /** How often each was asked. */
  readonly steps = new Map<DiskStep, number>();

  readonly makeFolder = (path: string) => this.#do("makeFolder", path, () => SYSTEM_DISK.makeFolder(path));
  readonly read = (path: string) => this.#do("read", path, () => SYSTEM_DISK.read(path));
  readonly facts = (path: string) => this.#do("facts", path, () => SYSTEM_DISK.facts(path));
  readonly touch = (path: string, at: number) => this.#do("touch", path, () => SYSTEM_DISK.touch(path, at));
  readonly rename = (from: string, to: string) => this.#do("rename", to, () => SYSTEM_DISK.rename(from, to));
  readonly remove = (path: string) => this.#do("remove", path, () => SYSTEM_DISK.remove(path));
  readonly removeFolder = (path: string) => this.#do("removeFolder", path, () => SYSTEM_DISK.removeFolder(path));
  readonly syncFolder = (path: string) => this.#do("syncFolder", path, () => SYSTEM_DISK.syncFolder(path));
  readonly space = (path: string) => this.#do("space", path, () => SYSTEM_DISK.space(path));
  readonly names = (path: string) => SYSTEM_DISK.names(path);

  write(path: string, bytes: Uint8Array, at: number) {
    return this.#do("write", path, async () => {
      const file = await SYSTEM_DISK.write(path, bytes, at);
      return {
        sync: async () => {
          try {
            await this.#note("sync", path);
          } catch (error) {
            file.close();
            throw error;
          }
          await file.sync();
        },
        close: () => file.close(),
      };
    });
  }

  async #do<T>(step: DiskStep, path: string, work: () => Promise<T>): Promise<T> {
    await this.#note(step, path);
    return await work();
  }

  async #note(step: DiskStep, path: string): Promise<void> {
    this.steps.set(step, (this.steps.get(step) ?? 0) + 1);
    await this.before(step, path);
  }
}

/** What the system says of a disk. */
export const failure = (code: string): Error => Object.assign(new Error(`${code}: /a/path/of/this/machine`), { code });

/** A clock that stands until it is told to go on. It begins now, as files tell the time of this machine. */
export class StandingClock implements Clock {
  #now = Date.now();
  #monotonic = 1_000_000;
  readonly timers = new Set<{ readonly ms: number; readonly run: () => void }>();

  now = () => this.#now;
  monotonic = () => this.#monotonic;

  after(ms: number, run: () => void): () => void {
    const timer = { ms, run };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  pass(ms: number): void {
    this.#now += ms;
    this.#monotonic += ms;
  }

  /** The time of day changes, and no time passes. */
  jump(ms: number): void {
    this.#now += ms;
  }
}

/** Local storage in a folder that goes with it. */
export class TestStorage extends ContentSubject implements AsyncDisposable {
  /** What is claimed. */
  readonly roots = new Set<string>();
  readonly disk = new HurtDisk();
  readonly clock = new StandingClock();
  readonly damage: string[] = [];

  private constructor(readonly folder: string, readonly local: LocalDriver, parts: Partial<TestStorage>) {
    super(local);
    Object.assign(this, parts);
  }

  /** @param folder one that is there already; default: a new one */
  static async open(options?: Partial<LocalDriverOptions>, folder?: string): Promise<TestStorage> {
    const own = folder ?? await Deno.makeTempDir({ prefix: "storage-" });
    const roots = new Set<string>(), disk = new HurtDisk(), clock = new StandingClock(), damage: string[] = [];
    const local = new LocalDriver({
      folder: own,
      roots: async function* () {
        for (const root of [...roots]) {
          await Promise.resolve();
          yield root;
        }
      },
      disk,
      clock,
      onDamage: (cid) => void damage.push(cid),
      ...options,
    });
    return new TestStorage(own, local, { roots, disk, clock, damage });
  }

  collect(signal = new AbortController().signal) {
    return this.local.collect(signal);
  }

  /** Has so much time passed that nothing is young any more. */
  age(ms = 2 * 60 * 60 * 1_000): void {
    this.clock.pass(ms);
  }

  /** The files of blocks. */
  async blocks(): Promise<string[]> {
    return await filesIn(`${this.folder}/blocks`);
  }

  /** What adds have left behind. */
  async leftBehind(): Promise<string[]> {
    return await filesIn(`${this.folder}/incoming`);
  }

  /** The file of a block. */
  async fileOf(cid: string): Promise<string> {
    const { CID } = await import("multiformats/cid");
    const name = CID.parse(cid).multihash.digest.toHex();
    return `${this.folder}/blocks/${name.slice(0, 2)}/${name}`;
  }

  /** Content that is there as it was. */
  async assertWhole(cid: string, content: Uint8Array): Promise<void> {
    equal((await this.read(cid)).toHex() === content.toHex(), true, `${cid} is not as it was`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.local.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) files.push(...(await filesIn(`${folder}/${name}`)).map((file) => `${name}/${file}`));
    else files.push(name);
  }
  return files.toSorted();
}

/** Something that waits until it is let go, and tells when it waits. */
export function gate() {
  const reached = Promise.withResolvers<void>(), open = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => open.resolve(),
    async pass(): Promise<void> {
      reached.resolve();
      await open.promise;
    },
  };
}
