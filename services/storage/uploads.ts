import { GatewayError } from "../../src/contracts/errors.ts";
import type { StorageRules } from "../../src/contracts/settings.ts";
import { overQuota, tooLarge } from "./failures.ts";
import { SNIFFED_BYTES } from "./media_types.ts";

/** Uploads into one namespace, on this gateway. */
interface Account {
  uploads: number;
  /** Bytes that are recorded for the namespace, as far as this gateway knows. */
  recorded: number;
  /** Bytes that uploads under way have taken, or said that they will. */
  reserved: number;
}

/** Counts uploads that are under way and the bytes they bring, so that what cannot fit is not read to its end. */
export class Uploads {
  readonly #accounts = new Map<string, Account>();
  #bytes = 0;

  /** Bytes that were taken from clients since the start. */
  get bytes(): number {
    return this.#bytes;
  }

  /** One more upload. @throws GatewayError `TOO_MANY_UPLOADS` */
  begin(namespace: string, rules: StorageRules): Upload {
    const account = this.#accounts.get(namespace) ?? { uploads: 0, recorded: 0, reserved: 0 };
    if (account.uploads >= rules.maxUploads) {
      const sentence = `${rules.maxUploads} uploads into this namespace are under way already; nothing was stored`;
      throw new GatewayError("TOO_MANY_UPLOADS", sentence, { retryAfter: 1 });
    }
    account.uploads++;
    this.#accounts.set(namespace, account);
    return new Upload(account, rules, (bytes) => this.#bytes += bytes, () => {
      if (--account.uploads === 0) this.#accounts.delete(namespace);
    });
  }
}

/** One upload: what passes is counted against the limits of its namespace. Ends with `using`. */
export class Upload implements Disposable {
  #taken = 0;
  #reserved = 0;
  #ended = false;
  readonly #head = new Uint8Array(SNIFFED_BYTES);

  constructor(
    private readonly account: Account,
    private readonly rules: StorageRules,
    private readonly onBytes: (bytes: number) => void,
    private readonly onEnd: () => void,
  ) {}

  /** Bytes that passed. */
  get taken(): number {
    return this.#taken;
  }

  /** How the content began. */
  get head(): Uint8Array {
    return this.#head.subarray(0, Math.min(this.#taken, SNIFFED_BYTES));
  }

  /**
   * Says what the namespace has, and how much will come where that is known.
   * @throws GatewayError `BODY_TOO_LARGE`, `QUOTA_EXCEEDED`
   */
  expect(recorded: number, length: number | undefined): void {
    this.account.recorded = recorded;
    if (length !== undefined) this.#reserve(length);
  }

  /** Hands content on, and counts it. @throws GatewayError `BODY_TOO_LARGE`, `QUOTA_EXCEEDED`, as soon as it cannot fit */
  async *count(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      if (this.#taken < SNIFFED_BYTES) this.#head.set(chunk.subarray(0, SNIFFED_BYTES - this.#taken), this.#taken);
      this.#taken += chunk.byteLength;
      this.onBytes(chunk.byteLength);
      this.#reserve(this.#taken);
      yield chunk;
    }
  }

  /** The upload is recorded: what it brought is no longer on its way. @param bytes that the namespace has now */
  recorded(bytes: number): void {
    this.account.recorded = bytes;
    this.#release();
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.onEnd();
  }

  #release(): void {
    this.account.reserved -= this.#reserved;
    this.#reserved = 0;
  }

  #reserve(bytes: number): void {
    const { maxObjectBytes, maxBytes } = this.rules;
    if (bytes > maxObjectBytes) throw tooLarge(maxObjectBytes);
    const more = Math.max(0, bytes - this.#reserved);
    if (maxBytes > 0 && this.account.recorded + this.account.reserved + more > maxBytes) {
      // Ending it takes a while, and others that would fit must not be refused for it meanwhile.
      this.#release();
      throw overQuota("bytes", maxBytes);
    }
    this.account.reserved += more;
    this.#reserved += more;
  }
}
