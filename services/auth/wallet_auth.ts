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
import { newId, type Random } from "./ids.ts";
import type { LoginCodes } from "./login_codes.ts";
import { SCOPES_OF_ROLE } from "./rights.ts";
import type { LiveSession, WalletSessions } from "./sessions.ts";
import type { SigningKeys } from "./signing_keys.ts";
import type { Tokens } from "./tokens.ts";
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
    return { ...await this.#grant(session, rev), apiKey, nonce, wallet: wallet.canonical, role };
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

  async tokenForKey({ id, wallet, role, namespace, scopes, operator, asOf: rev }: Principal): Promise<TokenGrant> {
    if (operator) throw new GatewayError("FORBIDDEN", "an operator's key cannot be exchanged for a token");
    const subject = `key:${id}`;
    const rights = { wallet, namespace, scopes: [...scopes], role, rev };
    const accessToken = await this.parts.tokens.issue({ sub: subject, ...rights, key: id });
    return { accessToken, expiresIn: this.parts.tokens.lifetime, subject, namespace };
  }

  async renew(caller: Principal): Promise<TokenGrant> {
    if (caller.kind === "api_key") return await this.tokenForKey(caller);
    const { id, wallet, subject, role, namespace, scopes, asOf: rev } = caller;
    const { sessions, apiKeys, tokens } = this.parts;
    const ofSession = id.startsWith("ses_");
    // A token may outlive what it hangs on by its own short life; renewed again and again it would do so for ever.
    if (!await (ofSession ? sessions : apiKeys).lives(id)) {
      throw new GatewayError(
        "INVALID_CREDENTIAL",
        `the ${ofSession ? "session" : "key"} of this token has ended; sign in again`,
      );
    }
    const rights = { wallet, namespace, scopes: [...scopes], role, rev };
    const accessToken = await tokens.issue({ sub: subject, ...rights, ...(ofSession ? { sid: id } : { key: id }) });
    return { accessToken, expiresIn: this.parts.tokens.lifetime, subject, namespace };
  }

  async refresh(refreshToken: string, namespace: string | undefined, context: RequestContext): Promise<TokenGrant> {
    const rev = await this.#heard();
    return await this.#grant(await this.parts.sessions.refresh(refreshToken, namespace, context), rev);
  }

  async logout(refreshToken: string, context: RequestContext): Promise<void> {
    await this.parts.sessions.revokeByToken(refreshToken, context);
  }

  async logoutCaller(caller: Principal, all: boolean, context: RequestContext): Promise<void> {
    const { namespace, wallet, id } = caller;
    if (all && wallet !== undefined) return await this.parts.sessions.revokeAll(namespace, wallet, context);
    const act = { namespace, actor: caller.subject, action: "session.revoked" };
    if (id.startsWith("ses_")) await this.parts.sessions.end([id], act, context);
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

  async #grant(session: LiveSession, rev: number): Promise<TokenGrant> {
    const { id, subject, wallet, namespace, role, refreshToken } = session;
    const scopes = SCOPES_OF_ROLE[role];
    const accessToken = await this.parts.tokens.issue({ sub: subject, wallet, namespace, scopes, role, sid: id, rev });
    return { accessToken, expiresIn: this.parts.tokens.lifetime, refreshToken, subject, namespace };
  }
}

/** A wallet as older clients know it: without `0x`. */
const displayed = (canonical: string) => canonical.startsWith("0x") ? canonical.slice(2) : canonical;
