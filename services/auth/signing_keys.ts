import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { PublicJwk } from "../../src/contracts/wallet_auth.ts";
import { type ControlDatabase, lookUpDeadline } from "../control_plane/control_database.ts";
import type { SigningKeyTable } from "../control_plane/schema.ts";
import { RootKeyError } from "./crypto/root_key.ts";

/** Closes and opens what may lie in the database only under lock. `label` binds a text to its place. */
export interface Seal {
  seal(text: string, label: string): string;
  /** @throws Error when the text was sealed with another key or for another place. */
  open(text: string, label: string): string;
}

/** How signing keys are kept, and when they change. */
export interface SigningKeysOptions {
  readonly now: () => number;
  /** Milliseconds that never run backwards or jump: how often unknown keys are looked up goes by them. */
  readonly monotonic: () => number;
  readonly seal: Seal;
  /** Milliseconds after which a newer key takes over. */
  readonly rotation: number;
  /** Milliseconds that an access token lives: so long a replaced key still verifies. */
  readonly tokenTtl: number;
}

/** A key that signs. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
}

interface Loaded {
  readonly row: SigningKeyTable;
  readonly publicJwk: PublicJwk;
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

/** A look for unknown keys: while it is under way and for a moment after, its end answers whoever asks. */
interface LookUp {
  readonly done: Promise<void>;
  until: number;
}

/** A new key is published this long before it signs, so that every gateway has read it by then. */
const PUBLISHED_BEFORE_USE = 5 * 60 * 1000;
/** Unknown key ids are looked up at most this often, whether that succeeds or not: anyone can invent one. */
const LOOK_UP_PAUSE = 1000;
const CLOCK_SKEW = 60 * 1000;

/**
 * The Ed25519 keys of the cluster's access tokens (RFC 8037), shared by all gateways through the control plane, where
 * their private halves lie sealed.
 */
export class SigningKeys {
  #keys: Loaded[] = [];
  #loaded = false;
  #lookUp: LookUp | undefined;

  constructor(private readonly control: ControlDatabase, private readonly options: SigningKeysOptions) {}

  /**
   * Reads the keys and makes the first one where there is none. Run again from time to time, it rotates them. Of several
   * gateways that do so at once, one makes a key.
   * @throws RootKeyError when the keys were sealed under another root key
   */
  async maintain(): Promise<void> {
    await this.#load();
    const now = this.options.now();
    const newest = this.#keys[0];
    if (newest && now < newest.row.active_from + this.options.rotation) return;
    await this.#create(newest?.row, newest ? now + PUBLISHED_BEFORE_USE : now);
    await this.#load();
  }

  /** The key that signs now. @throws GatewayError `UNAVAILABLE` before the first one was read */
  current(): SigningKey {
    const now = this.options.now();
    const key = this.#keys.find(({ row }) => row.active_from <= now) ?? this.#keys.at(-1);
    if (!key) throw notReadYet();
    return { kid: key.row.kid, privateKey: key.privateKey };
  }

