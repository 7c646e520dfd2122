/** Bytes of a whole: from `offset`, `length` of them. */
export interface Bytes {
  readonly offset: number;
  readonly length: number;
}

/** More ranges than this in one header are refused: what asks for so many has made a mistake, or means harm (RFC 9110, 14.2). */
const MAX_RANGES = 100;
/** Bytes between two ranges that are not worth a part of their own: its head has as many. */
const MIN_GAP = 128;

const RANGES = /^bytes[ \t]*=[ \t]*((?:,[ \t]*)*[\d-](?:[\d\-, \t]*[\d,-])?)$/i;
const RANGE = /^(?:(\d+)-(\d*)|-(\d+))$/;

/**
 * What a header `Range` asks for, of so many bytes (RFC 9110, 14.1.2 and 14.2). Ranges that overlap or nearly touch are put
 * together, in the place of the first of them, so that no byte comes twice.
 * @returns nothing where the header is to be ignored: it is no list of ranges of bytes; an empty list where it cannot be met
 */
export function rangesOf(header: string | null, size: number): readonly Bytes[] | undefined {
  const [, list] = RANGES.exec(header ?? "") ?? [];
  if (list === undefined) return undefined;
  // Longer than so many ranges can be, however large the numbers.
  if (list.length > MAX_RANGES * 64) return [];
  const texts = list.split(",").map((text) => text.trim()).filter((text) => text !== "");
  const asked: Bytes[] = [];
  for (const text of texts) {
    const [, first, last, suffix] = RANGE.exec(text) ?? [];
    if (suffix !== undefined) {
      const length = Math.min(Number(suffix), size);
      if (length > 0) asked.push({ offset: size - length, length });
      continue;
    }
    if (first === undefined) return undefined;
    const offset = Number(first), end = last ? Number(last) : Infinity;
    if (end < offset) return undefined;
    if (offset < size) asked.push({ offset, length: Math.min(end, size - 1) - offset + 1 });
  }
  return texts.length > MAX_RANGES ? [] : together(asked);
}

/** Puts ranges together that overlap or nearly touch. */
function together(ranges: readonly Bytes[]): readonly Bytes[] {
  const sorted = ranges.map((range, place) => ({ ...range, place })).sort((a, b) => a.offset - b.offset);
  const merged: typeof sorted = [];
  for (const range of sorted) {
    const before = merged.at(-1);
    if (before === undefined || range.offset > before.offset + before.length + MIN_GAP) merged.push(range);
    else {
      const end = Math.max(before.offset + before.length, range.offset + range.length);
      const place = Math.min(before.place, range.place);
      merged[merged.length - 1] = { offset: before.offset, length: end - before.offset, place };
    }
  }
  return merged.sort((a, b) => a.place - b.place).map(({ offset, length }) => ({ offset, length }));
}

/** `bytes 0-9/100`: where in the whole the bytes of an answer stand (RFC 9110, 14.4). */
export const contentRange = ({ offset, length }: Bytes, size: number): string =>
  `bytes ${offset}-${offset + length - 1}/${size}`;

/** Several ranges in one answer (RFC 9110, 14.6). */
export interface RangesBody {
  readonly contentType: string;
  /** Of the whole body. */
  readonly length: number;
  readonly body: AsyncIterable<Uint8Array, undefined>;
}

const encoder = new TextEncoder();

/**
 * Makes the body that several ranges are answered with.
 * @param type the media type of the whole
 * @param boundary occurs nowhere in the whole: nobody who made it could guess it
 */
export function rangesBody(
  ranges: readonly Bytes[],
  size: number,
  type: string,
  boundary: string,
  read: (range: Bytes) => AsyncIterable<Uint8Array>,
): RangesBody {
  const heads = ranges.map((range) =>
    encoder.encode(`\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`)
  );
  const end = encoder.encode(`\r\n--${boundary}--\r\n`);
  const length = ranges.reduce((sum, range, i) => sum + heads[i]!.length + range.length, end.length);
  async function* body(): AsyncGenerator<Uint8Array, undefined> {
    for (const [i, range] of ranges.entries()) {
      yield heads[i]!;
      yield* read(range);
    }
    yield end;
  }
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, body: body() };
}
