import {
  Damaged,
  FRAME,
  frameKey,
  type FrameKind,
  HEADER,
  headerOf,
  makeFrame,
  openFrame,
  OVERHEAD,
} from "./frames.ts";
import { diskFailure, type StagingDisk, type StagingFile } from "./staging_files.ts";

/** What the content of an upload is kept with. */
export interface StagedContentParts {
  readonly path: string;
  readonly key: Uint8Array<ArrayBuffer>;
  readonly disk: StagingDisk;
  /** Cryptographically strong bytes. */
  readonly random: (n: number) => Uint8Array;
  /** Milliseconds that never run backwards. */
  readonly monotonic: () => number;
}

/** A place in the upload, and where the frame that begins there is in the file. */
interface Mark {
  readonly offset: number;
  readonly position: number;
}

/** Bytes, and milliseconds, after which the disk is made to hold what was written. */
const SYNC_BYTES = 8 * 2 ** 20, SYNC_TIME = 1_000;
/** Bytes at the end of a file that a disk may have lost, though the file is as long as it was, when the machine lost its power. */
const DOUBTED = 2 * SYNC_BYTES;

/** The bytes of one upload that have come, encrypted in a file. */
export class StagedContent {
  /** What counts, and survives whatever ends the gateway. */
  #kept: Mark;
  /** What was written since. */
  #written: Mark;
  /** What counted before the part that is coming. */
  #before: Mark;
  #file: StagingFile | undefined;
  #unproved = false;
  #failed = false;
  #buffer = new Uint8Array(0);
  #filled = 0;
  #synced = 0;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(private readonly parts: StagedContentParts, private readonly key: CryptoKey, kept: Mark) {
    this.#kept = this.#written = this.#before = kept;
  }

  /** Finds out how much there is: as much as is whole from the beginning on. @throws GatewayError `UNAVAILABLE`, `NO_CAPACITY` */
  static async find(parts: StagedContentParts): Promise<StagedContent> {
    const key = await frameKey(parts.key);
    try {
      const file = await parts.disk.open(parts.path);
      try {
        return new StagedContent(parts, key, await endOf(file, key));
      } finally {
        file.close();
      }
    } catch (error) {
      throw diskFailure(error);
    }
  }

  /** Bytes that count. */
  get offset(): number {
    return this.#kept.offset;
  }

  /** Begins a part. @param unproved whether it counts only once {@link end} says so, and not when it breaks off */
  async begin(unproved: boolean): Promise<void> {
    await this.#alone(async () => {
      this.#file = await this.parts.disk.open(this.parts.path);
      // A frame that could not be written whole, or a part that did not count.
      if (await this.#file.size() !== this.#kept.position) await this.#file.truncate(this.#kept.position);
      this.#written = this.#before = this.#kept;
      this.#unproved = unproved;
      this.#failed = false;
      this.#buffer = new Uint8Array(FRAME);
      this.#filled = 0;
      this.#synced = this.parts.monotonic();
    });
  }

  /** Takes bytes, which may be used again when it comes back. @throws GatewayError `NO_CAPACITY`, `UNAVAILABLE` */
  async add(bytes: Uint8Array): Promise<void> {
    await this.#alone(async () => {
      for (let at = 0; at < bytes.length;) {
        const taken = bytes.subarray(at, at + FRAME - this.#filled);
        this.#buffer.set(taken, this.#filled);
        this.#filled += taken.length;
        at += taken.length;
        if (this.#filled === FRAME) await this.#write();
      }
      const late = this.parts.monotonic() - this.#synced > SYNC_TIME;
      if (late || this.#written.position - this.#kept.position >= SYNC_BYTES) await this.#sync();
    });
  }

  /** Has everything count that was taken so far, unless it has to be proved. */
  async settle(): Promise<void> {
    await this.#alone(async () => {
      if (this.#file !== undefined) await this.#sync();
    });
  }

  /**
   * Ends a part. Once the disk has failed, only what it held before is kept: it need not say so a second time.
   * @param keep whether what came of it stays
   * @throws GatewayError `NO_CAPACITY`, `UNAVAILABLE`
   */
  async end(keep: boolean): Promise<void> {
    await this.#alone(async () => {
      const file = this.#file;
      if (file === undefined) return;
      try {
        if (keep && !this.#failed) return await this.#prove();
        if (!keep) this.#kept = this.#before;
      } finally {
        this.#file = undefined;
        this.#buffer = new Uint8Array(0);
        this.#filled = 0;
        await this.#cut(file).finally(() => file.close());
      }
    });
  }

  /** All that counts, from the beginning. @throws Damaged; what the disk throws */
  async *read(): AsyncGenerator<Uint8Array> {
    const { path, disk } = this.parts;
    const { position: end, offset: length } = this.#kept;
    const file = await disk.open(path);
    try {
      let offset = 0;
      for (let position = 0; position < end;) {
        const bytes = await file.read(position, Math.min(OVERHEAD + FRAME, end - position));
        const header = headerOf(bytes);
        if (header === undefined) throw new Damaged(`no frame is at ${position}`);
        const frame = bytes.subarray(0, OVERHEAD + header.length);
        const content = await openFrame(this.key, offset, frame);
        if (content.length > 0) yield content;
        offset += content.length;
        position += frame.length;
      }
      if (offset !== length) throw new Damaged(`${offset} of ${length} bytes are there`);
    } finally {
      file.close();
    }
  }

  async #prove(): Promise<void> {
    if (this.#filled > 0) await this.#write();
    if (this.#unproved && this.#written.offset > this.#kept.offset) await this.#writeFrame("proof", new Uint8Array());
    this.#unproved = false;
    await this.#sync();
  }

  /** Takes away what does not count, or it might count again after the machine lost its power. */
  async #cut(file: StagingFile): Promise<void> {
    if (await file.size() === this.#kept.position) return;
    await file.truncate(this.#kept.position);
    await file.sync();
  }

  async #write(): Promise<void> {
    const content = this.#buffer.subarray(0, this.#filled);
    await this.#writeFrame(this.#unproved ? "unproved" : "data", content);
    this.#filled = 0;
  }

  async #writeFrame(kind: "data" | "unproved" | "proof", content: Uint8Array<ArrayBuffer>): Promise<void> {
    const { offset, position } = this.#written;
    const frame = await makeFrame(this.key, kind, offset, content, this.parts.random);
    await this.#file!.write(position, frame);
    this.#written = { offset: offset + content.length, position: position + frame.length };
  }

  async #sync(): Promise<void> {
    if (this.#unproved) return;
    if (this.#filled > 0) await this.#write();
    if (this.#written.position > this.#kept.position) await this.#file!.sync();
    this.#kept = this.#written;
    this.#synced = this.parts.monotonic();
  }

  /** Whoever asks how far it is may come while bytes do. */
  async #alone(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    try {
      await turn;
    } catch (error) {
      this.#failed = true;
      throw diskFailure(error);
    }
  }
}

