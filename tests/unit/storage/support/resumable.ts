import { createHash } from "node:crypto";
import { open, seal } from "../../../../services/auth/crypto/seal.ts";
import type { StagedContentParts } from "../../../../services/storage/resumable/staged_content.ts";
import { StagedUploads, type StagedUploadsOptions } from "../../../../services/storage/resumable/service.ts";
import { type StagingDisk, SYSTEM_STAGING } from "../../../../services/storage/resumable/staging_files.ts";
import type { Principal } from "../../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../../src/contracts/request.ts";
import type { NewUpload, UploadPart } from "../../../../src/contracts/resumable_uploads.ts";
import type { StorageRules } from "../../../../src/contracts/settings.ts";
import type { StoredObject, UploadOptions } from "../../../../src/contracts/storage.ts";
import { principal } from "../../auth/support/node.ts";
import { Chance } from "../../control_plane/support/chance.ts";
import { HOUR, TestClock } from "../../control_plane/support/clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";

export const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
export const someBytes = (n: number, seed = 1): Uint8Array<ArrayBuffer> => new Chance(seed).bytes(n).slice();

/** Content in pieces. */
export async function* pieces(...all: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of all) yield await Promise.resolve(typeof piece === "string" ? bytesOf(piece) : piece);
}

/** Content that comes when the test says so. */
export class Tap implements AsyncIterable<Uint8Array> {
  readonly #waiting: PromiseWithResolvers<IteratorResult<Uint8Array>>[] = [];
  #at = 0;

  /** Gives a piece. */
  give(text: string): void {
    this.#slot(this.#at++).resolve({ done: false, value: bytesOf(text) });
  }

  end(): void {
    this.#slot(this.#at++).resolve({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    this.#slot(this.#at++).reject(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    let next = 0;
    return { next: () => this.#slot(next++).promise };
  }

  #slot(at: number): PromiseWithResolvers<IteratorResult<Uint8Array>> {
    const slot = this.#waiting[at] ??= Promise.withResolvers();
    // It may fail before anybody looks.
    slot.promise.catch(() => {});
    return slot;
  }
}

/** A disk of this machine on which things go wrong when a test says so. */
export class FrailDisk implements StagingDisk {
  /** Bytes that can still be written. */
  room = Infinity;
  syncFails = false;
  syncs = 0;
  /** What is free, as the system tells it. */
  free = 10 * 2 ** 30;
  readonly replace: StagingDisk["replace"] = (...args) => {
    if (this.room <= 0) throw full();
    return SYSTEM_STAGING.replace(...args);
  };
  readonly read = SYSTEM_STAGING.read;
  readonly size = SYSTEM_STAGING.size;
  readonly remove = SYSTEM_STAGING.remove;
  readonly names = SYSTEM_STAGING.names;

  async open(path: string) {
    const file = await SYSTEM_STAGING.open(path);
    return {
      ...file,
      write: async (at: number, bytes: Uint8Array) => {
        const fit = Math.min(bytes.length, this.room);
        this.room -= fit;
        await file.write(at, bytes.subarray(0, fit));
        if (fit < bytes.length) throw full();
      },
      sync: async () => {
        this.syncs++;
        if (this.syncFails) throw Object.assign(new Error("input/output error"), { code: "EIO" });
        await file.sync();
      },
    };
  }

  space(): Promise<{ free: number; total: number }> {
    return Promise.resolve({ free: this.free, total: 100 * 2 ** 30 });
  }
}

const full = () => Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

/** What the content of one upload is kept with. */
export const contentParts = (path: string, parts: Partial<StagedContentParts> = {}): StagedContentParts => ({
  path,
  key: someBytes(32, 7),
  disk: SYSTEM_STAGING,
  random: new Chance(Math.random() * 2 ** 32).bytes,
  monotonic: () => 0,
  ...parts,
});

/** A stand-in for the storage: equal bytes with equal salt are one object. */
export class Depot {
  /** What is thrown in place of storing. */
  failure: Error | undefined;
  /** Storing waits for it. */
  gate: Promise<void> = Promise.resolve();
  /** How often it was asked to store something. */
  asked = 0;
  /** Uploads that were stored, in order. */
  readonly stored: { readonly namespace: string; readonly bytes: Uint8Array; readonly options: UploadOptions }[] = [];
  readonly objects = new Map<string, number>();
  used = { bytes: 0, objects: 0 };