  /**
   * The public key of an id; looks again in the control plane for one that is not known yet.
   * @throws GatewayError `UNAVAILABLE` when it is not known and cannot be looked up
   */
  async publicKey(kid: string): Promise<CryptoKey | undefined> {
    const known = this.#find(kid);
    if (known) return known;
    // Whoever starts this gateway is about to read them.
    if (!this.#loaded) throw notReadYet();
    const { monotonic } = this.options;
    if (!this.#lookUp || monotonic() >= this.#lookUp.until) {
      const lookUp: LookUp = this.#lookUp = {
        until: Infinity,
        done: this.#load(lookUpDeadline()).catch(cannotLookUp).finally(() =>
          lookUp.until = monotonic() + LOOK_UP_PAUSE
        ),
      };
    }
    await this.#lookUp.done;
    return this.#find(kid);
  }

  /** The JSON Web Key Set's members (RFC 7517), newest first; keys that will sign soon are among them. */
  publicJwks(): readonly PublicJwk[] {
    return this.#keys.filter((key) => this.#verifies(key)).map(({ publicJwk }) => publicJwk);
  }

  #find(kid: string): CryptoKey | undefined {
    return this.#keys.find((key) => key.row.kid === kid && this.#verifies(key))?.publicKey;
  }

  #verifies({ row }: Loaded): boolean {
    return row.retired_at === null || row.retired_at > this.options.now();
  }

  async #load(signal?: AbortSignal): Promise<void> {
    const now = this.options.now();
    const { rows } = await this.control.run<SigningKeyTable>(
      this.control.db.selectFrom("signing_keys").selectAll()
        .where((where) => where.or([where("retired_at", "is", null), where("retired_at", ">", now)]))
        .orderBy("active_from", "desc").orderBy("kid"),
      signal,
    );
    const known = new Map(this.#keys.map((key) => [key.row.kid, key]));
    this.#keys = await Promise.all(rows.map(async (row) => {
      const before = known.get(row.kid);
      return before ? { ...before, row } : await this.#open(row);
    }));
    this.#loaded = true;
  }

  async #open(row: SigningKeyTable): Promise<Loaded> {
    const privateJwk: JWK = JSON.parse(this.#unsealed(row));
    const publicJwk: PublicJwk = JSON.parse(row.public_jwk);
    return {
      row,
      publicJwk,
      publicKey: await importJWK(publicJwk, "EdDSA") as CryptoKey,
      privateKey: await importJWK(privateJwk, "EdDSA") as CryptoKey,
    };
  }

  #unsealed({ kid, sealed_private_jwk }: SigningKeyTable): string {
    try {
      return this.options.seal.open(sealed_private_jwk, `signing-key:${kid}`);
    } catch (cause) {
      throw new RootKeyError(
        "the root key is not the one under which this cluster's signing keys lie: give this gateway the root key of the others",
        { cause },
      );
    }
  }

  async #create(replaced: SigningKeyTable | undefined, activeFrom: number): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const [publicJwk, privateJwk] = await Promise.all([exportJWK(publicKey), exportJWK(privateKey)]);
    const kid = await calculateJwkThumbprint(publicJwk);
    const now = this.options.now();
    const { db } = this.control;
    const newest = db.selectFrom("signing_keys").where("retired_at", "is", null);
    // One gateway alone finds what it read a moment ago: no key at all, or the one that is to be replaced.
    const insert = db.insertInto("signing_keys")
      .columns(["kid", "public_jwk", "sealed_private_jwk", "created_at", "active_from", "retired_at"])
      .expression(
        db.selectNoFrom(({ val }) => [
          val(kid).as("kid"),
          val(JSON.stringify({ ...publicJwk, kid, use: "sig", alg: "EdDSA" })).as("public_jwk"),
          val(this.options.seal.seal(JSON.stringify(privateJwk), `signing-key:${kid}`)).as("sealed_private_jwk"),
          val(now).as("created_at"),
          val(activeFrom).as("active_from"),
          val<number | null>(null).as("retired_at"),
        ]).where(({ exists, not }) =>
          replaced ? exists(newest.select("kid").where("kid", "=", replaced.kid)) : not(exists(newest.select("kid")))
        ),
      );
    const retire = replaced === undefined ? [] : [
      db.updateTable("signing_keys").where("kid", "=", replaced.kid).where("retired_at", "is", null)
        .set({ retired_at: activeFrom + this.options.tokenTtl + CLOCK_SKEW }),
    ];
    await this.control.atomically([insert, ...retire]);
  }
}

const notReadYet = () => new GatewayError("UNAVAILABLE", "no signing key could be read yet");

function cannotLookUp(cause: unknown): never {
  throw new GatewayError("UNAVAILABLE", "the key of this token cannot be looked up at the moment", { cause });
}
