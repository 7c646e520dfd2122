import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** How it goes with a pin request, in the words of the IPFS Pinning Service API. */
export type PinRequestStatus = "queued" | "pinning" | "pinned" | "failed";

/** What is to be kept, and what the client notes beside it. */
export interface PinWish {
  readonly cid: string;
  /** At most 255 characters. Default: none. */
  readonly name?: string | undefined;
  /** At most 1 KiB as JSON. Default: empty. */
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /** Multiaddresses of who may have it: at most 100, of which the 20 are kept that promise most. */
  readonly origins?: readonly string[] | undefined;
}

/** A request that content be kept. Several may stand for one CID, each with its own name. */
export interface PinRequest {
  readonly id: string;
  readonly status: PinRequestStatus;
  /** Unix milliseconds; no two requests of a namespace have the same. */
  readonly createdAt: number;
  /** The CID as it was given. */
  readonly cid: string;
  readonly name: string | undefined;
  readonly meta: Readonly<Record<string, string>>;
  readonly origins: readonly string[];
  /** Multiaddresses of the nodes that are to have it, for the client to connect to; none where the engine has no network. */
  readonly delegates: readonly string[];
  /** A public sentence about {@link status}, where there is more to say. */
  readonly details: string | undefined;
  /** Bytes that a reader gets; `undefined` until it is known. */
  readonly size: number | undefined;
}

/** How a name is compared. `i…`: letters of ASCII in either case. `partial`: it is anywhere in the name. */
export type NameMatch = "exact" | "iexact" | "partial" | "ipartial";

/** Which requests are wanted. */
export interface PinRequestQuery {
  /** 1 to 1,000. */
  readonly limit: number;
  /** Any of these, at most 10. */
  readonly cids?: readonly string[] | undefined;
  readonly name?: string | undefined;
  /** Default `exact`. */
  readonly match?: NameMatch | undefined;
  /** Any of these. Default: `pinned` alone. */
  readonly statuses?: readonly PinRequestStatus[] | undefined;
  /** Unix milliseconds, fractions too: only those made before. */
  readonly before?: number | undefined;
  /** The same: only those made after. */
  readonly after?: number | undefined;
  /** Those that have all of these, at most 5. */
  readonly meta?: Readonly<Record<string, string>> | undefined;
}

/** The newest requests that fit. */
export interface PinRequestPage {
  readonly requests: readonly PinRequest[];
  /** Of all that fit. */
  readonly total: number;
}

/**
 * Requests to keep content, as the IPFS Pinning Service API has them. A namespace that has requests for a CID has a claim to it
 * (`Storage`), and what holds for claims by CID holds here: what others have privately is content that nobody has.
 *
 * All throw `GatewayError`: `INVALID_REQUEST` (with the field's name), `NOT_FOUND` (no such request, or content that is not to be
 * had), `QUOTA_EXCEEDED` (objects, bytes, or more requests than the namespace may have objects), `BODY_TOO_LARGE`, `CONFLICT`
 * (the namespace is being deleted), `UNAVAILABLE`, `OUTCOME_UNKNOWN`.
 */
export interface PinRequests {
  /** Makes a request, and the claim that it needs. */
  add(principal: Principal, wish: PinWish, context: RequestContext): Promise<PinRequest>;
  /** Makes a request in place of another one, at once; content of the old one is let go when the new one is under way. */
  replace(principal: Principal, id: string, wish: PinWish, context: RequestContext): Promise<PinRequest>;
  /** Asks the engine how it goes. */
  get(namespace: string, id: string, context: RequestContext): Promise<PinRequest>;
  /** Newest first; how it goes is told as far as it is known without asking the engine. */
  list(namespace: string, query: PinRequestQuery, context: RequestContext): Promise<PinRequestPage>;
  /** Ends a request. The claim goes with the last one, unless something else than requests asked for it as well. */
  remove(namespace: string, id: string, context: RequestContext): Promise<void>;
}
