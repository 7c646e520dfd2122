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
  | readonly ["stop", id: number]
  /** What a call of this request gave. */
  | readonly ["reply", id: number, body: unknown];

/** What comes from a host. */
export type Report =
  | readonly ["done", id: number, body: unknown]
  /** The request whose turn it is wants something of the parent, and waits for the `reply`. */
  | readonly ["call", id: number, body: unknown]
  /** The request whose turn it is tells something, and goes on. */
  | readonly ["note", id: number, body: unknown]
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

/** What the frames of whoever is not trusted may be; whatever is over it is a {@link MalformedFrame}. */
export interface FrameBounds {
  /** Bytes of one payload. Default 512 MiB. */
  readonly maxFrame?: number | undefined;
  /**
   * Bytes of one payload outside of its texts: brackets, commas, numbers. A few megabytes of brackets are a gigabyte of objects when
   * they are parsed. Default: no bound of its own.
   */
  readonly maxStructure?: number | undefined;
}

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
  readonly #maxFrame: number;
  readonly #maxStructure: number | undefined;

  constructor({ maxFrame = MAX_FRAME, maxStructure }: FrameBounds = {}) {
    this.#maxFrame = maxFrame;
    this.#maxStructure = maxStructure;
  }

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
      messages.push(this.#parse(chunk, at, end));
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
    messages.push(this.#parse(partial, 0, partial.length));
    this.#partial = undefined;
    return at;
  }

  #lengthAt(bytes: Uint8Array, at: number): number {
    const length = ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (length > this.#maxFrame) throw new MalformedFrame(`a frame of ${length} bytes, more than ${this.#maxFrame}`);
    if (length === 0) throw new MalformedFrame("an empty frame");
    return length;
  }

  #parse(bytes: Uint8Array, start: number, end: number): unknown {
    if (this.#maxStructure !== undefined) boundStructure(bytes, start + HEADER, end, this.#maxStructure);
    try {
      const value: unknown = JSON.parse(decoder.decode(bytes.subarray(start + HEADER, end)));
      return bytes[start]! & 0x80 ? untag(value) : value;
    } catch (cause) {
      throw new MalformedFrame("a frame that is not JSON", { cause });
    }
  }
}

const QUOTE = 0x22, BACKSLASH = 0x5c;

/** @throws MalformedFrame when more than so many bytes lie outside of texts, or a text has no end */
function boundStructure(bytes: Uint8Array, start: number, end: number, max: number): void {
  let left = max;
  for (let at = start; at < end; at++) {
    if (bytes[at] !== QUOTE) {
      if (left-- <= 0) throw new MalformedFrame(`a frame with more than ${max} bytes outside of texts`);
    } else {
      at = endOfText(bytes, at);
      if (at < 0 || at >= end) throw new MalformedFrame("a frame with a text that does not end");
    }
  }
}

/** @returns where the quote stands that ends the text which begins here; negative for nowhere */
function endOfText(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(QUOTE, start + 1); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let before = at;
    while (bytes[before - 1] === BACKSLASH) before--;
    if ((at - before) % 2 === 0) return at;
  }
  return -1;
}
