import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal, Role } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type {
  App,
  Challenge,
  ChallengeRequest,
  KeyGrant,
  LoginRequest,
  PublicJwk,
  SessionOrigin,
  TokenGrant,
  WalletAuth,
  WalletGrant,
  WalletProof,
} from "../../src/contracts/wallet_auth.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import type { ControlApiKeys } from "./api_keys.ts";
import { canonicalWallet } from "./crypto/wallet.ts";
import { isSession, newId, type Random } from "./ids.ts";
import type { LoginCodes } from "./login_codes.ts";
import { SCOPES_OF_ROLE } from "./rights.ts";
import type { LiveSession, WalletSessions } from "./sessions.ts";
import type { SigningKeys } from "./signing_keys.ts";
import type { Tokens, TokenSubject } from "./tokens.ts";
import { type ProvenWallet, PURPOSES, type WalletProofs } from "./wallet_proof.ts";

/** What sign-in is put together from. */
export interface WalletAuthParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  readonly proofs: WalletProofs;
  readonly sessions: WalletSessions;
  readonly apiKeys: ControlApiKeys;
  readonly tokens: Tokens;
  readonly signingKeys: SigningKeys;
  readonly loginCodes: LoginCodes;
  /** Lets a wallet into a namespace. */
  readonly admit: (namespace: string, wallet: string, context: RequestContext) => Promise<Role>;
  readonly now: () => number;
  readonly random: Random;
  /** Whether keys are given without a proof: in development. */
  readonly simpleKey: boolean;
}

/** Sign-in by wallet, tokens and the login page. */
export class WalletSignIn implements WalletAuth {
  constructor(private readonly parts: WalletAuthParts) {}

  challenge(request: ChallengeRequest, _context: RequestContext): Challenge {
    return this.parts.proofs.challenge(request);
  }

  async verify(proof: WalletProof, origin: SessionOrigin, context: RequestContext): Promise<WalletGrant> {
    const rev = await this.#heard();
    const { proven, role } = await this.#enter(proof, PURPOSES.verify, context);
    const { wallet, namespace, subject, nonce } = proven;
    const apiKey = await this.parts.apiKeys.ofWallet(namespace, wallet.canonical, context);
    const session = await this.parts.sessions.open(
      { namespace, wallet: wallet.canonical, subject },
      role,
      origin,
      context,
    );
    const { refreshToken } = session;
    return { ...await this.#tokenOf(session, rev), refreshToken, apiKey, nonce, wallet: wallet.canonical, role };
  }

  async apiKey(proof: WalletProof, context: RequestContext): Promise<KeyGrant> {
    const { proven } = await this.#enter(proof, PURPOSES.apiKey, context);
    return await this.#keyOf(proven.namespace, proven.wallet.canonical, context);
  }

  async register(proof: WalletProof, name: string, context: RequestContext): Promise<App> {
    const { proven: { namespace, wallet: { canonical } } } = await this.#enter(proof, PURPOSES.register, context);
    const { control, audit, random, now } = this.parts;
    const appId = newId("app", random);
    await control.atomically([
      control.db.insertInto("apps").values({ app_id: appId, namespace, wallet: canonical, name, created_at: now() }),
      audit.entry(
        { namespace, actor: canonical, action: "app.registered", resource: appId, details: { name } },
        context,
      ),
    ], context.signal);
    return { appId, name, namespace, wallet: canonical };
  }

  async simpleKey(wallet: string, namespace: string, context: RequestContext): Promise<KeyGrant> {
    if (!this.parts.simpleKey) {
      throw new GatewayError("NOT_FOUND", "keys without a signature exist in development only");
    }
    const { canonical } = canonicalWallet(wallet);
    await this.parts.admit(namespace, canonical, context);
    // Always a new key: the wallet's own one is for who can sign for the wallet.
    const { key } = await this.parts.apiKeys.createBySystem(
      namespace,
      { name: `simple-key ${canonical}` },
      { subject: canonical },
      context,
    );
    return { apiKey: key, namespace, wallet: displayed(canonical) };
  }

  async tokenForKey(key: Principal): Promise<TokenGrant> {
    const { id, wallet, role, namespace, scopes, topics, operator, asOf: rev, expiresAt } = key;
    if (operator) throw new GatewayError("FORBIDDEN", "an operator's key cannot be exchanged for a token");
    return await this.#token(
      { sub: `key:${id}`, wallet, namespace, scopes: [...scopes], topics, role, key: id, rev },
      expiresAt,
    );
  }

