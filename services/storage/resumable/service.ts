import type { Usage } from "../../../src/contracts/health.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type {
  NewUpload,
  ResumableUpload,
  ResumableUploads,
  StagedFigures,
  UploadPart,
} from "../../../src/contracts/resumable_uploads.ts";
import type { StorageRules } from "../../../src/contracts/settings.ts";
import type { Storage } from "../../../src/contracts/storage.ts";
import { isNearlyFull } from "../../disk/space.ts";
import { DataFolderInUse, DataFolderLock } from "../../control_plane/data_folder_lock.ts";
import { checkedName, checkedType } from "../names.ts";
import { unknownUpload } from "./failures.ts";
import { Damaged, KEY } from "./frames.ts";
import { Records, type Sealing } from "./records.ts";
import { type Allowance, Reservations } from "./reservations.ts";
import { StagedUpload, type StagedUploadParts } from "./staged_upload.ts";
import { noRoom, type StagingDisk } from "./staging_files.ts";

/** What the service is told. */
export interface StagedUploadsOptions {
  /** Where bytes are kept until they are whole. Belongs to this gateway alone. */
  readonly folder: string;
  readonly storage: Pick<Storage, "upload" | "usage">;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => StorageRules | Promise<StorageRules>;
  readonly sealing: Sealing;
  readonly disk: StagingDisk;
  /** Cryptographically strong bytes. */
  readonly random: (n: number) => Uint8Array;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds that never run backwards. */
  readonly monotonic: () => number;
  /** Milliseconds that an upload is kept after the last that was heard of it. */
  readonly life: number;
  /** Unfinished uploads of one namespace. */
  readonly unfinished: number;
  /** Bytes of one upload, where nobody set another limit for the namespace. */
  readonly maxBytes: number;
  /** Milliseconds; see {@link StagedUploadParts}. Default 5 s each. */
  readonly silence?: number;
  readonly patience?: number;
  /** Told what could not be done in the background. @param what completes "could not be done: " */
  readonly onError: (what: string, error: unknown) => void;
}

/** Milliseconds between two looks for uploads whose time is over. */
const SWEEP = 60_000;
/** Milliseconds; see {@link StagedUploadParts}. */
const SILENCE = 5_000, PATIENCE = 5_000;
/** Finished uploads of one namespace of which is still known what became of them. */
const FINISHED = 1_000;
/** Files whose length is asked for at once. */
const AT_ONCE = 8;
/** Bytes of an id and of a salt. */
const ID = 16, SALT = 32;

/** Uploads in parts, staged on this gateway's disk. `DESIGN.md` says how they keep their promises. */
export class StagedUploads implements ResumableUploads {
  readonly maxBytes: number;
  readonly #records: Records;
  readonly #reservations: Reservations;
  readonly #uploads = new Map<string, StagedUpload>();
  readonly #parts: StagedUploadParts;
  readonly #closing = new AbortController();
  #opened: Promise<void> | undefined;
  #lock: DataFolderLock | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #expired = 0;

