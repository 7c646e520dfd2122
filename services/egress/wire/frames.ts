/**
 * What goes over the Unix socket between the gateway and a process that sends, one connection for each hop, and over the process's
 * standard input at its start. A frame is one byte for its type, four bytes of length, most significant first, and its payload.
 */
export const FRAME = {
  /** To the process, by standard input: how it is to serve. JSON. */
  start: 1,
  /** To the process: a request without its body. JSON. */
  open: 2,
  /** To the process: a proxy to shake hands with. JSON. */
  probe: 3,
  /** From the process: status and headers. JSON. */
  head: 4,
  /** From the process: the proxy answered. JSON. */
  probed: 5,
  /** From the process, at any moment, the last frame: why there is nothing, or nothing more. JSON. */
  fail: 6,
  /** A piece of a body, in either direction. */
  data: 7,
  /** The end of a body, in either direction. Empty. */
  end: 8,
  /** From the process: one more piece of the request's body may be sent. Empty. */
  more: 9,
  /** From the process, its first frame: what was asked begins now. Until then nothing of it was done. Empty. */
  taken: 10,
} as const;

/** The first byte of a frame. */
export type FrameType = typeof FRAME[keyof typeof FRAME];

/** Bytes of JSON that a frame may hold. */
export const MAX_JSON = 256 * 1024;
/** Bytes of a body that a frame may hold. */
export const MAX_DATA = 64 * 1024;
/**
 * Pieces of a request's body that may be on their way before the first {@link FRAME.more}: so the process never has to stop reading, and
 * hears at once when the connection is closed.
 */
export const WINDOW = 4;

/** Bytes that one of this protocol would not send, or no longer. */
export class BadFrame extends Error {
  override readonly name = "BadFrame";
}

/** A frame as it came. */
export interface Frame {
  readonly type: FrameType;
  /** Belongs to whoever reads the frame. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

const HEADER = 5;
/** Bytes of the first buffer, and of those after it when it was not enough: two of the longest pieces, so that few are moved. */
const FIRST_BUFFER = 16 * 1024, BUFFER = 2 * (HEADER + MAX_DATA);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }), encoder = new TextEncoder();
const EMPTY = new Uint8Array();

/** By type, the least and the most bytes of a payload. */
const LENGTHS: Readonly<Record<number, readonly [number, number]>> = {
  [FRAME.start]: [2, MAX_JSON],
  [FRAME.open]: [2, MAX_JSON],
  [FRAME.probe]: [2, MAX_JSON],
  [FRAME.head]: [2, MAX_JSON],
  [FRAME.probed]: [2, MAX_JSON],
  [FRAME.fail]: [2, MAX_JSON],
  [FRAME.data]: [1, MAX_DATA],
  [FRAME.end]: [0, 0],
  [FRAME.more]: [0, 0],
  [FRAME.taken]: [0, 0],
};

/** Where frames come from. */
export interface FrameSource {
  /** @returns how many bytes it wrote into the buffer; `null` at the end */
  read(into: Uint8Array): Promise<number | null>;
}

/** Reads frames, no faster than they are asked for: of what follows a frame no more than a buffer lies here. */
export class FrameReader {
  #buffer = EMPTY;
  #start = 0;
  #end = 0;

  constructor(private readonly source: FrameSource) {}

