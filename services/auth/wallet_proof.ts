import { GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { Challenge, ChallengeRequest, WalletProof } from "../../src/contracts/wallet_auth.ts";
import { ConstraintViolation, type ControlDatabase } from "../control_plane/control_database.ts";
import type { ContractWallets } from "./crypto/contract_wallet.ts";
import type { Nonces } from "./crypto/nonce.ts";
import { bindingOf, checkMessage, createMessage, parseMessage } from "./crypto/sign_in_message.ts";
import { canonicalWallet, type Wallet } from "./crypto/wallet.ts";
import { verifyWalletSignature } from "./crypto/wallet_signature.ts";

/** What proofs are checked with. */
export interface WalletProofsParts {
  readonly control: ControlDatabase;
  readonly nonces: Nonces;
  readonly now: () => number;
  /** Milliseconds that a nonce is good. */
  readonly nonceTtl: number;
  /** What a message must say of this gateway; asked at each use because a port may be known only after listening. */
  readonly site: () => SignInSite;
  /** Wallets that are contracts, where an Ethereum node is configured. */
  readonly contracts: ContractWallets | undefined;
}

/** This gateway as it stands in sign-in messages. */
export interface SignInSite {
  /** Origins that may ask for signatures: the gateway's own first, then those of trusted applications. */
  readonly origins: readonly string[];
  /** The domain and URI offered in messages, where they are not those of the first origin. */
  readonly domain?: string | undefined;
  readonly uri?: string | undefined;
  /** EIP-155 ids that are accepted; the first is offered. */
  readonly chainIds: readonly number[];
  readonly statement?: string | undefined;
}

/** A wallet that proved itself. */
export interface ProvenWallet {
  readonly wallet: Wallet;
  /** As the client spelled it. */
  readonly subject: string;
  readonly namespace: string;
  /** As the client gave it: echoed. */
  readonly nonce: string;
}

/** What a nonce can be for. A client's own purposes work too, if it names them again with the proof. */
export const PURPOSES = {
  verify: ["authentication"],
  apiKey: ["authentication", "api_key_generation"],
  register: ["authentication", "registration"],
  login: ["api_key_generation", "authentication"],
} as const;

/** Purposes that belong to certain operations: no client can name one of them for another. */
const RESERVED: ReadonlySet<string> = new Set(Object.values(PURPOSES).flat());

/** Makes things to sign and checks what comes back. A nonce counts once, whichever gateway it comes to. */
export class WalletProofs {
  constructor(private readonly parts: WalletProofsParts) {}

  challenge({ wallet: spelled, namespace, purpose, chainType, chainId, origin }: ChallengeRequest): Challenge {
    const wallet = canonicalWallet(spelled, chainType);
    const { origins, statement, chainIds, ...site } = this.parts.site();
    const { nonce, expiresAt } = this.parts.nonces.issue({ wallet, namespace, purpose, ttl: this.parts.nonceTtl });
    // A page of a trusted application signs in under its own name, which is the one its user's wallet compares.
    const page = origin !== undefined && origins.includes(origin) ? origin : undefined;
    const message = createMessage({
      wallet,
      domain: page ? authorityOf(page) : site.domain ?? authorityOf(origins[0]!),
      uri: page ?? site.uri ?? origins[0]!,
      ...(statement !== undefined && { statement }),
      chainId: wallet.chain === "SOL" ? "mainnet" : String(chainId ?? chainIds[0] ?? 1),
      nonce,
      issuedAt: this.parts.now(),
      expirationTime: expiresAt,
      namespace,
      purpose,
    });
    return { nonce, message, expiresAt };
  }

  /**
   * Checks the signature, then the nonce, then uses the nonce up.
   * @param purposes those that this operation accepts
   * @throws GatewayError `SIGNATURE_INVALID` for whatever does not hold, `INVALID_REQUEST` for what is no proof at all
   */
  async prove(proof: WalletProof, purposes: readonly string[], context: RequestContext): Promise<ProvenWallet> {
    const { proven, signed, chainId, accepted } = proof.kind === "nonce"
      ? this.#ofNonce(proof, purposes)
      : this.#ofMessage(proof.message, purposes);
    const verdict = this.parts.nonces.check(proven.nonce, {
      wallet: proven.wallet,
      namespace: proven.namespace,
      purposes: accepted,
    });
    if (!verdict.ok) throw refused(`nonce is ${verdict.reason}`);
    const claim = { wallet: proven.wallet, message: signed, signature: proof.signature, chainId };
    if (!await verifyWalletSignature(claim, this.parts.contracts, context.signal)) {
      throw refused("signature does not match");
    }
    await this.#consume(proven.nonce, verdict.expiresAt, context);
    return proven;
  }

  #ofNonce(proof: Extract<WalletProof, { kind: "nonce" }>, purposes: readonly string[]): Claim {
    const { wallet, nonce, namespace, chainType, purpose } = proof;
    return {
      proven: { wallet: canonicalWallet(wallet, chainType), subject: wallet, namespace, nonce },
      signed: nonce,
      // A bare nonce names no chain; a contract wallet is then looked for on the first one.
      chainId: this.parts.site().chainIds[0] ?? 1,
      accepted: purpose === undefined || RESERVED.has(purpose)
        ? purposes.filter((accepted) => purpose === undefined || accepted === purpose)
        : [purpose],
    };
  }

  #ofMessage(text: string, purposes: readonly string[]): Claim {
    const message = parseMessage(text);
    const { origins, domain, uri, chainIds } = this.parts.site();
    const problems = checkMessage(message, {
      domains: [...origins.map(authorityOf), ...(domain ? [domain] : [])],
      origins: [...origins, ...(uri ? [new URL(uri).origin] : [])],
      chainIds: [...chainIds.map(String), ...(message.chain === "SOL" ? SOLANA_CHAINS : [])],
      now: this.parts.now(),
    });
    if (problems.length > 0) throw refused(problems.map(({ field, problem }) => `${field} ${problem}`).join("; "));
    const { namespace, purpose } = bindingOf(message);
    return {
      proven: {
        wallet: canonicalWallet(message.address, message.chain),
        subject: message.address,
        // Its absence is among the problems above.
        namespace: namespace!,
        nonce: message.nonce,
      },
      signed: text,
      chainId: message.chain === "ETH" ? Number(message.chainId) : 1,
      accepted: purpose === undefined ? purposes : purposes.filter((accepted) => accepted === purpose),
    };
  }

  /** The insert that succeeds wins: two verifications at once, on two gateways, cannot both pass the UNIQUE constraint. */
  async #consume(nonce: string, expiresAt: number, { signal }: RequestContext): Promise<void> {
    const { control } = this.parts;
    try {
      await control.run(control.db.insertInto("consumed_nonces").values({ nonce, expires_at: expiresAt }), signal);
    } catch (error) {
      if (error instanceof ConstraintViolation) throw refused("nonce was used");
      throw error;
    }
  }
}

interface Claim {
  readonly proven: ProvenWallet;
  /** The text that the wallet signed. */
  readonly signed: string;
  readonly chainId: number;
  readonly accepted: readonly string[];
}

/** The chain names that wallets of Solana put into their messages. */
const SOLANA_CHAINS = ["mainnet", "solana:mainnet", "testnet", "solana:testnet", "devnet", "solana:devnet"];

const authorityOf = (origin: string) => new URL(origin).host;

/** One answer for all failures, so that it tells an attacker nothing; the reason goes to the log. */
const refused = (reason: string) =>
  new GatewayError("SIGNATURE_INVALID", "signature verification failed", { cause: new Error(reason) });
