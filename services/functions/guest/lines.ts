import type { LogLevel } from "../../../src/contracts/function_logs.ts";
import type { GuestNote } from "../parts.ts";

/** Bytes of one line; a longer one is cut. */
const MAX_LINE = 16 * 1024;
/** What a line costs beside its bytes, so that empty ones are not free. */
const LINE_COST = 32;
const NEWLINE = 0x0a;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What a call logs, up to so many bytes. */
export class LogLines {
  #left: number;
  #closed = false;
  readonly #send: (note: GuestNote) => void;

  /** @param limit bytes, and 32 more for each line */
  constructor(limit: number, send: (note: GuestNote) => void) {
    this.#left = limit;
    this.#send = send;
  }

  /** Whether further lines are dropped. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Logs one line. What is no UTF-8 in it is replaced: a line that is hard to read is worth more than none.
   * @param bytes a longer line than 16 KiB is cut
   */
  add(level: LogLevel, bytes: Uint8Array): void {
    if (this.#closed) return;
    const line = bytes.length > MAX_LINE ? bytes.subarray(0, wholeCharacters(bytes, MAX_LINE)) : bytes;
    this.#left -= line.length + LINE_COST;
    this.#closed = this.#left < 0;
    this.#send(
      this.#closed
        ? { level: "warn", message: "(further lines are dropped)" }
        : { level, message: decoder.decode(line) + (line === bytes ? "" : " …") },
    );
  }
}

/** Makes lines of what is written piece by piece, as to standard error. */
export class LineWriter {
  readonly #lines: LogLines;
  readonly #level: LogLevel;
  #begun = new Uint8Array(0);
  #length = 0;

  constructor(lines: LogLines, level: LogLevel) {
    this.#lines = lines;
    this.#level = level;
  }

  /** @param bytes longer lines than 16 KiB become several */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#lines.closed;) {
      if (this.#length === MAX_LINE && bytes[at] !== NEWLINE) this.#cut();
      const room = at + MAX_LINE - this.#length;
      const newline = bytes.subarray(at, room + 1).indexOf(NEWLINE);
      const end = newline < 0 ? Math.min(bytes.length, room) : at + newline;
      this.#keep(bytes.subarray(at, end));
      if (newline >= 0) this.flush(true);
      at = newline < 0 ? end : end + 1;
    }
  }

  /** Logs the line that has begun. @param also an empty one */
  flush(also = false): void {
    if (this.#length > 0 || also) this.#lines.add(this.#level, this.#begun.subarray(0, this.#length));
    this.#length = 0;
  }

  #keep(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#begun.length) {
      const larger = new Uint8Array(Math.min(MAX_LINE, Math.max(256, 2 * (this.#length + bytes.length))));
      larger.set(this.#begun.subarray(0, this.#length));
      this.#begun = larger;
    }
    this.#begun.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #cut(): void {
    const end = wholeCharacters(this.#begun, this.#length);
    const rest = this.#begun.slice(end, this.#length);
    this.#length = end;
    this.flush();
    this.#keep(rest);
  }
}

/** Where to cut so that no character of UTF-8 is cut in two. */
function wholeCharacters(bytes: Uint8Array, most: number): number {
  let last = most - 1;
  while (last > most - 4 && (bytes[last]! & 0xc0) === 0x80) last--;
  const lead = bytes[last]!;
  const size = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return last + size > most ? last : most;
}