  /**
   * @returns `undefined` at the end
   * @throws BadFrame for what is no frame, or an end within one; what the source throws. Nothing can be read after it.
   */
  async next(): Promise<Frame | undefined> {
    if (!await this.#have(HEADER) || !await this.#have(this.#length())) return undefined;
    return this.take();
  }

  /** @returns the next frame if all of it lies here already @throws BadFrame as {@link next} */
  take(): Frame | undefined {
    const there = this.#end - this.#start;
    if (there < HEADER || there < this.#length()) return undefined;
    const begin = this.#start + HEADER, type = this.#buffer[this.#start] as FrameType;
    this.#start += this.#length();
    return { type, payload: this.#buffer.subarray(begin, this.#start) };
  }

  /** The type of the next frame if its header lies here already. What is none is refused when it is read. */
  get coming(): FrameType | undefined {
    return this.#end - this.#start < HEADER ? undefined : this.#buffer[this.#start] as FrameType;
  }

  /** Bytes of the frame whose header lies here. @throws BadFrame for one of a frame that there is not */
  #length(): number {
    const type = this.#buffer[this.#start]!;
    const length = new DataView(this.#buffer.buffer, this.#start + 1, 4).getUint32(0);
    const bounds = LENGTHS[type];
    if (!bounds) throw new BadFrame(`a frame of the type ${type}`);
    if (length < bounds[0] || length > bounds[1]) {
      throw new BadFrame(`a frame of the type ${type} with ${length} bytes`);
    }
    return HEADER + length;
  }

  /** @returns whether so many bytes are there; they are not if nothing more comes @throws BadFrame for an end after the first of them */
  async #have(count: number): Promise<boolean> {
    while (this.#end - this.#start < count) {
      if (this.#start + count > this.#buffer.length) this.#renew(count);
      const read = await this.source.read(this.#buffer.subarray(this.#end));
      if (read === null && this.#end > this.#start) throw new BadFrame("the end in the middle of a frame");
      if (read === null) return false;
      this.#end += read;
    }
    return true;
  }

  /** A buffer is never written anew: what was read of it belongs to others. */
  #renew(count: number): void {
    const rest = this.#buffer.subarray(this.#start, this.#end);
    const fresh = new Uint8Array(Math.max(count, this.#buffer.length === 0 ? FIRST_BUFFER : BUFFER));
    fresh.set(rest);
    this.#buffer = fresh;
    this.#start = 0;
    this.#end = rest.length;
  }
}

/** Where frames go. */
export interface FrameSink {
  /** @returns how many of the bytes it took, at least one */
  write(bytes: Uint8Array): Promise<number>;
}

/** Writes frames, one after the other, whoever else writes meanwhile. Those that have to wait go together. */
export class FrameWriter {
  /** What waits, and room after it. */
  #waiting = EMPTY;
  #length = 0;
  #busy = false;
  #current: Promise<void> = Promise.resolve();
  /** Of the frames that wait until what is under way is written. */
  #following: Promise<void> | undefined;

  constructor(private readonly sink: FrameSink) {}

  /** Resolves when the other side's buffer has all of it. @throws what the sink throws, and RangeError for a payload that is too long */
  write(type: FrameType, payload: Uint8Array = EMPTY): Promise<void> {
    try {
      this.hold(type, payload);
    } catch (error) {
      return Promise.reject(error);
    }
    const flush = () => this.#flush();
    if (this.#busy) this.#following ??= this.#current.then(flush, flush);
    return this.#following ?? (this.#current = flush());
  }

  /** The same with a message. @throws RangeError when it is longer than {@link MAX_JSON} */
  writeJson(type: FrameType, message: unknown): Promise<void> {
    return this.write(type, jsonOf(message));
  }

  /** Bytes that wait. */
  get waiting(): number {
    return this.#length;
  }

  /** Keeps a frame until the next one is written: they go together. @throws RangeError as {@link write} */
  hold(type: FrameType, payload: Uint8Array = EMPTY): void {
    const [least, most] = LENGTHS[type]!;
    if (payload.length < least || payload.length > most) {
      throw new RangeError(`a frame of the type ${type} with ${payload.length} bytes`);
    }
    const at = this.#length, end = at + HEADER + payload.length;
    if (end > this.#waiting.length) {
      const larger = new Uint8Array(end);
      larger.set(this.#waiting.subarray(0, at));
      this.#waiting = larger;
    }
    this.#waiting[at] = type;
    new DataView(this.#waiting.buffer).setUint32(at + 1, payload.length);
    this.#waiting.set(payload, at + HEADER);
    this.#length = end;
  }

  /** The same with a message. @throws RangeError when it is longer than {@link MAX_JSON} */
  holdJson(type: FrameType, message: unknown): void {
    this.hold(type, jsonOf(message));
  }

  async #flush(): Promise<void> {
    const bytes = this.#waiting.subarray(0, this.#length);
    // Its room is not used again: nothing else makes V8 collect in time what Node's sockets leave behind for each piece.
    this.#waiting = EMPTY;
    this.#length = 0;
    if (this.#following) this.#current = this.#following;
    this.#following = undefined;
    this.#busy = true;
    try {
      for (let at = 0; at < bytes.length;) at += await this.sink.write(at === 0 ? bytes : bytes.subarray(at));
    } finally {
      this.#busy = false;
    }
  }
}

const jsonOf = (message: unknown) => encoder.encode(JSON.stringify(message));

/** The message in a frame. @throws BadFrame when it is no JSON */
export function messageIn(frame: Frame): unknown {
  try {
    return JSON.parse(decoder.decode(frame.payload));
  } catch (cause) {
    throw new BadFrame("a frame that is not JSON", { cause });
  }
}
