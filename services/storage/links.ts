import { createHmac, timingSafeEqual } from "node:crypto";
import type { StorageObjectTable } from "../control_plane/schema.ts";
import { linkKey } from "./encryption/keys.ts";

/** What the token of a link says, before it is known to be true. */
export interface LinkClaim {
  readonly namespace: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly mac: Uint8Array;
}

const MAC_BYTES = 32;
const LONGEST = 200;
const BASE64 = { alphabet: "base64url", omitPadding: true } as const;

/**
 * Tokens of links, `<namespace>.<expiry>.<MAC>`. Nothing is stored: the MAC covers the claim that it is for, so that a token dies
 * with its claim, and with everything that raises the claim's `link_serial`.
 */
export class Links {
  readonly #key: Uint8Array;

  /** @param root 32 bytes from which the key of links is derived, the same on every gateway */
  constructor(root: Uint8Array, private readonly now: () => number) {
    this.#key = linkKey(root);
  }

  /** The token that lets whoever has it read this object. @param expiresAt Unix milliseconds */
  make(object: StorageObjectTable, expiresAt: number): string {
    return `${object.namespace}.${expiresAt.toString(36)}.${this.#mac(object, expiresAt).toBase64(BASE64)}`;
  }

  /** What a token says; `undefined` for what was never one, or is over. */
  read(token: string): LinkClaim | undefined {
    if (token.length > LONGEST) return undefined;
    const [, namespace, expiry, mac] = /^([\w-]+)\.([0-9a-z]{1,11})\.([\w-]{43})$/.exec(token) ?? [];
    if (namespace === undefined) return undefined;
    const expiresAt = parseInt(expiry!, 36);
    if (!(expiresAt > this.now())) return undefined;
    try {
      const bytes = Uint8Array.fromBase64(mac!, BASE64);
      return bytes.length === MAC_BYTES ? { namespace, expiresAt, mac: bytes } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether what a token says is true of this object. */
  permits({ namespace, expiresAt, mac }: LinkClaim, object: StorageObjectTable): boolean {
    return namespace === object.namespace && timingSafeEqual(mac, this.#mac(object, expiresAt));
  }

  #mac(object: StorageObjectTable, expiresAt: number): Uint8Array {
    const { namespace, cid, created_at, link_serial } = object;
    // None of them can hold the character between them.
    const text = ["link", namespace, cid, expiresAt, created_at, link_serial].join("\0");
    return createHmac("sha256", this.#key).update(text).digest();
  }
}
