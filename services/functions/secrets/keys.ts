/** Bytes of a key of AES-256. */
const KEY_BYTES = 32;
/** Bytes of a nonce, as NIST SP 800-38D has it for AES-GCM. */
const IV_BYTES = 12;
/** Names the form of a sealed value, so that another cipher can follow. */
const FORM = "v1.";
const BASE64 = { alphabet: "base64url", omitPadding: true } as const;

/** What was sealed cannot be opened. The message holds nothing of it. */
export class CannotOpen extends Error {
  override readonly name = "CannotOpen";

  /** @param reason `key`: the key is not there; `content`: it was sealed for another place, or changed */
  constructor(readonly reason: "key" | "content", readonly keyId: string) {
    super(
      reason === "key"
        ? `the key ${keyId}, which sealed it, is not among functions.secrets.key and functions.secrets.old_keys`
        : `it was sealed with the key ${keyId} for another namespace or name, or was changed`,
    );
  }
}

/** Where a value stands: it opens there only. */
export interface Place {
  readonly namespace: string;
  /** Unix milliseconds at which the namespace was made; tells it from another one of its name. */
  readonly made: number;
  readonly name: string;
}

/** A value that was sealed, fit for columns of text. */
export interface Sealed {
  /** Which key did. */
  readonly keyId: string;
  readonly sealed: string;
}

/** Seals with the newest of some keys (AES-256-GCM), and opens what any of them sealed. */
export class SealingKeys {
  readonly #keys: ReadonlyMap<string, CryptoKey>;

  private constructor(
    keys: ReadonlyMap<string, CryptoKey>,
    /** Names the key that seals. */
    readonly newest: string,
    private readonly random: (n: number) => Uint8Array,
  ) {
    this.#keys = keys;
  }

  /**
   * @param keys 32 bytes each, the one that seals first
   * @param random cryptographically strong bytes
   */
  static async of(keys: readonly Uint8Array[], random: (n: number) => Uint8Array): Promise<SealingKeys> {
    const known = new Map<string, CryptoKey>();
    for (const key of keys) {
      if (key.length !== KEY_BYTES) throw new TypeError(`a key has ${KEY_BYTES} bytes`);
      const bytes = new Uint8Array(key);
      const id = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 16);
      if (known.has(id)) continue;
      known.set(id, await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]));
    }
    const [newest] = known.keys();
    if (newest === undefined) throw new TypeError("there is no key");
    return new SealingKeys(known, newest, random);
  }

  /** Seals a value for the place where it will stand. */
  async seal(value: string, place: Place): Promise<Sealed> {
    const iv = new Uint8Array(this.random(IV_BYTES));
    const bytes = new TextEncoder().encode(value);
    const sealed = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: boundTo(place) },
      this.#keys.get(this.newest)!,
      bytes,
    );
    const whole = new Uint8Array(IV_BYTES + sealed.byteLength);
    whole.set(iv);
    whole.set(new Uint8Array(sealed), IV_BYTES);
    return { keyId: this.newest, sealed: FORM + whole.toBase64(BASE64) };
  }

  /** @throws CannotOpen */
  async open({ keyId, sealed }: Sealed, place: Place): Promise<string> {
    const key = this.#keys.get(keyId);
    if (key === undefined) throw new CannotOpen("key", keyId);
    try {
      if (!sealed.startsWith(FORM)) throw new Error("unknown form");
      const whole = Uint8Array.fromBase64(sealed.slice(FORM.length), BASE64);
      const opened = await crypto.subtle.decrypt(
        { name: "AES-GCM", iv: whole.subarray(0, IV_BYTES), additionalData: boundTo(place) },
        key,
        whole.subarray(IV_BYTES),
      );
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(opened);
    } catch {
      // What it failed of says nothing that helps, and might say something of the value.
      throw new CannotOpen("content", keyId);
    }
  }
}

/** Unambiguous, whatever the names hold. */
const boundTo = ({ namespace, made, name }: Place): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(JSON.stringify([FORM, namespace, made, name]));
