import { parse } from "content-disposition";
import { GatewayError } from "../contracts/errors.ts";
import { ByteReader } from "./byte_reader.ts";

/** Parts of the body of a form, as they come (RFC 7578). */
export interface Part {
  /** The field. */
  readonly name: string;
  /** As it was sent, with its folders; `undefined` where the part is no file. */
  readonly fileName: string | undefined;
  /** Its `Content-Type`, if it has one. */
  readonly type: string | undefined;
  /** Its bytes, once. What is left of them when the next part is asked for is skipped. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** Bounds on a form. */
export interface FormLimits {
  /** Parts, files among them. */
  readonly maxParts: number;
}

/** Bytes that the headers of one part may have, and what stands before the first and behind the last. */
const MAX_HEADERS = 16 * 1024;
/** RFC 2046, 5.1.1. */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;

const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { fatal: true });
const LINE_END = encoder.encode("\r\n");
const HEADERS_END = encoder.encode("\r\n\r\n");
const DASH = 45, SPACE = 32, TAB = 9;

/**
 * What separates the parts of a body, by its `Content-Type`.
 * @throws GatewayError `INVALID_REQUEST` for none, and for one that cannot be
 */
export function boundaryOf(contentType: string | null): string {
  const boundary = contentType === null ? undefined : parse(contentType).parameters["boundary"];
  if (boundary !== undefined && BOUNDARY.test(boundary)) return boundary;
  throw wrongForm("the Content-Type must name a boundary of 1 to 70 characters (RFC 2046, 5.1.1)");
}

/**
 * Reads a form. Strict: what is not in order to its last byte is an error, and no part of the form may count before it has been
 * read to its end. Holds a piece of the body at a time, whatever its length.
 * @throws GatewayError `INVALID_REQUEST` for what is no form; what the body throws
 */
export async function* partsOf(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  { maxParts }: FormLimits,
): AsyncGenerator<Part, void> {
  const delimiter = encoder.encode(`\r\n--${boundary}`);
  // The first delimiter may stand at the very beginning: then its line break is missing.
  const reader = new ByteReader(body, LINE_END);
  try {
    await within(reader, delimiter, "its first boundary is missing");
    for (let parts = 1; await opensPart(reader); parts++) {
      if (parts > maxParts) throw wrongForm(`it has more than ${maxParts} parts`);
      const content = reader.until(delimiter);
      yield { ...headersOf(await within(reader, HEADERS_END, "the headers of a part do not end")), content };
      if (await reader.skip(content)) continue;
      throw wrongForm("it ended before its last boundary");
    }
    if (!await reader.endsWithin(MAX_HEADERS)) throw wrongForm("too much follows its last boundary");
  } finally {
    await reader.close();
  }
}

/** What follows a delimiter: another part, or the end (RFC 2046, 5.1.1: blanks may stand behind it). */
async function opensPart(reader: ByteReader): Promise<boolean> {
  let next = await reader.next(2);
  if (next?.[0] === DASH && next[1] === DASH) return false;
  for (let blanks = 0; next !== undefined && (next[0] === SPACE || next[0] === TAB); blanks++) {
    if (blanks === 100) throw wrongForm("too many blanks follow a boundary");
    const more = await reader.next(1);
    next = more && Uint8Array.of(next[1]!, more[0]!);
  }
  if (next?.[0] !== 13 || next[1] !== 10) throw wrongForm("a line break must follow each boundary, and -- the last");
  // So that a part without headers ends them like any other.
  reader.putBack(LINE_END);
  return true;
}

async function within(reader: ByteReader, end: Uint8Array, problem: string): Promise<Uint8Array> {
  const found = await reader.before(end, MAX_HEADERS);
  if (found !== undefined) return found;
  throw wrongForm(`${problem}, or is farther than ${MAX_HEADERS} bytes away`);
}

function headersOf(bytes: Uint8Array): Omit<Part, "content"> {
  const headers = new Map<string, string>();
  for (const line of textOf(bytes).split("\r\n").slice(1)) {
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) throw wrongForm("a header of a part is none");
    if (headers.has(name.toLowerCase())) throw wrongForm(`a part has the header ${name} twice`);
    headers.set(name.toLowerCase(), value!);
  }
  const { type, parameters } = parse(headers.get("content-disposition") ?? "", { extended: false, multipart: true });
  const { name, filename } = parameters;
  if (type !== "form-data" || name === undefined) {
    throw wrongForm("a part lacks the header Content-Disposition: form-data with a name");
  }
  return { name, fileName: filename, type: headers.get("content-type") };
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw wrongForm("the headers of a part must be UTF-8");
  }
}

/** The error of a form that is not in order. */
export const wrongForm = (problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `failed to parse multipart form: ${problem}`, {
    details: [{ field: "body", problem }],
  });
