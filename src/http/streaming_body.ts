import type { ZodType } from "zod";
import { GatewayError } from "../contracts/errors.ts";
import { type BodyLimits, brokenOff, parseJson, readBody, stalled, tooLarge } from "./body.ts";
import { Gathered, Pieces } from "./pieces.ts";

/** Stands for every media type. */
export const ANY_TYPE = "*/*";

/** A body that the handler reads as it comes, instead of one that is read and checked before it. */
export interface RawBody {
  /**
   * The media types that are taken, each with what stands in it; the first one is meant where a request names none.
   * {@link ANY_TYPE} is for all the others.
   */
  readonly types: Readonly<Record<string, ZodType>>;
  /** Bytes. One more is 413, found while reading, whatever `Content-Length` says. */
  readonly maxBytes: number;
  /** Whether there may be none; it is then empty. */
  readonly optional?: true;
}

/** The body of one request that is read as it comes. */
export interface StreamedBody {
  /** One of the route's, in lower case and without parameters; with {@link ANY_TYPE} the request's. */
  readonly mediaType: string;
  /**
   * The bytes, once. Throws `BODY_TOO_LARGE` (413), `REQUEST_TIMEOUT` (408: it stopped coming, or drips), `INVALID_REQUEST`
   * (the client broke off), and at its end what a caller is told who may not do this any more: so nothing is done before.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** As {@link chunks}, but each piece is lent: there are other bytes in its memory as soon as the next one is asked for. */
  readonly lent: AsyncIterable<Uint8Array>;
  /** Whether it was read to its end. */
  readonly ended: boolean;
  /** Bytes that an ordinary body may have, and so a part of this one that is read as one value. */
  readonly maxValueBytes: number;
  /** The whole as one JSON value, within the bounds of ordinary bodies. @throws GatewayError as they do */
  json(): Promise<unknown>;
  /**
   * The whole, in the time that ordinary bodies have. Throws what {@link chunks} throws.
   * @param maxBytes in place of the route's bound, if it is smaller
   */
  bytes(maxBytes: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Bytes of it as one JSON value, nested no deeper than in ordinary bodies. @throws GatewayError `INVALID_JSON` */
  parse(bytes: Uint8Array): unknown;
}

/** What is to be known of a request while its body comes. */
export interface BodySurroundings {
  /** Finds out anew whether the call may pass. */
  readonly admit: () => void | Promise<void>;
  /** Whether the server no longer waits for it. */
  readonly isStopped: () => boolean;
}

/** Bytes per second that a body must reach, once it takes longer than an ordinary one may. */
const SLOWEST = 16 * 1024;
/** Milliseconds after which its sender is looked at again: a right that was taken away must not be kept by sending slowly. */
const PATIENCE = 500;

/**
 * Opens the body of a request.
 * @throws GatewayError `UNSUPPORTED_MEDIA_TYPE`, `BODY_TOO_LARGE` for a length that is too large already
 */
export function streamBody(
  request: Request,
  { types, maxBytes }: RawBody,
  limits: BodyLimits,
  { admit, isStopped }: BodySurroundings,
): StreamedBody {
  const mediaType = mediaTypeOf(request.headers.get("content-type"), Object.keys(types));
  if (Number(request.headers.get("content-length")) > maxBytes) throw tooLarge(maxBytes);
  let ended = false;
  const end = () => void (ended = true);
  const pieces = (most: number) => piecesOf(request, { ...limits, maxBytes: most }, { admit, isStopped }, end);
  return {
    mediaType,
    get ended() {
      return ended;
    },
    chunks: { [Symbol.asyncIterator]: () => kept(pieces(maxBytes)) },
    lent: { [Symbol.asyncIterator]: () => pieces(maxBytes) },
    maxValueBytes: Math.min(maxBytes, limits.maxBytes),
    async json() {
      const gathered = new Gathered();
      for await (const piece of pieces(Math.min(maxBytes, limits.maxBytes))) gathered.add(piece);
      return parseJson(gathered.whole(), limits.maxDepth);
    },
    async bytes(most) {
      const start = performance.now();
      const all = await readBody(request, { ...limits, maxBytes: Math.min(most, maxBytes) });
      end();
      if (performance.now() - start > PATIENCE) await admit();
      return all;
    },
    parse: (bytes) => parseJson(bytes, limits.maxDepth),
  };
}

function mediaTypeOf(header: string | null, known: readonly string[]): string {
  const named = header?.split(";", 1)[0]?.trim().toLowerCase() || known[0]!;
  if (known.includes(named) || known.includes(ANY_TYPE)) return named;
  throw new GatewayError("UNSUPPORTED_MEDIA_TYPE", `content-type: the body must be ${known.join(", ")}`, {
    headers: { accept: known.join(", "), connection: "close" },
  });
}

async function* piecesOf(
  { body, headers }: Request,
  limits: BodyLimits,
  { admit, isStopped }: BodySurroundings,
  end: () => void,
): AsyncGenerator<Uint8Array, void> {
  if (body === null) return end();
  const pieces = new Pieces(body, headers.has("content-length"));
  const start = performance.now();
  let size = 0;
  try {
    for (;;) {
      const piece = await nextOf(pieces, limits.stallTimeout);
      if (piece === undefined) break;
      size += piece.byteLength;
      if (size > limits.maxBytes) throw tooLarge(limits.maxBytes);
      const elapsed = performance.now() - start;
      if (elapsed > limits.timeout && size < elapsed / 1000 * SLOWEST) throw stalled();
      yield piece;
    }
    end();
    if (performance.now() - start > PATIENCE) await admit();
  } catch (cause) {
    // Deno lets go of a body in the same way when the client leaves and when the server is made to stop.
    const left = cause instanceof Deno.errors.BadResource && !isStopped();
    throw brokenOff(left ? new Error("the client left", { cause }) : cause);
  } finally {
    pieces.cancel();
  }
}

async function* kept(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for await (const piece of pieces) yield piece.slice();
}

async function nextOf(pieces: Pieces, stallTimeout: number): Promise<Uint8Array | undefined> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(stalled()), stallTimeout);
  try {
    return await Promise.race([pieces.next(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
