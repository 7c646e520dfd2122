import type { Stream } from "@libp2p/interface";
import { LengthPrefixedDecoder } from "@libp2p/utils";
import { Uint8ArrayList } from "uint8arraylist";

/** What a link is made with. None of the calls may throw. */
export interface LinkOptions {
  /** Bytes of a frame, at most. */
  readonly maxBytes: number;
  /** Bytes that may wait for the other side, at most. */
  readonly maxQueue: number;
  readonly monotonic: () => number;
  /** A frame came. */
  readonly frame: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Something came that is no frame. */
  readonly refused: (why: "oversize" | "garbage") => void;
  /** It is over, whoever ended it. Called once. */
  readonly ended: () => void;
}

/** Bytes in front of a frame, which tell its length. */
const PREFIX = 4;
/** Small frames go together up to so many bytes: each piece is encrypted apart. */
const BATCH = 2 ** 16;
/** Bytes that a stream may hand over at once. */
const MAX_BUFFER = 2 ** 25;

/** An ordered stream of frames between two gateways, in both directions. */
export class Link {
  readonly #decoder: LengthPrefixedDecoder;
  /** What waits, each with its prefix. */
  #queue: Uint8Array[] = [];
  #queued = 0;
  #planned = false;
  #ended = false;
  /** When the queue last moved, or was empty. */
  #moved: number;
  #drained: (() => void)[] = [];

  constructor(private readonly stream: Stream, private readonly options: LinkOptions) {
    this.#moved = options.monotonic();
    this.#decoder = new LengthPrefixedDecoder({
      maxDataLength: options.maxBytes,
      maxBufferSize: MAX_BUFFER,
      lengthDecoder: (bytes) => new DataView(bytes.slice(0, PREFIX).buffer).getUint32(0),
      encodingLength: () => PREFIX,
    });
    stream.addEventListener("close", () => this.#end());
    stream.addEventListener("remoteCloseWrite", () => this.cut());
    stream.addEventListener("drain", () => this.#write());
  }

  /** Begins to read. What came before waited, as far as there was room. */
  begin(): void {
    this.stream.addEventListener("message", ({ data }) => this.#read(data));
  }

  /** Sends a frame. @returns false: too much waits, and the link is cut */
  send(bytes: Uint8Array): boolean {
    if (this.#ended) return true;
    const frame = new Uint8Array(PREFIX + bytes.length);
    new DataView(frame.buffer).setUint32(0, bytes.length);
    frame.set(bytes, PREFIX);
    if (this.#waiting === 0) this.#moved = this.options.monotonic();
    this.#queue.push(frame);
    this.#queued += frame.length;
    if (this.#waiting > this.options.maxQueue) {
      this.cut();
      return false;
    }
    if (!this.#planned) {
      this.#planned = true;
      queueMicrotask(() => {
        this.#planned = false;
        this.#write();
      });
    }
    return true;
  }

  /** Milliseconds for which something has waited and nothing was taken. */
  get stuck(): number {
    return this.#waiting === 0 ? 0 : this.options.monotonic() - this.#moved;
  }

  /** Resolves when nothing waits here any more, or the link is over. */
  async sent(): Promise<void> {
    while (!this.#ended && this.#waiting > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** Says that nothing more is sent; the other side then ends it. */
  async close(): Promise<void> {
    try {
      await this.stream.close({ signal: AbortSignal.timeout(1_000) });
    } catch {
      this.cut();
    }
  }

  /** Ends it at once, with all that is on its way. */
  cut(): void {
    this.stream.abort(new Error("the link was cut"));
    this.#end();
  }

  get #waiting(): number {
    return this.#queued + this.stream.writeBufferLength;
  }

  #write(): void {
    try {
      while (this.#queue.length > 0 && !this.#ended && !this.stream.writableNeedsDrain) {
        this.#moved = this.options.monotonic();
        this.stream.send(this.#batch());
      }
    } catch {
      this.cut();
    }
    if (this.#waiting === 0) { for (const tell of this.#drained.splice(0)) tell(); }
  }

  #batch(): Uint8Array | Uint8ArrayList {
    let count = 0, bytes = 0;
    while (count < this.#queue.length && (count === 0 || bytes + this.#queue[count]!.length <= BATCH)) {
      bytes += this.#queue[count++]!.length;
    }
    const frames = this.#queue.splice(0, count);
    this.#queued -= bytes;
    return frames.length === 1 ? frames[0]! : new Uint8ArrayList(...frames);
  }

  #read(data: Uint8Array | Uint8ArrayList): void {
    try {
      for (const frame of this.#decoder.decode(data)) {
        if (this.#ended) return;
        this.options.frame(copyOf(frame));
      }
    } catch (error) {
      if (this.#ended) return;
      this.options.refused(isTooLong(error) ? "oversize" : "garbage");
      this.cut();
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue = [];
    this.#queued = 0;
    for (const tell of this.#drained.splice(0)) tell();
    this.options.ended();
  }
}

/** Bytes of their own: a part of what was read together would keep all of it. */
export function copyOf(bytes: Uint8Array | Uint8ArrayList): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.byteLength);
  if (bytes instanceof Uint8Array) copy.set(bytes);
  else {
    let at = 0;
    for (const part of bytes) {
      copy.set(part, at);
      at += part.length;
    }
  }
  return copy;
}

const TOO_LONG = new Set(["InvalidDataLengthError", "InvalidDataLengthLengthError", "InvalidMessageLengthError"]);

/** Whether what was thrown says that a length in front of something is beyond the bound, in the words of libp2p's readers. */
export const isTooLong = (error: unknown): boolean => error instanceof Error && TOO_LONG.has(error.name);
