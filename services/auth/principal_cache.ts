import { LRUCache } from "lru-cache";
import type { Principal } from "../../src/contracts/identity.ts";

/** What a credential was found to be. */
export interface Identified {
  readonly principal: Principal;
  /** What kills it when revoked, as `<kind>:<id>` of the revocation. */
  readonly bonds: readonly string[];
}

/** How much is remembered, and for how long. */
export interface PrincipalCacheOptions {
  /** Credentials remembered; the least recently used leave. */
  readonly size: number;
  /** Milliseconds after which even a known credential is looked up again. */
  readonly life: number;
  readonly now: () => number;
}

interface LookUp {
  readonly found: Promise<Identified | undefined>;
  readonly valid: () => boolean;
}

/** Unknown credentials are remembered apart, so that guesses cannot push out the good ones, and shortly. */
const UNKNOWN_SIZE = 10_000;
const UNKNOWN_LIFE = 5_000;

/** Credential → principal without a trip to the control plane; simultaneous look-ups of one credential are one. */
export class PrincipalCache {
  readonly #known: LRUCache<string, Identified & { readonly until: number }>;
  readonly #unknown: LRUCache<string, number>;
  readonly #underWay = new Map<string, LookUp>();

  constructor(private readonly options: PrincipalCacheOptions) {
    this.#known = new LRUCache({ max: options.size });
    this.#unknown = new LRUCache({ max: UNKNOWN_SIZE });
  }

  /** @returns the principal, `null` when the credential was just found to be unknown, `undefined` when it must be looked up */
  peek(credential: string): Principal | null | undefined {
    const now = this.options.now();
    const hit = this.#known.get(credential);
    if (hit) {
      if (isDead(hit.principal, now)) return null;
      return now < hit.until ? hit.principal : undefined;
    }
    const unknownUntil = this.#unknown.get(credential);
    return unknownUntil !== undefined && now < unknownUntil ? null : undefined;
  }

  /**
   * Looks a credential up.
   * @param valid whether what is being looked up may still be kept, and handed to those who ask only now (nothing was revoked
   * since it began)
   */
  async resolve(
    credential: string,
    lookUp: () => Promise<Identified | undefined>,
    valid: () => boolean,
  ): Promise<Principal | undefined> {
    let current = this.#underWay.get(credential);
    if (!current?.valid()) {
      const found = lookUp().then((found) => {
        if (valid()) this.#keep(credential, found);
        return found;
      }).finally(() => {
        if (this.#underWay.get(credential)?.found === found) this.#underWay.delete(credential);
      });
      this.#underWay.set(credential, current = { found, valid });
    }
    const found = await current.found;
    return found && !isDead(found.principal, this.options.now()) ? found.principal : undefined;
  }

  /** Forgets what a revocation may have killed. Walks the whole cache: revocations are rare and requests are not. */
  evict(bond: string): void {
    for (const [credential, { bonds }] of this.#known.entries()) {
      if (bonds.includes(bond)) this.#known.delete(credential);
    }
  }

  #keep(credential: string, found: Identified | undefined): void {
    const now = this.options.now();
    if (!found) {
      this.#known.delete(credential);
      this.#unknown.set(credential, now + UNKNOWN_LIFE);
      return;
    }
    this.#known.set(credential, { ...found, until: now + this.options.life });
  }
}

const isDead = ({ expiresAt }: Principal, now: number) => expiresAt !== undefined && now >= expiresAt;
