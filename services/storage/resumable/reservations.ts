import { GatewayError } from "../../../src/contracts/errors.ts";
import type { StorageRules } from "../../../src/contracts/settings.ts";
import { overQuota, tooLarge } from "../failures.ts";

/** What a namespace has, and what it may have. */
export interface Allowance {
  readonly rules: StorageRules;
  /** Bytes and objects that are stored. */
  readonly bytes: number;
  readonly objects: number;
}

interface Account {
  uploads: number;
  bytes: number;
}

/** What unfinished uploads will come to, so that all of them fit into what their namespaces may have. */
export class Reservations {
  readonly #accounts = new Map<string, Account>();

  /** @param most unfinished uploads of one namespace */
  constructor(private readonly most: number) {}

  /** What is set aside for a namespace. */
  of(namespace: string): Readonly<Account> {
    return this.#accounts.get(namespace) ?? { uploads: 0, bytes: 0 };
  }

  /**
   * Sets aside what an upload comes to.
   * @param allowance `undefined`: it was set aside before
   * @throws GatewayError `BODY_TOO_LARGE`, `QUOTA_EXCEEDED`, `TOO_MANY_UPLOADS`
   */
  add(namespace: string, bytes: number, allowance?: Allowance): Reservation {
    const account = this.#accounts.get(namespace) ?? { uploads: 0, bytes: 0 };
    if (allowance !== undefined) {
      const { maxObjects } = allowance.rules;
      if (account.uploads >= this.most) throw tooMany(this.most);
      assertFits(account, bytes, bytes, allowance);
      if (maxObjects > 0 && allowance.objects + account.uploads >= maxObjects) throw overQuota("objects", maxObjects);
    }
    account.uploads++;
    account.bytes += bytes;
    this.#accounts.set(namespace, account);
    return new Reservation(account, bytes, () => {
      if (--account.uploads === 0) this.#accounts.delete(namespace);
    });
  }
}

/** What is set aside for one upload. */
export class Reservation {
  #released = false;

  constructor(
    private readonly account: Account,
    private bytes: number,
    private readonly onRelease: () => void,
  ) {}

  /** Sets more aside. @throws GatewayError `BODY_TOO_LARGE`, `QUOTA_EXCEEDED` */
  grow(bytes: number, allowance: Allowance): void {
    const more = bytes - this.bytes;
    if (more <= 0 || this.#released) return;
    assertFits(this.account, more, bytes, allowance);
    this.account.bytes += more;
    this.bytes = bytes;
  }

  /** Gives all of it back; once. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.account.bytes -= this.bytes;
    this.onRelease();
  }
}

function assertFits(account: Account, more: number, whole: number, { rules, bytes }: Allowance): void {
  if (whole > rules.maxObjectBytes) throw tooLarge(rules.maxObjectBytes);
  if (rules.maxBytes > 0 && bytes + account.bytes + more > rules.maxBytes) throw overQuota("bytes", rules.maxBytes);
}

const tooMany = (most: number) =>
  new GatewayError(
    "TOO_MANY_UPLOADS",
    `${most} uploads into this namespace are unfinished on this gateway; finish or delete one of them`,
    { retryAfter: 60, details: { limit: most } },
  );
