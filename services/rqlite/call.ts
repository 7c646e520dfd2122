import type { Waiter } from "./options.ts";

/** One request to rqlite, and what may be done about its failure. */
export interface Call {
  /** Default `POST`. */
  readonly method?: "GET";
  readonly path: string;
  readonly body: string | Uint8Array;
  readonly contentType: string;
  /** Changes nothing, so it may be repeated whatever happened. */
  readonly reading: boolean;
  /** It comes back only after all writes before it. */
  readonly throughLog: boolean;
  /** The leader has no advantage. */
  readonly anyNode: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  /** Milliseconds of {@link timeout} in which others have to wait for it, where it goes through the log and may be slow. */
  readonly holds?: number | undefined;
  /** The largest answer, in bytes, where it is smaller than that of the cluster. */
  readonly maxBytes?: number | undefined;
  readonly waiter: Waiter | undefined;
}
