import { type ErrorCode, hasCode } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { ResumableUpload, UploadPart } from "../../../src/contracts/resumable_uploads.ts";
import type { Storage } from "../../../src/contracts/storage.ts";
import { abortable } from "../../clock/abortable.ts";
import { invalid } from "../failures.ts";
import { busy, offsetConflict, storedLater, tooMuch, unknownUpload } from "./failures.ts";
import { Damaged } from "./frames.ts";
import { assertEmpty, type Coming, receive } from "./receiving.ts";
import type { Records, UploadRecord } from "./records.ts";
import type { Allowance, Reservation } from "./reservations.ts";
import { StagedContent } from "./staged_content.ts";
import type { StagingDisk } from "./staging_files.ts";

/** What all uploads share. */
export interface StagedUploadParts {
  readonly storage: Pick<Storage, "upload">;
  readonly records: Records;
  readonly disk: StagingDisk;
  readonly random: (n: number) => Uint8Array;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds that never run backwards. */
  readonly monotonic: () => number;
  /** Milliseconds that an upload is kept after the last that was heard of it. */
  readonly life: number;
  /** Milliseconds without a byte after which a part gives way to a newer one. */
  readonly silence: number;
  /** Milliseconds for which whoever asks how far an upload is waits until it is stored. */
  readonly patience: number;
  /** Fires when the gateway stops. */
  readonly closing: AbortSignal;
  /** What the namespace may still have. */
  readonly allowanceOf: (namespace: string, context: { readonly signal: AbortSignal }) => Promise<Allowance>;
  /** @throws GatewayError `NO_CAPACITY` where the disk is nearly full */
  readonly assertRoom: () => Promise<void>;
  readonly onError: (what: string, error: unknown) => void;
}

/** What passes by itself, so that storing is worth another try. */
const PASSING: readonly ErrorCode[] = ["UNAVAILABLE", "NO_CAPACITY", "TOO_MANY_UPLOADS", "OUTCOME_UNKNOWN"];

