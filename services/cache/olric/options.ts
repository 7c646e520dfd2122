import type { Clock } from "../../clock/clock.ts";

/** How to reach one Olric cluster. */
export interface OlricDriverOptions {
  /** `host:port` of some or all members; the others are learned from these. */
  readonly addresses: readonly string[];
  readonly password?: string | undefined;
  /** The most connections to each member, opened as they are needed. Default 8. */
  readonly connections?: number | undefined;
  /** Milliseconds that an operation may take in all. Default 2,000. */
  readonly timeout?: number | undefined;
  /** Default: this machine's. */
  readonly clock?: Pick<Clock, "now" | "monotonic"> | undefined;
  /** Bytes that cannot be guessed. Default `crypto.getRandomValues`. */
  readonly random?: (n: number) => Uint8Array;
}