  constructor(private readonly options: StagedUploadsOptions) {
    this.maxBytes = options.maxBytes;
    this.#records = new Records(options);
    this.#reservations = new Reservations(options.unfinished);
    this.#parts = {
      ...options,
      records: this.#records,
      silence: options.silence ?? SILENCE,
      patience: options.patience ?? PATIENCE,
      closing: this.#closing.signal,
      allowanceOf: (namespace, context) => this.#allowanceOf(namespace, context),
      assertRoom: () => this.#assertRoom(0),
    };
  }

  /** Begins to remove uploads whose time is over, those of an earlier life of this gateway too. */
  start(): void {
    const look = () => void this.sweep().catch((error) => this.options.onError("removing expired uploads", error));
    look();
    this.#timer = setInterval(look, SWEEP);
    Deno.unrefTimer(this.#timer);
  }

  async create(principal: Principal, wanted: NewUpload, context: RequestContext): Promise<ResumableUpload> {
    const { random, now, life } = this.options;
    const { namespace } = principal;
    const { length, metadata, options } = wanted;
    checkedName(options.name);
    checkedType(options.type);
    await this.#ready();
    const allowance = await this.#allowanceOf(namespace, context);
    const reservation = this.#reservations.add(namespace, length ?? 0, allowance);
    try {
      await this.#assertRoom(length ?? 0);
      const record = {
        id: random(ID).toHex(),
        namespace,
        length,
        metadata,
        options: { ...options, encrypt: options.encrypt ?? allowance.rules.encrypt },
        key: random(KEY).toHex(),
        salt: random(SALT).toHex(),
        expiresAt: now() + life,
        object: undefined,
      };
      await this.#records.write(record);
      const upload = new StagedUpload(this.#parts, record, reservation);
      this.#uploads.set(record.id, upload);
      return { id: record.id, offset: 0, length, metadata, expiresAt: record.expiresAt, object: undefined };
    } catch (error) {
      reservation.release();
      throw error;
    }
  }

  async look(principal: Principal, id: string, context: RequestContext): Promise<ResumableUpload> {
    const upload = await this.#find(principal, id);
    return await this.#following(upload, upload.look(principal, context));
  }

  async append(
    principal: Principal,
    id: string,
    part: UploadPart,
    context: RequestContext,
  ): Promise<ResumableUpload> {
    const upload = await this.#find(principal, id);
    return await this.#following(upload, upload.append(principal, part, context));
  }

  async remove(principal: Principal, id: string): Promise<void> {
    await this.#forget(await this.#find(principal, id));
  }

  /** Removes uploads whose time is over. */
  async sweep(): Promise<void> {
    await this.#ready();
    for (const upload of [...this.#uploads.values()]) if (this.#isOver(upload)) await this.#expire(upload);
  }

  /** What is staged here, for metrics. @throws GatewayError `UNAVAILABLE` where the folder is not to be had */
  async figures(): Promise<StagedFigures> {
    await this.#ready();
    const unfinished = [...this.#uploads.values()].filter(({ record }) => record.object === undefined);
    const left = unfinished.values();
    let bytes = 0;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const { record } of left) {
        const more = await this.options.disk.size(this.#records.bytesOf(record.id));
        bytes += more;
      }
    }));
    return { unfinished: unfinished.length, bytes, expired: this.#expired };
  }

  /** Removes what is staged here for a namespace; other gateways hear of its end for themselves. */
  async purge(namespace: string): Promise<void> {
    try {
      await this.#ready();
    } catch (error) {
      // Whatever is wrong with the folder: a namespace can go all the same. What is there goes when its time is over.
      return this.options.onError("removing the uploads of a namespace", error);
    }
    for (const upload of [...this.#uploads.values()]) {
      if (upload.record.namespace === namespace) await this.#forget(upload);
    }
  }

  usage(namespace: string): Promise<Usage> {
    const { uploads, bytes } = this.#reservations.of(namespace);
    return Promise.resolve({ unfinished_uploads: uploads, reserved_bytes: bytes });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort(new GatewayError("UNAVAILABLE", "the gateway is shutting down"));
    await this.#opened?.catch(() => {});
    for (const upload of this.#uploads.values()) await upload.settled();
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }

  async #find({ namespace }: Principal, id: string): Promise<StagedUpload> {
    if (!/^[0-9a-f]{32}$/.test(id)) throw unknownUpload(id.slice(0, 2 * ID));
    await this.#ready();
    const upload = this.#uploads.get(id);
    if (upload === undefined || upload.record.namespace !== namespace) throw unknownUpload(id);
    if (!this.#isOver(upload)) return upload;
    await this.#expire(upload);
    throw unknownUpload(id);
  }

  /** One whose bytes turned out to be damaged is given up; of those that are stored, the oldest make room. */
  async #following(upload: StagedUpload, work: Promise<ResumableUpload>): Promise<ResumableUpload> {
    try {
      const seen = await work;
      if (seen.object !== undefined) await this.#forgetOldest(upload.record.namespace);
      return seen;
    } catch (error) {
      if (error instanceof GatewayError && error.extra.cause instanceof Damaged) await this.#forget(upload);
      throw error;
    }
  }

  async #forgetOldest(namespace: string): Promise<void> {
    if (this.#uploads.size <= FINISHED) return;
    const finished = [...this.#uploads.values()].filter(({ record }) =>
      record.namespace === namespace && record.object !== undefined
    );
    for (const upload of finished.slice(0, -FINISHED)) await this.#forget(upload);
  }

  async #expire(upload: StagedUpload): Promise<void> {
    // What was stored is only not told any more.
    if (upload.record.object === undefined && this.#uploads.has(upload.record.id)) this.#expired++;
    await this.#forget(upload);
  }

  async #forget(upload: StagedUpload): Promise<void> {
    this.#uploads.delete(upload.record.id);
    await upload.remove();
  }

  #isOver({ record, inUse }: StagedUpload): boolean {
    return record.expiresAt <= this.options.now() && !inUse;
  }

  async #allowanceOf(namespace: string, context: { readonly signal: AbortSignal }): Promise<Allowance> {
    const { rulesOf, storage } = this.options;
    const rules = await rulesOf(namespace, context);
    const { bytes = 0, objects = 0 } = await storage.usage(namespace, context.signal);
    return { rules, bytes, objects };
  }

  /** @param more bytes that are about to come @throws GatewayError `NO_CAPACITY` */
  async #assertRoom(more: number): Promise<void> {
    if (isNearlyFull(await this.options.disk.space(this.options.folder), more)) throw noRoom();
  }

  async #ready(): Promise<void> {
    this.#closing.signal.throwIfAborted();
    await (this.#opened ??= this.#open().catch((error) => {
      this.#opened = undefined;
      throw error;
    }));
  }

  async #open(): Promise<void> {
    const { folder, disk, now, onError } = this.options;
    try {
      this.#lock ??= await DataFolderLock.take(folder);
    } catch (cause) {
      const sentence = cause instanceof DataFolderInUse
        ? "the folder of uploads belongs to another gateway; give this one a folder of its own (storage.uploads.folder)"
        : "the folder of uploads cannot be opened";
      throw new GatewayError("UNAVAILABLE", sentence, { cause, retryAfter: 60 });
    }
    const records = await this.#records.readAll(now(), (id, error) => onError(`reading the upload ${id}`, error));
    for (const record of records.toSorted((a, b) => a.expiresAt - b.expiresAt)) {
      const come = record.length ?? await disk.size(this.#records.bytesOf(record.id));
      const reservation = this.#reservations.add(record.namespace, come);
      if (record.object !== undefined) reservation.release();
      this.#uploads.set(record.id, new StagedUpload(this.#parts, record, reservation));
    }
  }
}
