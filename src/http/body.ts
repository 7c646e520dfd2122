import { GatewayError } from "../contracts/errors.ts";
import { isDeeper, jsonOf } from "../contracts/json_text.ts";
import { Gathered, Pieces } from "./pieces.ts";

/** Bounds on what a client may send as a body. */
export interface BodyLimits {
  /** Bytes. One more is 413, found while reading, whatever `Content-Length` says. */
  readonly maxBytes: number;
  /** Milliseconds without a single byte after which the request is 408. */
  readonly stallTimeout: number;
  /** Milliseconds for the whole body: the bound on a client that keeps dripping. */
  readonly timeout: number;
  /** How deep arrays and objects may nest. */
  readonly maxDepth: number;
}

/** Below this a declared length is read in one go: the stall timer then bounds the whole body. */
const SMALL = 64 * 1024;
/** Milliseconds by which a stalled body may be noticed late. */
const STALL_TICK = 50;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a body within its bounds.
 * @throws GatewayError `BODY_TOO_LARGE` (413), `REQUEST_TIMEOUT` (408), `INVALID_REQUEST` when the client broke off.
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  const header = request.headers.get("content-length");
  const declared = header === null ? NaN : Number(header);
  if (declared > limits.maxBytes) throw tooLarge(limits.maxBytes);
  // `request.body` is looked at last: it makes a stream, which costs as much as reading a small body.
  if (declared > 0 && declared <= SMALL) return await readSmall(request, limits);
  if (declared === 0 || request.body === null) return new Uint8Array();
  return await readCounted(new Pieces(request.body, header !== null), limits);
}

function readSmall(request: Request, { stallTimeout, maxBytes }: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const done = stalls.watch(stallTimeout, () => reject(stalled()));
    request.bytes().then((bytes) => {
      if (bytes.byteLength > maxBytes) reject(tooLarge(maxBytes));
      else resolve(bytes);
    }, (cause) => reject(brokenOff(cause))).finally(done);
  });
}

/** Deadlines that hardly ever pass: one timer looks at all of them, because one for each costs more than reading a body. */
const stalls = {
  waiting: new Set<{ readonly until: number; readonly late: () => void }>(),
  timer: undefined as ReturnType<typeof setInterval> | undefined,
  /** @returns what takes the deadline back */
  watch(milliseconds: number, late: () => void): () => void {
    const entry = { until: performance.now() + milliseconds, late };
    this.waiting.add(entry);
    this.timer ??= setInterval(() => this.look(), STALL_TICK);
    return () => void this.waiting.delete(entry);
  },
  look(): void {
    const now = performance.now();
    for (const entry of this.waiting) {
      if (now < entry.until) continue;
      this.waiting.delete(entry);
      entry.late();
    }
    // Not when the last deadline is taken back: under load that would be a new timer for most bodies.
    if (this.waiting.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  },
};

async function readCounted(pieces: Pieces, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  const gathered = new Gathered();
  let failure: GatewayError | undefined;
  const abort = (error: GatewayError) => {
    failure ??= error;
    pieces.cancel(error);
  };
  const whole = setTimeout(() => abort(stalled()), limits.timeout);
  let stall = setTimeout(() => abort(stalled()), limits.stallTimeout);
  try {
    for (;;) {
      const piece = await pieces.next();
      if (failure) throw failure;
      if (piece === undefined) return gathered.whole();
      clearTimeout(stall);
      gathered.add(piece);
      if (gathered.size > limits.maxBytes) throw tooLarge(limits.maxBytes);
      stall = setTimeout(() => abort(stalled()), limits.stallTimeout);
    }
  } catch (cause) {
    const error = failure ?? brokenOff(cause);
    pieces.cancel(error);
    throw error;
  } finally {
    clearTimeout(stall);
    clearTimeout(whole);
  }
}

/**
 * Parses JSON text as it came: UTF-8 only, bounded depth, integers that a number cannot hold exactly as `bigint`.
 * @throws GatewayError `INVALID_JSON`
 */
export function parseJson(bytes: Uint8Array, maxDepth: number): unknown {
  let value: unknown;
  let text: string;
  try {
    text = utf8.decode(bytes);
    value = jsonOf(text);
  } catch {
    // The engine's message quotes the body, which may hold credentials: it must not get into the log.
    throw new GatewayError("INVALID_JSON", "invalid json body: it must be one JSON value in UTF-8");
  }
  if (text.length > 2 * maxDepth && isDeeper(value, maxDepth)) {
    throw new GatewayError("INVALID_JSON", `invalid json body: nested deeper than ${maxDepth} levels`);
  }
  return value;
}

/** The error of a body that is longer than it may be. */
export const tooLarge = (maxBytes: number): GatewayError =>
  new GatewayError("BODY_TOO_LARGE", `the body exceeds ${maxBytes} bytes`, { headers: { connection: "close" } });
/** The error of a body that stopped coming. */
export const stalled = (): GatewayError =>
  new GatewayError("REQUEST_TIMEOUT", "the body did not arrive in time", { headers: { connection: "close" } });
/** The error of a body that could not be read to its end; one that is known already stays what it is. */
export const brokenOff = (cause: unknown): GatewayError => {
  if (cause instanceof GatewayError) return cause;
  // A server that is told to stop lets go of the bodies that are still coming.
  if (cause instanceof Deno.errors.BadResource) {
    return new GatewayError("UNAVAILABLE", "the gateway is shutting down; repeat the request", { cause });
  }
  return new GatewayError("INVALID_REQUEST", "the body ended before it was complete", { cause });
};