/** A frame of the file, before anybody has looked into it. */
interface Frame {
  readonly kind: FrameKind;
  readonly at: Mark;
  readonly next: Mark;
}

/** The frames before a position, as far as they follow one another as they were written. */
async function* framesOf(file: StagingFile, end: number): AsyncGenerator<Frame> {
  let at: Mark = { offset: 0, position: 0 }, before: FrameKind = "data";
  for (;;) {
    const header = headerOf(await file.read(at.position, HEADER));
    if (header === undefined) return;
    const { kind, length } = header;
    const next = { offset: at.offset + length, position: at.position + OVERHEAD + length };
    // What was not proved was cut off before anything else was written.
    if (next.position > end || (before === "unproved" && kind === "data")) return;
    yield { kind, at, next };
    at = next;
    before = kind;
  }
}

/** Where the last frame ends that counts, of those before a position. */
async function countedEnd(file: StagingFile, end: number, onFrame: (frame: Frame) => void = () => {}): Promise<Mark> {
  let counted: Mark = { offset: 0, position: 0 };
  for await (const frame of framesOf(file, end)) {
    onFrame(frame);
    if (frame.kind !== "unproved") counted = frame.next;
  }
  return counted;
}

/** Where the last frame ends that counts; frames that the disk may have lost are looked into. */
async function endOf(file: StagingFile, key: CryptoKey): Promise<Mark> {
  const size = await file.size();
  const doubted: Frame[] = [];
  const counted = await countedEnd(file, size, (frame) => {
    if (frame.next.position > size - DOUBTED) doubted.push(frame);
  });
  for (const { at, next } of doubted) {
    if (at.position >= counted.position) break;
    try {
      await openFrame(key, at.offset, await file.read(at.position, next.position - at.position));
    } catch (error) {
      if (error instanceof Damaged) return await countedEnd(file, at.position);
      throw error;
    }
  }
  return counted;
}
