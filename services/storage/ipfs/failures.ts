import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";

/** What an engine answered instead of a result. Its text names addresses and paths: for the log alone. */
export class EngineError extends Error {
  override readonly name = "EngineError";

  constructor(readonly status: number, text: string) {
    super(`${status}: ${text.slice(0, 2_000)}`);
  }
}

/**
 * What a failure of a Kubo node means.
 * - `absent`: it has no such block; `late`: it did not find one in the time it had.
 * - `damaged`: what it has is not what it should be.
 * - `unpinned`: there is nothing to unpin.
 * - `refused`: it will not take this, and no other will; `full`: its disk is.
 * - `failed`: anything else, and no answer at all.
 */
export type KuboFate = "absent" | "late" | "damaged" | "unpinned" | "refused" | "full" | "failed";

/** Texts of Kubo 0.39, which has one status for all failures. The first that fits decides. */
const RULES: readonly (readonly [RegExp, KuboFate])[] = [
  [/block was not found locally|ipld: could not find/, "absent"],
  [/no space left on device|disk quota exceeded|not enough space/i, "full"],
  // With `Datastore.HashOnRead`; otherwise it hands out what it has.
  [/different hash than requested/, "damaged"],
  [/is not pinned|not pinned or pinned indirectly/, "unpinned"],
  [/context deadline exceeded/, "late"],
  [/^invalid path|^invalid cid|failed to parse multiaddr|import failed/i, "refused"],
];

/** Judges what was thrown by a call of a Kubo node. */
export function fateOf(error: unknown): KuboFate {
  if (!(error instanceof EngineError)) return "failed";
  const text = error.message.replace(/^\d+: /, "");
  return RULES.find(([pattern]) => pattern.test(text))?.[1] ?? "failed";
}

/** Not there. */
export const notFound = (cid: CID, cause: unknown): GatewayError =>
  new GatewayError("NOT_FOUND", `content not found: ${cid}`, { cause });

/** A directory that would take too long to list. */
export const tooWide = (most: number): GatewayError =>
  new GatewayError("INVALID_REQUEST", `cid: the directory has more than ${most} entries; name one of them`);

/** No node did it. */
export const unavailable = (cause: unknown): GatewayError =>
  new GatewayError("UNAVAILABLE", "the storage cannot be reached now", { cause, retryAfter: 1 });

/** The content is known, and a part of it cannot be had. */
export const incomplete = (cause: unknown): GatewayError =>
  new GatewayError("UNAVAILABLE", "a part of the content cannot be had now", { cause, retryAfter: 5 });

/** No room for it. */
export const full = (cause: unknown): GatewayError =>
  new GatewayError("NO_CAPACITY", "the storage is full", { cause, retryAfter: 60 });

/** What a failure of an upload is for the caller. */
export function ofUpload(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause;
  switch (fateOf(cause)) {
    case "full":
      return full(cause);
    case "refused":
      return new GatewayError("INVALID_REQUEST", "body: the storage does not take it", { cause });
    default:
      return new GatewayError("UNAVAILABLE", "the storage did not take the content; nothing was stored", {
        cause,
        retryAfter: 1,
      });
  }
}