/** One upload: what came of it, who sends it, and its end. */
export class StagedUpload {
  #record: UploadRecord;
  #content: Promise<StagedContent> | undefined;
  #coming: Coming | undefined;
  #storing: Promise<void> | undefined;
  readonly #removed = new AbortController();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly parts: StagedUploadParts,
    record: UploadRecord,
    private readonly reservation: Reservation,
  ) {
    this.#record = record;
  }

  /** What is known of it beside its bytes. */
  get record(): UploadRecord {
    return this.#record;
  }

  /** Whether somebody sends it, or it is being stored. */
  get inUse(): boolean {
    return this.#coming !== undefined || this.#storing !== undefined;
  }

  /** As `ResumableUploads.look`. */
  async look(principal: Principal, context: RequestContext): Promise<ResumableUpload> {
    if (this.#record.object === undefined) {
      const content = await this.#found();
      // What the disk says to this the part says that is coming.
      if (this.#coming !== undefined) await content.settle().catch(() => {});
      else if (content.offset === this.#record.length) await this.#awaitStored(principal, context);
    }
    return await this.#view();
  }

  /** As `ResumableUploads.append`. */
  async append(principal: Principal, part: UploadPart, context: RequestContext): Promise<ResumableUpload> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const coming = await this.#enter(ended);
    try {
      await this.#receive(part, coming, context);
    } finally {
      this.#coming = undefined;
      end();
    }
    if (this.#record.object === undefined && (await this.#found()).offset === this.#record.length) {
      await abortable(this.#store(principal, context), context.signal).catch((error) => {
        throw hasCode(error, "TOO_MANY_UPLOADS") ? storedLater(this.#record.length!, error) : error;
      });
    }
    return await this.#view();
  }

  /** Ends whatever is going on with it, and forgets it. */
  async remove(): Promise<void> {
    this.#removed.abort(unknownUpload(this.#record.id));
    this.#coming?.stop.abort(this.#removed.signal.reason);
    await this.#coming?.ended;
    await this.settled();
    await this.#writing;
    this.reservation.release();
    await this.parts.records.remove(this.#record.id);
  }

  /** Resolves when it is not being stored any more. */
  async settled(): Promise<void> {
    await this.#storing?.catch(() => {});
  }

  async #view(): Promise<ResumableUpload> {
    const { id, length, metadata, expiresAt, object } = this.#record;
    const offset = object !== undefined ? length! : (await this.#found()).offset;
    return { id, offset, length, metadata, expiresAt, object };
  }

  /** Looks through the file when it is first asked for: there may be many of them, and large. */
  #found(): Promise<StagedContent> {
    const { records, disk, random, monotonic } = this.parts;
    const { id, key } = this.#record;
    return this.#content ??= StagedContent.find({
      path: records.bytesOf(id),
      key: Uint8Array.fromHex(key),
      disk,
      random,
      monotonic,
    }).catch((error) => {
      this.#content = undefined;
      throw error;
    });
  }

  /** @throws GatewayError `UPLOAD_LOCKED` while another part is coming, and not silent for long */
  async #enter(ended: Promise<void>): Promise<Coming> {
    const { monotonic, silence } = this.parts;
    for (;;) {
      if (this.#removed.signal.aborted) throw unknownUpload(this.#record.id);
      const other = this.#coming;
      if (other === undefined) return this.#coming = { stop: new AbortController(), ended, heard: monotonic() };
      const left = other.heard + silence - monotonic();
      if (left > 0) throw busy("another request is sending this upload", left / 1_000);
      other.stop.abort(busy("a newer request goes on with this upload", 1));
      await other.ended;
    }
  }

  async #receive(part: UploadPart, coming: Coming, context: RequestContext): Promise<void> {
    const content = this.#record.object === undefined ? await this.#found() : undefined;
    const offset = content?.offset ?? this.#record.length!;
    if (part.offset !== offset) throw offsetConflict(part.offset, offset);
    const isOpen = this.#record.length === undefined;
    const allowance = isOpen ? await this.parts.allowanceOf(this.#record.namespace, context) : undefined;
    if (part.length !== undefined) await this.#setLength(part.length, offset, allowance);
    const { length = Infinity } = this.#record;
    if (part.size !== undefined && offset + part.size > length) throw tooMuch(length);
    if (content === undefined || offset === length) return await assertEmpty(part.content, length);
    await this.parts.assertRoom();
    try {
      await receive(content, part, {
        coming,
        length,
        monotonic: this.parts.monotonic,
        assertRoom: this.parts.assertRoom,
        onTaken: (taken) => allowance && this.reservation.grow(taken, allowance),
      });
    } finally {
      if (content.offset > offset) await this.#renew();
    }
  }

  async #setLength(length: number, offset: number, allowance: Allowance | undefined): Promise<void> {
    const known = this.#record.length;
    if (known === length) return;
    if (known !== undefined) throw invalid("Upload-Length", `is ${known}, and cannot be changed`);
    if (length < offset) throw invalid("Upload-Length", `must be at least ${offset}: so many bytes are there`);
    if (allowance !== undefined) this.reservation.grow(length, allowance);
    await this.#change({ length });
  }

  /** Puts the end off; not each time, because the record is written anew. */
  async #renew(): Promise<void> {
    const { now, life, onError } = this.parts;
    const expiresAt = now() + life;
    if (expiresAt - this.#record.expiresAt < life / 20) return;
    await this.#change({ expiresAt }).catch((error) => onError("keeping an upload for longer", error));
  }

  async #change(change: Partial<UploadRecord>): Promise<void> {
    const written = this.#writing.then(async () => {
      if (this.#removed.signal.aborted) return;
      const record = { ...this.#record, ...change };
      await this.parts.records.write(record);
      this.#record = record;
    });
    this.#writing = written.catch(() => {});
    await written;
  }

  /** @throws GatewayError `UPLOAD_LOCKED` where it takes long, or may be done later; what storing throws */
  async #awaitStored(principal: Principal, context: RequestContext): Promise<void> {
    const { patience } = this.parts;
    const whole = this.#record.length!;
    const enough = Promise.withResolvers<never>();
    const timer = setTimeout(() => enough.reject(storedLater(whole)), patience);
    try {
      await abortable(Promise.race([this.#store(principal, context), enough.promise]), context.signal);
    } catch (error) {
      throw hasCode(error, ...PASSING) ? storedLater(whole, error) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stores the whole, once at a time: it goes on though whoever asked for it leaves. */
  #store(principal: Principal, context: RequestContext): Promise<void> {
    if (this.#storing === undefined) {
      const { requestId, clientAddress, traceparent } = context;
      const signal = AbortSignal.any([this.#removed.signal, this.parts.closing]);
      const storing = this.#storeNow(principal, { requestId, clientAddress, traceparent, signal });
      this.#storing = storing.finally(() => this.#storing = undefined);
      this.#storing.catch(() => {});
    }
    return this.#storing;
  }

  async #storeNow(principal: Principal, context: RequestContext): Promise<void> {
    const { storage, records, now, life, onError } = this.parts;
    const { id, options, length, salt } = this.#record;
    if (this.#record.object !== undefined) return;
    const content = await this.#found();
    context.signal.throwIfAborted();
    const wanted = { ...options, length, salt: Uint8Array.fromHex(salt) };
    let stored;
    try {
      stored = await storage.upload(principal, content.read(), wanted, context);
    } catch (error) {
      const damaged = damageIn(error);
      if (damaged === undefined) throw error;
      onError("storing an upload whose bytes are damaged", damaged);
      throw unknownUpload(id, damaged);
    }
    const { cid, name, size = length! } = stored;
    const object = { cid, name, size };
    this.reservation.release();
    try {
      await this.#change({ object, expiresAt: now() + life });
      await records.removeBytes(id);
    } catch (error) {
      // It is stored. After a restart it would be stored again, as the same.
      this.#record = { ...this.#record, object };
      onError("noting that an upload is stored", error);
    }
  }
}

/** The damage that an engine has made another error of, on the way. */
function damageIn(error: unknown): Damaged | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at instanceof Damaged) return at;
  }
  return undefined;
}