  async renew(caller: Principal, key: Principal): Promise<TokenGrant> {
    if (caller.namespace !== key.namespace || caller.wallet !== key.wallet) {
      throw new GatewayError("FORBIDDEN", "the access token and the API key have different owners; send one of them");
    }
    if (!isOfSession(caller)) return await this.tokenForKey(key);
    const rev = await this.#heard();
    const session = await this.parts.sessions.find(caller.id);
    if (!session) throw new GatewayError("INVALID_CREDENTIAL", "the session of this token has ended; sign in again");
    return await this.#tokenOf(session, rev);
  }

  async refresh(refreshToken: string, namespace: string | undefined, context: RequestContext): Promise<TokenGrant> {
    const rev = await this.#heard();
    const session = await this.parts.sessions.refresh(refreshToken, namespace, context);
    return { ...await this.#tokenOf(session, rev), refreshToken: session.refreshToken };
  }

  async logout(refreshToken: string, context: RequestContext): Promise<void> {
    await this.parts.sessions.revokeByToken(refreshToken, context);
  }

  async logoutCaller(caller: Principal, all: boolean, context: RequestContext): Promise<void> {
    const { sessions } = this.parts;
    const { id, namespace, wallet, subject: actor, tokenId } = caller;
    if (all && wallet !== undefined) await sessions.revokeAll(namespace, wallet, context);
    else if (isOfSession(caller)) await sessions.end([id], { namespace, actor, action: "session.revoked" }, context);
    if (tokenId === undefined || isOfSession(caller)) return;
    const { control, revocations, audit } = this.parts;
    // One that names topics hangs on itself.
    const details = id === tokenId ? {} : { key: id };
    await control.atomically([
      revocations.entry("token", tokenId),
      audit.entry({ namespace, actor, action: "token.revoked", resource: tokenId, details }, context),
    ]);
    await revocations.pull();
  }

  publicKeys(): readonly PublicJwk[] {
    return this.parts.signingKeys.publicJwks();
  }

  loginCallback(callback: string): { mode: "key" | "code" } {
    return { mode: this.parts.loginCodes.mode(callback) };
  }

  async loginCode(
    proof: WalletProof,
    { callback, codeChallenge }: LoginRequest,
    context: RequestContext,
  ): Promise<string> {
    // Before the proof is used up and a namespace perhaps made for it.
    this.parts.loginCodes.assertTakesCode(callback, codeChallenge);
    const { proven: { namespace, wallet } } = await this.#enter(proof, PURPOSES.login, context);
    return await this.parts.loginCodes.issue({ namespace, wallet: wallet.canonical, callback, codeChallenge }, context);
  }

  async redeemLoginCode(code: string, verifier: string, callback: string, context: RequestContext): Promise<KeyGrant> {
    const { namespace, wallet } = await this.parts.loginCodes.redeem(code, verifier, callback, context);
    await this.parts.admit(namespace, wallet, context);
    return await this.#keyOf(namespace, wallet, context);
  }

  async #enter(
    proof: WalletProof,
    purposes: readonly string[],
    context: RequestContext,
  ): Promise<{ proven: ProvenWallet; role: Role }> {
    const proven = await this.parts.proofs.prove(proof, purposes, context);
    return { proven, role: await this.parts.admit(proven.namespace, proven.wallet.canonical, context) };
  }

  async #keyOf(namespace: string, wallet: string, context: RequestContext): Promise<KeyGrant> {
    return {
      apiKey: await this.parts.apiKeys.ofWallet(namespace, wallet, context),
      namespace,
      wallet: displayed(wallet),
    };
  }

  /** Number of the last revocation: those up to it are over when rights are read from now on. */
  async #heard(): Promise<number> {
    const { revocations } = this.parts;
    await revocations.pull();
    return revocations.seq;
  }

  async #tokenOf({ id, subject, wallet, namespace, role, expiresAt }: LiveSession, rev: number): Promise<TokenGrant> {
    const rights = { wallet, namespace, scopes: SCOPES_OF_ROLE[role], role, rev };
    return await this.#token({ sub: subject, ...rights, sid: id }, expiresAt);
  }

  async #token(subject: TokenSubject, notAfter: number | undefined): Promise<TokenGrant> {
    const { sub, namespace } = subject;
    return { ...await this.parts.tokens.issue(subject, notAfter), subject: sub, namespace };
  }
}

/** Whether a caller's access token hangs on a session, and not on a key. */
const isOfSession = ({ id }: Principal) => isSession(id);

/** A wallet as older clients know it: without `0x`. */
const displayed = (canonical: string) => canonical.startsWith("0x") ? canonical.slice(2) : canonical;
