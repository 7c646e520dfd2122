import { Buffer } from "node:buffer";
import { EgressFailure, type EgressRoom } from "../../src/contracts/egress.ts";
import { stalled, tooLarge } from "../../src/http/body.ts";
import type { StreamedBody } from "../../src/http/streaming_body.ts";
import { BLOCK, Blocks } from "./blocks.ts";

/**
 * Bytes of the JSON of one request. JSON can write a byte in six (`\u0000`), so that the usual limit of 10 MiB takes 60 MiB at worst; the
 * highest that there can be, 64 MiB, has room for every third byte to be escaped in two. It is less than one namespace may hold.
 */
export const MAX_JSON = 88 * 2 ** 20;
/** Milliseconds that it may take: for so long as that its room is kept. */
const PATIENCE = 60_000;

const QUOTE = 0x22, COLON = 0x3a, COMMA = 0x2c, BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b, CLOSE_LIST = 0x5d, OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d;
const utf8 = new TextDecoder();

/** The JSON of a request that is held whole. @throws GatewayError, EgressFailure `EGRESS_BUSY` */
export async function jsonOf(
  upload: Pick<StreamedBody, "bytes" | "lent" | "parse" | "maxValueBytes">,
  declared: string | null,
  room: EgressRoom,
): Promise<unknown> {
  if (declared !== null && Number(declared) <= BLOCK) return upload.parse(await upload.bytes(BLOCK));
  return parsed(await gathered(upload, room), upload);
}

async function gathered({ lent }: Pick<StreamedBody, "lent">, room: EgressRoom): Promise<Uint8Array> {
  const began = performance.now();
  const blocks = Blocks.plain(room);
  for await (const piece of lent) {
    if (!blocks.add(piece)) {
      throw new EgressFailure("EGRESS_BUSY", "as many bodies are held in memory as may be; wait, or stream this one");
    }
    if (performance.now() - began > PATIENCE) throw stalled();
  }
  return Buffer.concat(blocks.pieces());
}

/**
 * The value of JSON that may be long by its member `body` alone: many small values would take many times their text in memory.
 * @throws GatewayError `BODY_TOO_LARGE` where the rest is longer than an ordinary body
 */
function parsed(bytes: Uint8Array, { parse, maxValueBytes }: Pick<StreamedBody, "parse" | "maxValueBytes">): unknown {
  if (bytes.length <= maxValueBytes) return parse(bytes);
  const found = textOfBody(bytes, maxValueBytes);
  if (found === undefined) throw tooLarge(maxValueBytes);
  const [from, to] = found;
  const value = parse(Buffer.concat([bytes.subarray(0, from), EMPTY_TEXT, bytes.subarray(to)])) as {
    readonly body?: unknown;
  };
  // Of several the last one counts, and that may be no text.
  return value.body === "" ? { ...value, body: parse(bytes.subarray(from, to)) } : value;
}

const EMPTY_TEXT = Uint8Array.of(QUOTE, QUOTE);

/**
 * Where the text of the outermost object's `body` lies, with its quotes; of several the last one, as everywhere. What is no JSON is
 * found out by whoever parses the rest.
 * @param most bytes of all the rest
 * @returns `undefined` where there is none, or more than that beside it
 */
function textOfBody(bytes: Uint8Array, most: number): readonly [from: number, to: number] | undefined {
  let depth = 0, rest = 0;
  let name: unknown, isValue = false;
  let found: readonly [from: number, to: number] | undefined;
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      const end = endOfText(bytes, at);
      if (depth === 1 && isValue && name === "body") {
        // The one before it was none, then.
        if (found) rest += found[1] - found[0];
        found = [at, end];
      } else rest += end - at;
      if (depth === 1 && !isValue) name = nameIn(bytes.subarray(at, end));
      at = end;
    } else {
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth--;
      else if (depth === 1 && (byte === COLON || byte === COMMA)) isValue = byte === COLON;
      rest++;
      at++;
    }
    if (rest > most) return undefined;
  }
  return found;
}

/** Where a text that begins at `at` ends, behind its quote. */
function endOfText(bytes: Uint8Array, at: number): number {
  for (let end = bytes.indexOf(QUOTE, at + 1); end !== -1; end = bytes.indexOf(QUOTE, end + 1)) {
    let escapes = 0;
    while (bytes[end - 1 - escapes] === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return bytes.length;
}

/** The name that stands in JSON, if it is a short one. */
function nameIn(bytes: Uint8Array): unknown {
  try {
    return bytes.length > 64 ? undefined : JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}