  readonly upload = async (
    { namespace }: Principal,
    content: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    { signal }: RequestContext,
  ): Promise<StoredObject> => {
    this.asked++;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason));
    await Promise.race([this.gate, aborted]);
    if (this.failure !== undefined) throw this.failure;
    const bytes = new Uint8Array(await new Response(ReadableStream.from(content)).arrayBuffer());
    this.stored.push({ namespace, bytes, options });
    const salt = options.encrypt ? options.salt! : new Uint8Array();
    const cid = `b${createHash("sha256").update(bytes).update(salt).digest("hex")}`;
    this.objects.set(cid, bytes.length);
    return { cid, name: options.name ?? cid, size: bytes.length } as StoredObject;
  };
  readonly usage = () => Promise.resolve(this.used);
}

export const RULES: StorageRules = {
  maxObjectBytes: 10_000_000,
  maxBytes: 20_000_000,
  maxObjects: 5,
  maxUploads: 5,
  maxEntries: 5,
  encrypt: false,
};

export const LIFE = 24 * HOUR;

/** The service on a folder of its own, and what is around it. */
export class Bench implements AsyncDisposable {
  readonly clock = new TestClock();
  readonly disk = new FrailDisk();
  readonly depot = new Depot();
  readonly errors: string[] = [];
  rules: StorageRules = RULES;
  time = 0;
  uploads: StagedUploads;

  private constructor(readonly folder: string, private readonly options: Partial<StagedUploadsOptions>) {
    this.uploads = this.on(folder);
  }

  static async open(options: Partial<StagedUploadsOptions> = {}): Promise<Bench> {
    return new Bench(await Deno.makeTempDir({ prefix: "staged-" }), options);
  }

  /** Another gateway on a folder, with the same root key. */
  on(folder: string): StagedUploads {
    const key = someBytes(32, 9);
    const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));
    return new StagedUploads({
      folder,
      storage: this.depot,
      rulesOf: () => this.rules,
      sealing: {
        seal: (text, context) => seal(key, text, context, random),
        open: (text, context) => open(key, text, context),
      },
      disk: this.disk,
      random,
      now: this.clock.now,
      monotonic: () => this.time,
      life: LIFE,
      unfinished: 4,
      maxBytes: RULES.maxObjectBytes,
      silence: 5_000,
      patience: 60_000,
      onError: (what) => this.errors.push(what),
      ...this.options,
    });
  }

  /** What a gateway finds that was killed now: a copy of the folder, with whatever is in it. */
  async afterKill(): Promise<StagedUploads> {
    const folder = await Deno.makeTempDir({ dir: this.folder });
    for await (const { name, isFile } of Deno.readDir(this.folder)) {
      if (isFile && name !== "gateway.lock") await Deno.copyFile(`${this.folder}/${name}`, `${folder}/${name}`);
    }
    return this.#others[this.#others.push(this.on(folder)) - 1]!;
  }
  readonly #others: StagedUploads[] = [];

  async files(): Promise<string[]> {
    const names = [...Deno.readDirSync(this.folder)].filter(({ isFile }) => isFile).map(({ name }) => name);
    return await Promise.resolve(names.filter((name) => name !== "gateway.lock").sort());
  }

  create(wanted: Partial<NewUpload> = {}, who = SHOP): Promise<string> {
    return this.uploads.create(who, { length: 11, metadata: "", options: {}, ...wanted }, CONTEXT).then(({ id }) => id);
  }

  append(id: string, offset: number, content: string | AsyncIterable<Uint8Array>, more: Partial<UploadPart> = {}) {
    const source = typeof content === "string" ? pieces(content) : content;
    return this.uploads.append(SHOP, id, { offset, content: source, ...more }, CONTEXT);
  }

  look(id: string, who = SHOP) {
    return this.uploads.look(who, id, CONTEXT);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.uploads, ...this.#others]) await one.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

export const SHOP = principal({});
export const OTHER = principal({ namespace: "other" });
