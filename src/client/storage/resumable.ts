import { type ClientClock, PLATFORM_CLOCK } from "../clock.ts";
import { isObject, OramaError } from "../errors.ts";
import type { CallOptions, Client } from "../http.ts";
import { canPass, pauseAfter, type RetryPolicy } from "../retry.ts";
import type { Stored } from "./objects.ts";
import type { UploadOptions } from "./options.ts";
import { otherLength, partsOf, type PartSource, type ResumableContent } from "./parts.ts";
import { type ChecksumAlgorithm, tusWire, type UploadProgress, type UploadWire } from "./tus.ts";

/** What names an upload that was begun: JSON that can be kept, and gone on with by another process. It is no credential. */
export interface UploadState {
  readonly id: string;
  /** Bytes of the whole; `null`: it is said in the end. */
  readonly size: number | null;
  /** When it goes, unless it is gone on with, by the gateway's clock (RFC 3339). */
  readonly expiresAt: string;
}

/** How an upload in parts is sent. `requestTimeout` is the time of each request, beside that for its bytes. */
export interface ResumableOptions
  extends CallOptions, Pick<UploadOptions, "name" | "type" | "pin" | "visibility" | "encrypt"> {
  /** Bytes of the whole, where content is a stream: what cannot fit is refused before it is sent. Default: it is said in the end. */
  readonly size?: number | undefined;
  /** Bytes of a part: what is held in memory of a stream, and what is sent again at most. Default 8 MiB. */
  readonly partSize?: number | undefined;
  /** By which each part is checked. Default `sha256` where the platform can (in pages, over HTTPS alone), `false` for not at all. */
  readonly checksum?: ChecksumAlgorithm | false | undefined;
  /** Goes on with an upload that was begun before, with the same content from its beginning. */
  readonly resume?: UploadState | undefined;
  /** Told what to keep, before the first byte is sent; the upload waits for it. */
  readonly onState?: ((state: UploadState) => void | Promise<void>) | undefined;
  /** Told how many bytes the gateway has, after each part. */
  readonly onProgress?: ((progress: { readonly sent: number; readonly size: number | undefined }) => void) | undefined;
  /** How often in a row it is tried without coming further, and how long it waits before. Default 8, 500 ms, 60 s. */
  readonly retry?: Partial<RetryPolicy> | undefined;
}

const PART_SIZE = 8 * 1024 * 1024;
const RETRY: RetryPolicy = { attempts: 8, firstPause: 500, longestPause: 60_000 };
/** Bytes that a gateway has stored, at the latest, from one question to the next. */
const STORED_MEANWHILE = 64 * 1024 * 1024;
/** Another request sends the upload, or it is being stored; bytes were damaged on their way. */
const STATUSES = [423, 460];

/**
 * Uploads in parts, over as many connections as it takes.
 * @throws OramaError the gateway's own; `UPLOAD_LOST`
 * @throws TypeError, RangeError for options and content that cannot be; whatever reading the content throws; the signal's reason
 */
export async function uploadResumable(
  client: Client,
  content: ResumableContent,
  options: ResumableOptions,
  clock: ClientClock = PLATFORM_CLOCK,
): Promise<Stored> {
  const { size, partSize = PART_SIZE, resume, signal, checksum = canDigest() ? "sha256" : false } = options;
  if (!(Number.isSafeInteger(partSize) && partSize > 0)) {
    throw new RangeError(`partSize must be a whole number of bytes, at least 1, not ${partSize}`);
  }
  if (checksum !== false && !canDigest()) {
    throw new OramaError("there is no crypto.subtle here, which pages have over HTTPS alone: say checksum: false", {
      code: "NOT_SUPPORTED",
    });
  }
  const source = partsOf(content, size ?? resume?.size ?? undefined, partSize);
  const ended = new AbortController();
  const end = () => {
    ended.abort(signal?.reason);
    source.close(signal?.reason);
  };
  signal?.addEventListener("abort", end, { once: true });
  try {
    if (signal?.aborted) end();
    const { name = source.name, type = source.type, pin, visibility, encrypt } = options;
    const wire = tusWire(client, { name, type, pin, visibility, encrypt }, checksum, {
      signal: ended.signal,
      requestTimeout: options.requestTimeout,
    });
    return await new Sending(wire, source, options, ended.signal, clock).run();
  } finally {
    signal?.removeEventListener("abort", end);
    source.close(undefined);
  }
}

const canDigest = () => typeof crypto === "object" && crypto.subtle !== undefined;

