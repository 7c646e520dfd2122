import type { WebhookAlgorithm, WebhookKey } from "../../src/contracts/webhooks.ts";
import { BOUNDS } from "./bounds.ts";

/** Seals what is kept, and opens it again where it stood. */
export interface Sealing {
  /** @param context where it will stand: it opens there only */
  seal(text: string, context: string): string;
  /** @throws Error where it cannot be opened; the message holds nothing of it */
  open(sealed: string, context: string): string;
}

/** A key as it is kept. */
export interface KeptKey {
  readonly id: string;
  readonly sealed: string;
  readonly public?: string;
  /** Until when it signs; absent of the newest. */
  readonly until?: number;
}

/** A key that can sign. */
export interface SigningKey {
  readonly id: string;
  readonly algorithm: WebhookAlgorithm;
  sign(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** Whose key it is. */
export interface KeyOwner {
  readonly id: string;
  readonly namespace: string;
  readonly namespace_created_at: number;
  readonly algorithm: string;
  readonly keys: string;
}

const BYTES = 32;
const BASE64 = { alphabet: "base64url", omitPadding: true } as const;
/** Before 32 bytes of a private key: RFC 8410, 7. */
const PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");

/** Makes keys of endpoints, and opens them. */
export class Keys {
  /** @param random cryptographically strong bytes */
  constructor(private readonly sealing: Sealing, private readonly random: (n: number) => Uint8Array) {}

  /** A new key, and what its owner is shown of it once. */
  async make(
    owner: Omit<KeyOwner, "keys">,
  ): Promise<{ readonly key: KeptKey; readonly secret: string | undefined }> {
    const id = `whk_${this.random(8).toHex()}`;
    const bytes = new Uint8Array(this.random(BYTES));
    const text = bytes.toBase64(BASE64);
    const sealed = this.sealing.seal(text, contextOf(owner, id));
    if (owner.algorithm === "hmac-sha256") return { key: { id, sealed }, secret: `whsec_${text}` };
    return { key: { id, sealed, public: `whpk_${await publicHalf(bytes)}` }, secret: undefined };
  }

  /**
   * Those that sign now, the newest first.
   * @param now Unix milliseconds
   * @throws Error where one cannot be opened
   */
  async opened(owner: KeyOwner, now: number): Promise<readonly SigningKey[]> {
    const algorithm = owner.algorithm as WebhookAlgorithm;
    return await Promise.all(
      livingOf(owner.keys, now).map(async ({ id, sealed }) => {
        const bytes = Uint8Array.fromBase64(this.sealing.open(sealed, contextOf(owner, id)), BASE64);
        const key = await imported(algorithm, bytes);
        const name = algorithm === "ed25519" ? "Ed25519" : "HMAC";
        return {
          id,
          algorithm,
          sign: async (data: Uint8Array<ArrayBuffer>) => new Uint8Array(await crypto.subtle.sign(name, key, data)),
        };
      }),
    );
  }
}

/** A list of keys with a new one in front of it; the one before signs for a while yet. */
export function rotated(keys: string, fresh: KeptKey, now: number): string {
  const old = livingOf(keys, now).map((key): KeptKey => ({ ...key, until: key.until ?? now + BOUNDS.overlap }));
  return JSON.stringify([fresh, ...old].slice(0, BOUNDS.keys));
}

/** What may be seen of the keys that sign. */
export const shownKeys = (keys: string, now: number): readonly WebhookKey[] =>
  livingOf(keys, now).map((key) => ({ id: key.id, publicKey: key.public, until: key.until }));

const livingOf = (keys: string, now: number): readonly KeptKey[] =>
  (JSON.parse(keys) as KeptKey[]).filter(({ until }) => until === undefined || until > now);

/** Unambiguous, whatever the names hold. */
const contextOf = ({ namespace, namespace_created_at, id }: Omit<KeyOwner, "keys" | "algorithm">, key: string) =>
  JSON.stringify(["webhook", namespace, namespace_created_at, id, key]);

const imported = (algorithm: WebhookAlgorithm, bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> =>
  algorithm === "ed25519"
    ? crypto.subtle.importKey("pkcs8", pkcs8Of(bytes), "Ed25519", false, ["sign"])
    : crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

async function publicHalf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const key = await crypto.subtle.importKey("pkcs8", pkcs8Of(bytes), "Ed25519", true, ["sign"]);
  return (await crypto.subtle.exportKey("jwk", key)).x!;
}

function pkcs8Of(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(PKCS8.length + bytes.length);
  whole.set(PKCS8);
  whole.set(bytes, PKCS8.length);
  return whole;
}
