import type { Json } from "../cache/values.ts";
import { LONGEST } from "../deadline.ts";
import type { CallOptions } from "../http.ts";
import type { RetryPolicy } from "../retry.ts";
import type { SocketConstructor } from "./platform.ts";

/** What messages hold where the application does not say more. */
export type AnyTopics = Record<string, Json | Uint8Array>;

/** A credential, or what gives one. */
export type CredentialSource = string | (() => string | undefined | Promise<string | undefined>);

/** How a connection is held. */
export interface RealtimeOptions {
  /**
   * As whom: an access token or an API key, or a function that gives one. It is asked before each connection, and again before the
   * credential expires, so that the connection goes on. Default: what the client calls with.
   */
  readonly token?: CredentialSource | undefined;
  /** In place of the platform's `WebSocket`, such as that of the library `ws` where there is none. */
  readonly webSocket?: SocketConstructor | undefined;
  /**
   * How it is connected again. Pauses are from 0 to a bound that begins with `firstPause` (1 s) and doubles to `longestPause` (30 s), so
   * that clients which lost a gateway together do not come back together. `attempts` in a row, default without end.
   */
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** Milliseconds for a command, waiting for a connection included. Default 60,000. */
  readonly requestTimeout?: number | undefined;
  /** Milliseconds for one try to connect, with fetching the credential. Default 15,000. */
  readonly connectTimeout?: number | undefined;
  /** Milliseconds within which a gateway that lives is heard of after a ping. Default 10,000. */
  readonly pingTimeout?: number | undefined;
  /** Characters of commands that wait for a connection or an answer, at most; beyond, they are `QUEUE_FULL`. Default 16 Mi. */
  readonly maxWaiting?: number | undefined;
}

/** What goes with publishing. */
export interface PublishOptions extends CallOptions {
  /**
   * By what the gateway knows it when it comes a second time: for 5 minutes, and for the last 80,000 of its namespace at least. Default: a key that the client makes, so that what was on
   * its way when a connection broke off is sent again. Text: the application's own key. `false`: it is sent once, and what was on its
   * way is `OUTCOME_UNKNOWN`.
   */
  readonly idempotencyKey?: boolean | string | undefined;
}

/** Which part of what is kept. */
export interface HistoryOptions extends CallOptions {
  /** Behind this position. Default: from the oldest that is kept. */
  readonly since?: string | undefined;
  /** Messages, at most. */
  readonly limit?: number | undefined;
}

/** How the client reconnects where nobody says otherwise. */
export const RECONNECT: RetryPolicy = { attempts: Infinity, firstPause: 1_000, longestPause: 30_000 };

/** Options with everything that was left out. @throws RangeError for what cannot be */
export function settled(options: RealtimeOptions) {
  const { requestTimeout = 60_000, connectTimeout = 15_000, pingTimeout = 10_000, maxWaiting = 2 ** 24 } = options;
  for (const [name, value] of Object.entries({ requestTimeout, connectTimeout, pingTimeout, maxWaiting })) {
    if (!(value > 0 && value <= LONGEST)) throw new RangeError(`${name} must be 1 to ${LONGEST}, not ${value}`);
  }
  return { requestTimeout, connectTimeout, pingTimeout, maxWaiting, retry: { ...RECONNECT, ...options.retry } };
}

/**
 * Milliseconds before the next try, or `undefined` for no other one.
 * @param failures how often it failed so far, at least 1
 * @param asked seconds that the gateway asked for, if it did
 * @param random from 0 to 1
 */
export function fullJitter(
  { attempts, firstPause, longestPause }: RetryPolicy,
  failures: number,
  asked: number | undefined,
  random: number,
): number | undefined {
  if (failures > attempts) return undefined;
  const pause = Math.min(firstPause * 2 ** (failures - 1), longestPause) * random;
  return Math.min(pause + Math.min((asked ?? 0) * 1_000, longestPause), LONGEST);
}
