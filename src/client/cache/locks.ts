import { invalidResponse, isObject } from "../errors.ts";
import type { CallOptions } from "../http.ts";
import type { Duration } from "../durations.ts";
import { dateOf } from "./values.ts";

/** A lock that is held. */
export interface CacheLease {
  /** Who has it may renew and unlock. */
  readonly token: string;
  /** Larger than those of all holders before; what the lock protects can refuse smaller ones. */
  readonly fencing: number;
  /** When it is free again unless it is renewed, by the gateway's clock. */
  readonly expiresAt: Date;
}

/** How a lock is taken. */
export interface CacheLockOptions extends CallOptions {
  /** How long it is held unless it is renewed: at least 100 ms. */
  readonly lease: Duration;
  /** How long to wait for it. Default: not at all. The call takes as much longer than others, unless it has a `requestTimeout`. */
  readonly wait?: Duration | undefined;
}

/** How a lock is held while work is done. */
export interface WithLockOptions extends Omit<CacheLockOptions, "lease"> {
  /** For how long others may have to wait when this program ends without a word; it is renewed after a third. Default 30 s. */
  readonly lease?: Duration | undefined;
}

/** A lease where nothing else is said. */
export const DEFAULT_LEASE = 30_000;

/** The lock that an answer gives. @throws OramaError `INVALID_RESPONSE` */
export function leaseOf(body: unknown): CacheLease {
  if (!isObject(body) || typeof body.token !== "string" || typeof body.fencing !== "number") {
    throw invalidResponse("it is no lock");
  }
  return { token: body.token, fencing: body.fencing, expiresAt: endOf(body) };
}

/** When the lock of an answer ends. @throws OramaError `INVALID_RESPONSE` */
export const endOf = (body: unknown): Date => dateOf(isObject(body) ? body.expires_at : undefined);
