import { OramaError } from "../errors.ts";
import { ownBytes } from "../streamed_body.ts";
import { blobOf, type Content, isStream, nameOf } from "./content.ts";

/** What an upload in parts takes: content, or what opens it at an offset, so that nothing before has to be read again. */
export type ResumableContent =
  | Content
  | ((offset: number) => ReadableStream<Uint8Array> | Promise<ReadableStream<Uint8Array>>);

/** Bytes of an upload. */
export interface Part {
  readonly bytes: Blob;
  /** Whether nothing follows. */
  readonly last: boolean;
}

/** Gives content part by part. */
export interface PartSource {
  /** Bytes of the whole, where that is known. */
  readonly size: number | undefined;
  /** What it is called, and its media type, where it tells. */
  readonly name: string | undefined;
  readonly type: string | undefined;
  /**
   * The bytes from an offset on, as many as a part has, or up to the end.
   * @throws RangeError for content that has another length than was said
   * @throws OramaError `UPLOAD_LOST` for an offset before those that can still be had
   */
  partAt(offset: number): Promise<Part>;
  /** Lets go of it; a part that is being read rejects with the reason. */
  close(reason: unknown): void;
}

/**
 * The parts of content.
 * @param size bytes of the whole, as the caller says
 * @param partSize bytes of each but the last
 * @throws TypeError, RangeError for what cannot be
 */
export function partsOf(content: ResumableContent, size: number | undefined, partSize: number): PartSource {
  if (typeof content === "function") return new StreamParts(content, size, partSize);
  if (isStream(content)) return new StreamParts(content, size, partSize);
  const blob = blobOf(content);
  if (size !== undefined && size !== blob.size) throw otherLength(blob.size, size);
  return {
    size: blob.size,
    name: nameOf(content),
    type: content instanceof Blob ? content.type || undefined : undefined,
    partAt(offset) {
      if (offset > blob.size) return Promise.reject(otherLength(blob.size, offset));
      return Promise.resolve({
        bytes: blob.slice(offset, offset + partSize),
        last: offset + partSize >= blob.size,
      });
    },
    close() {},
  };
}

/** Holds as much of a stream as may have to be sent again: one part, and the piece in which the next one begins. */
class StreamParts implements PartSource {
  readonly name = undefined;
  readonly type = undefined;
  readonly size: number | undefined;
  readonly #partSize: number;
  readonly #open: ((offset: number) => ReadableStream<Uint8Array> | Promise<ReadableStream<Uint8Array>>) | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #pieces: Uint8Array[] = [];
  /** Where the first piece begins, and where the last one ends. */
  #from = 0;
  #to = 0;
  #ended = false;
  #closed: { readonly reason: unknown } | undefined;

  constructor(
    content: Exclude<ResumableContent, Blob | Uint8Array | string>,
    size: number | undefined,
    partSize: number,
  ) {
    this.size = size;
    this.#partSize = partSize;
    if (typeof content === "function") this.#open = content;
    else this.#reader = content.getReader();
  }

  async partAt(offset: number): Promise<Part> {
    await this.#goTo(offset);
    const end = offset + this.#partSize;
    while (!this.#ended && this.#to <= end) {
      await this.#read();
      this.#forget(offset);
    }
    this.#check(offset);
    const bytes = new Blob(this.#pieces.map(ownBytes)).slice(offset - this.#from, end - this.#from);
    return { bytes, last: this.#ended && this.#to <= end };
  }

  close(reason: unknown): void {
    this.#closed ??= { reason };
    this.#pieces = [];
    void this.#reader?.cancel(reason).catch(() => {});
  }

  async #goTo(offset: number): Promise<void> {
    const isThere = this.#reader !== undefined && offset >= this.#from;
    // Whoever can open it anywhere need not read what lies between.
    const isNear = isThere && (this.#open === undefined || this.#ended || offset <= this.#to + this.#partSize);
    if (isNear) return this.#forget(offset);
    if (this.#open === undefined) {
      throw new OramaError(
        `the gateway has ${offset} bytes, and a stream gives those before ${this.#from} only once: begin anew`,
        { code: "UPLOAD_LOST" },
      );
    }
    void this.#reader?.cancel().catch(() => {});
    const stream = await this.#open(offset);
    this.#reader = stream.getReader();
    this.#pieces = [];
    this.#from = this.#to = offset;
    this.#ended = false;
    if (this.#closed) this.close(this.#closed.reason);
  }

  async #read(): Promise<void> {
    const { done, value } = await this.#reader!.read();
    if (this.#closed) throw this.#closed.reason;
    if (done) {
      this.#ended = true;
      return;
    }
    if (!(value instanceof Uint8Array)) throw new TypeError("a stream of bytes gives Uint8Array, and nothing else");
    this.#pieces.push(value);
    this.#to += value.byteLength;
  }

  /** Lets go of pieces that lie before. */
  #forget(offset: number): void {
    while (this.#pieces.length > 0 && this.#from + this.#pieces[0]!.byteLength <= offset) {
      this.#from += this.#pieces.shift()!.byteLength;
    }
  }

  #check(offset: number): void {
    const { size } = this;
    if (size !== undefined && (this.#to > size || this.#ended && this.#to < size)) throw otherLength(this.#to, size);
    if (this.#ended && offset > this.#to) throw otherLength(this.#to, offset);
  }
}

/** Content that is not what an upload was begun with. */
export const otherLength = (found: number | undefined, expected: number) =>
  new RangeError(`the content has ${found} bytes, and ${expected} were said: it must be what was begun with`);
