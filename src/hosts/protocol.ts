import { tag, untag } from "./tagging.ts";

/**
 * What a message may hold: JSON, and `bigint` and bytes as well. Numbers are finite; a member that is `undefined` is left away.
 */
export type Wire =
  | null
  | boolean
  | number
  | string
  | bigint
  | Uint8Array
  | readonly Wire[]
  | { readonly [name: string]: Wire | undefined };

/** What goes to a host. Ids are chosen by the sender and never used twice. */
export type Order =
  /** Wants one answer. Answers come in the order of the asking. */
  | readonly ["ask", id: number, body: unknown]
  /** Wants a stream of items; so many may be sent before the next `more`. */
  | readonly ["open", id: number, body: unknown, credit: number]
  /** So many more items of a stream may be sent. */
  | readonly ["more", id: number, credit: number]
  /** Nobody wants the rest of a stream. The host ends it all the same. */
  | readonly ["stop", id: number];

/** What comes from a host. */
export type Report =
  | readonly ["done", id: number, body: unknown]
  /** The next item of a stream is being made now; until it comes nothing else runs. */
  | readonly ["busy", id: number]
  | readonly ["item", id: number, body: unknown]
  | readonly ["end", id: number];

/** Bytes that are no frames of this protocol. */
export class MalformedFrame extends Error {
  override readonly name = "MalformedFrame";
}

/** Bytes of one message at most. */
const MAX_FRAME = 512 * 1024 * 1024;

/** Set in the length of a frame whose payload holds tagged values. */
const TAGGED = 0x80000000;
const HEADER = 4;
const encoder = new TextEncoder(), decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Gathers messages as frames: four bytes of length, most significant first, and JSON. */
export class FrameWriter {
  #bytes = new Uint8Array(16 * 1024);
  #end = 0;

  /** Bytes gathered so far. */
  get length(): number {
    return this.#end;
  }

  /** @throws RangeError for a message of more than {@link MAX_FRAME} bytes */
  add(message: unknown): void {
    const { value, tagged } = tag(message);
    const text = JSON.stringify(value);
    this.#reserve(HEADER + text.length);
    let { read, written } = encoder.encodeInto(text, this.#bytes.subarray(this.#end + HEADER));
    if (read < text.length) {
      this.#reserve(HEADER + text.length * 3);
      ({ written } = encoder.encodeInto(text, this.#bytes.subarray(this.#end + HEADER)));
    }
    if (written > MAX_FRAME) throw new RangeError(`a message has ${written} bytes, more than ${MAX_FRAME}`);
    const length = tagged ? written + TAGGED : written;
    this.#bytes[this.#end] = length >>> 24;
    this.#bytes[this.#end + 1] = length >>> 16;
    this.#bytes[this.#end + 2] = length >>> 8;
    this.#bytes[this.#end + 3] = length;
    this.#end += HEADER + written;
  }

  /** What was gathered. Whoever takes it owns it. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#end);
    this.#end = 0;
    if (this.#bytes.length > 1 << 20) this.#bytes = new Uint8Array(16 * 1024);
    return taken;
  }

  #reserve(more: number): void {
    const needed = this.#end + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = larger;
  }
}

/** Cuts what comes through a pipe into messages. */
export class FrameReader {
  /** The beginning of a frame whose end has not come yet. */
  #partial: Uint8Array | undefined;
  #have = 0;

  /** @param maxFrame bytes of one payload at most */
  constructor(private readonly maxFrame = MAX_FRAME) {}

  /**
   * The messages that end within this chunk.
   * @param chunk is read before this returns, and not kept
   * @throws MalformedFrame when a frame is too long, or holds no JSON
   */
  push(chunk: Uint8Array): unknown[] {
    const messages: unknown[] = [];
    let at = this.#partial ? this.#complete(this.#partial, chunk, messages) : 0;
    while (at < chunk.length) {
      const end = chunk.length - at < HEADER ? Infinity : at + HEADER + this.#lengthAt(chunk, at);
      if (end > chunk.length) {
        const size = end === Infinity ? HEADER : end - at;
        this.#partial = new Uint8Array(size);
        this.#partial.set(chunk.subarray(at));
        this.#have = chunk.length - at;
        break;
      }
      messages.push(parse(chunk, at, end));
      at = end;
    }
    return messages;
  }

  /** Fills up the frame that has begun. @returns where in the chunk the next one begins */
  #complete(partial: Uint8Array, chunk: Uint8Array, messages: unknown[]): number {
    let at = 0;
    const fill = (target: Uint8Array) => {
      const part = chunk.subarray(at, at + target.length - this.#have);
      target.set(part, this.#have);
      at += part.length;
      this.#have += part.length;
      return this.#have === target.length;
    };
    if (!fill(partial)) return at;
    if (partial.length === HEADER) {
      const whole = new Uint8Array(HEADER + this.#lengthAt(partial, 0));
      whole.set(partial);
      this.#partial = partial = whole;
      if (!fill(partial)) return at;
    }
    messages.push(parse(partial, 0, partial.length));
    this.#partial = undefined;
    return at;
  }

  #lengthAt(bytes: Uint8Array, at: number): number {
    const length = ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (length > this.maxFrame) throw new MalformedFrame(`a frame of ${length} bytes, more than ${this.maxFrame}`);
    if (length === 0) throw new MalformedFrame("an empty frame");
    return length;
  }
}

function parse(bytes: Uint8Array, start: number, end: number): unknown {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes.subarray(start + HEADER, end)));
    return bytes[start]! & 0x80 ? untag(value) : value;
  } catch (cause) {
    throw new MalformedFrame("a frame that is not JSON", { cause });
  }
}
