import { GatewayError, hasCode } from "../../contracts/errors.ts";
import type { Authenticator, Principal, TopicRight } from "../../contracts/identity.ts";
import { mayUse } from "../../contracts/topic_rights.ts";
import type { Call } from "../call.ts";
import { credentialsOf } from "../credentials.ts";

/** How a socket ends: a close code and a reason in ASCII. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** Milliseconds for which a right holds that nobody can check: as long as for any request. */
const PATIENCE = 60_000;

/** A text that is a credential. @returns the kind that it is by its form: a token has two dots (RFC 7515, 3.1) */
export const kindOf = (credential: string): Principal["kind"] =>
  credential.split(".", 4).length === 3 ? "jwt" : "api_key";

/**
 * Finds out whose a credential is.
 * @param beforeLookup as of {@link Authenticator}
 * @throws GatewayError `UNAVAILABLE`, and what `beforeLookup` throws
 */
export const identify = (
  authenticator: Authenticator,
  kind: Principal["kind"],
  credential: string,
  beforeLookup?: () => void,
): Principal | undefined | Promise<Principal | undefined> =>
  kind === "jwt"
    ? authenticator.identifyToken(credential, beforeLookup)
    : authenticator.identifyKey(credential, beforeLookup);

/** The credential of a call that proved its caller. */
export function credentialOf({ incoming, http, principal }: Pick<Call, "incoming" | "http" | "principal">): string {
  const { token, key } = credentialsOf(incoming, http.req.raw.url);
  const credential = principal.kind === "jwt" ? token : key;
  if (credential === undefined) throw new Error("a caller is known by a credential that did not come");
  return credential;
}

/** Who is behind a connection that stays open: held against the credential again and again. */
export class Standing {
  #principal: Principal;
  #asking = false;
  #ending: Ending | undefined;
  /** When the credential was last known to be good. */
  #known: number;

  /**
   * @param credential that proved the principal
   * @param changed told when the rights are other ones
   * @param monotonic milliseconds that never run backwards
   */
  constructor(
    private readonly authenticator: Authenticator,
    readonly credential: string,
    principal: Principal,
    private readonly monotonic: () => number,
    private readonly changed: (principal: Principal) => void = () => {},
  ) {
    this.#principal = principal;
    this.#known = monotonic();
  }

  get principal(): Principal {
    return this.#principal;
  }

  /** Looks again. @param now Unix milliseconds @returns why the connection must end, once that is known */
  check(now: number): Ending | undefined {
    const { expiresAt } = this.#principal;
    if (expiresAt !== undefined && now >= expiresAt) return EXPIRED;
    if (this.#asking || this.#ending) return this.#ending;
    try {
      const found = identify(this.authenticator, this.#principal.kind, this.credential);
      if (!(found instanceof Promise)) return this.#take(found);
      this.#asking = true;
      found.then((principal) => void this.#take(principal), (error) => void this.#failed(error)).finally(() => {
        this.#asking = false;
      });
      return undefined;
    } catch (error) {
      return this.#failed(error);
    }
  }

  #take(principal: Principal | undefined): Ending | undefined {
    if (principal === undefined) return this.#ending = REVOKED;
    this.#known = this.monotonic();
    if (principal === this.#principal) return undefined;
    if (principal.namespace !== this.#principal.namespace) return this.#ending = REVOKED;
    this.#principal = principal;
    this.changed(principal);
    return undefined;
  }

  #failed(error: unknown): Ending | undefined {
    const passes = hasCode(error, "UNAVAILABLE") && this.monotonic() - this.#known <= PATIENCE;
    return passes ? undefined : this.#ending = UNCHECKED;
  }
}

/** The credential is missing, or has ended by itself. */
export const EXPIRED: Ending = { code: 4401, reason: "the credential has expired" };
/** The credential is good no more, before its time. */
export const REVOKED: Ending = { code: 4403, reason: "the credential was revoked" };
const UNCHECKED: Ending = { code: 4503, reason: "the credential cannot be checked" };

/** @throws GatewayError `INSUFFICIENT_SCOPE` without the scope, `FORBIDDEN` where it does not hold for this topic */
export function assertMayUse(principal: Principal, right: TopicRight, topic: string): void {
  if (mayUse(principal, right, topic)) return;
  const scope = `pubsub:${right}` as const;
  if (!principal.scopes.has(scope)) {
    throw new GatewayError("INSUFFICIENT_SCOPE", `this credential lacks the scope ${scope}`, {
      details: { required_scope: scope },
    });
  }
  throw new GatewayError("FORBIDDEN", `this credential has no right to ${SAID[right]} this topic`, {
    details: [{ field: "topic", problem: `is none that this credential may ${SAID[right]}` }],
  });
}

const SAID: Readonly<Record<TopicRight, string>> = {
  publish: "publish to",
  subscribe: "subscribe to",
  presence: "see who is in",
};

/** @throws GatewayError `FORBIDDEN` for a member that the credential may not be present as */
export function assertMember({ memberId }: Principal, id: string): void {
  if (memberId === undefined || memberId === id) return;
  const problem = "is not the one that this credential may be present as";
  throw new GatewayError("FORBIDDEN", `member: ${problem}`, { details: [{ field: "member", problem }] });
}