class Sending {
  readonly #wire: UploadWire;
  readonly #source: PartSource;
  readonly #options: ResumableOptions;
  readonly #signal: AbortSignal;
  readonly #clock: ClientClock;
  readonly #policy: RetryPolicy;
  #isBegun: boolean;
  #failures = 0;
  #waits = 0;
  #furthest = -1;

  constructor(
    wire: UploadWire,
    source: PartSource,
    options: ResumableOptions,
    signal: AbortSignal,
    clock: ClientClock,
  ) {
    this.#wire = wire;
    this.#source = source;
    this.#options = options;
    this.#signal = signal;
    this.#clock = clock;
    this.#policy = { ...RETRY, ...options.retry };
    this.#isBegun = options.resume !== undefined;
  }

  async run(): Promise<Stored> {
    const { resume, onState } = this.#options;
    let upload = await this.#tried(() =>
      resume === undefined ? this.#wire.begin(this.#source.size) : this.#wire.look(resume.id)
    );
    this.#isBegun = true;
    const { size = upload.size } = this.#source;
    if (upload.size !== undefined && upload.size !== size) throw otherLength(size, upload.size);
    await onState?.({ id: upload.id, size: upload.size ?? null, expiresAt: upload.expiresAt });
    for (;;) {
      this.#signal.throwIfAborted();
      this.#came(upload);
      if (upload.stored !== undefined) return upload.stored;
      const isWhole = upload.offset === upload.size && upload.size > 0;
      upload = isWhole ? await this.#look(upload) : await this.#send(upload);
    }
  }

  /** Sends a part. @returns how far the upload is then */
  async #send(upload: UploadProgress): Promise<UploadProgress> {
    const { id, offset, size } = upload;
    const { bytes, last } = await this.#source.partAt(offset);
    this.#signal.throwIfAborted();
    const whole = offset + bytes.size;
    if (size !== undefined && (last ? whole !== size : whole >= size)) throw otherLength(whole, size);
    try {
      await this.#wire.append(id, offset, bytes, last && size === undefined ? whole : undefined);
    } catch (error) {
      await this.#wait(error);
      return await this.#look(upload);
    }
    const sent = { ...upload, offset: whole, size: last ? whole : size };
    return last ? await this.#look(sent) : sent;
  }

  #look({ id }: UploadProgress): Promise<UploadProgress> {
    return this.#tried(() => this.#wire.look(id));
  }

  async #tried(work: () => Promise<UploadProgress>): Promise<UploadProgress> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        await this.#wait(error);
      }
    }
  }

  #came({ offset, size }: UploadProgress): void {
    if (offset > this.#furthest) {
      this.#furthest = offset;
      this.#failures = 0;
      this.#options.onProgress?.({ sent: offset, size });
    }
  }

  /** Waits until another try may help. @throws the error, where none can, or there were enough */
  async #wait(error: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    if (!(error instanceof OramaError)) throw error;
    if (error.code === "NOT_FOUND" && this.#isBegun) throw lost(error);
    const milliseconds = canHelp(error) ? this.#pauseAfter(error) : undefined;
    if (milliseconds === undefined) throw error;
    await this.#clock.pause(milliseconds, this.#signal);
  }

  #pauseAfter(error: OramaError): number | undefined {
    const random = this.#clock.random();
    const whole = wholeOf(error);
    // The gateway is storing it: that takes as long as it takes.
    if (whole !== undefined && ++this.#waits <= whole / STORED_MEANWHILE) {
      return pauseAfter(error, 1, { ...this.#policy, attempts: 1 }, random);
    }
    return pauseAfter(error, ++this.#failures, this.#policy, random);
  }
}

/** Whether another try may do: a wrong offset is put right by asking for it. */
const canHelp = (error: OramaError): boolean =>
  STATUSES.includes(error.status) || error.code === "TIMEOUT" || isOtherOffset(error) || canPass(error);

const isOtherOffset = ({ status, details }: OramaError): boolean =>
  status === 409 && isObject(details) && typeof details.offset === "number";

/** How many bytes an upload has that is whole, and not stored yet. */
function wholeOf({ status, details }: OramaError): number | undefined {
  if (status !== 423 || !isObject(details) || typeof details.length !== "number") return undefined;
  return details.offset === details.length ? details.length : undefined;
}

const lost = (cause: OramaError) =>
  new OramaError(
    "the gateway does not have the upload: it has expired, or was begun at another gateway. Begin anew, without resume",
    { code: "UPLOAD_LOST", status: cause.status, requestId: cause.requestId, cause },
  );
