/** What the head of an answer says about its body. */
export interface Head {
  readonly status: number;
  readonly bodyStart: number;
  /** `undefined`: chunked, or until the connection ends. */
  readonly length: number | undefined;
  readonly chunked: boolean;
  readonly keepAlive: boolean;
}

/** Takes a chunked body apart as it comes (RFC 9112, 7.1). */
export class Chunks {
  #at: number | undefined;
  readonly #parts: [start: number, end: number][] = [];

  /** @returns the whole body once its last chunk is there */
  read(buffer: Uint8Array, bodyStart: number, end: number): string | undefined {
    let at = this.#at ?? bodyStart;
    for (;;) {
      const line = indexOfLineEnd(buffer, at, end);
      if (line < 0) break;
      const size = /^[0-9a-f]{1,8}/i.exec(latin1.decode(buffer.subarray(at, line)))?.[0];
      if (size === undefined) throw new Error("a chunk of the answer has no size");
      const start = line + 2, stop = start + parseInt(size, 16);
      if (stop + 2 > end) break;
      if (stop === start) return this.#joined(buffer);
      this.#parts.push([start, stop]);
      at = stop + 2;
    }
    this.#at = at;
    return undefined;
  }

  #joined(buffer: Uint8Array): string {
    const decoder = new TextDecoder();
    return this.#parts.map(([start, stop]) => decoder.decode(buffer.subarray(start, stop), { stream: true })).join("") +
      decoder.decode();
  }
}

const latin1 = new TextDecoder("latin1");
const CR = 13, LF = 10;

function indexOfLineEnd(buffer: Uint8Array, from: number, end: number): number {
  const at = buffer.indexOf(LF, from);
  return at > from && at < end && buffer[at - 1] === CR ? at - 1 : -1;
}

/** Where the head ends; −1 while it is not complete. */
export function indexOfBlankLine(buffer: Uint8Array, end: number): number {
  for (let at = buffer.indexOf(LF); at >= 0 && at + 2 < end; at = buffer.indexOf(LF, at + 1)) {
    if (buffer[at + 1] === CR && buffer[at + 2] === LF) return at - 1;
  }
  return -1;
}

/** The body of an answer, as it comes. @throws Error when the connection ends first, or what comes is no such body */
export async function* bodyOf(
  { chunked, length }: Head,
  arriving: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  if (chunked) return yield* dechunked(arriving);
  let left = length ?? Infinity;
  if (left === 0) return;
  for await (const bytes of arriving) {
    if (bytes.length > left) throw new Error("the answer is longer than it says");
    yield bytes;
    if ((left -= bytes.length) === 0) return;
  }
  if (length !== undefined) throw new Error("the connection ended before the answer did");
}

/** RFC 9112, 7.1: size, line end, data, line end, and again; a size of 0 is the end. */
async function* dechunked(
  arriving: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let line = "", data = 0, after = false;
  for await (const bytes of arriving) {
    for (let at = 0; at < bytes.length;) {
      if (data > 0) {
        const part = bytes.subarray(at, at + data);
        yield part;
        at += part.length;
        after = (data -= part.length) === 0;
        continue;
      }
      const end = bytes.indexOf(LF, at);
      line += latin1.decode(bytes.subarray(at, end < 0 ? bytes.length : end));
      at = end < 0 ? bytes.length : end + 1;
      if (line.length > 1_000) throw new Error("a chunk of the answer has no size");
      if (end < 0) continue;
      const size = after ? undefined : /^[0-9a-f]{1,8}/i.exec(line)?.[0];
      if (size === undefined && !(after && line === "\r")) throw new Error("a chunk of the answer has no size");
      if (size !== undefined && (data = parseInt(size, 16)) === 0) return;
      after = false;
      line = "";
    }
  }
  throw new Error("the connection ended before the answer did");
}
