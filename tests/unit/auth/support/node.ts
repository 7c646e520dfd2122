import { ControlApiKeys } from "../../../../services/auth/api_keys.ts";
import { CredentialAuthenticator } from "../../../../services/auth/authenticator.ts";
import { Nonces } from "../../../../services/auth/crypto/nonce.ts";
import { open, seal } from "../../../../services/auth/crypto/seal.ts";
import { canonicalWallet } from "../../../../services/auth/crypto/wallet.ts";
import { LoginCodes } from "../../../../services/auth/login_codes.ts";
import { WalletSessions } from "../../../../services/auth/sessions.ts";
import { SigningKeys } from "../../../../services/auth/signing_keys.ts";
import { Tokens } from "../../../../services/auth/tokens.ts";
import { SignedTopicTokens } from "../../../../services/auth/topic_tokens.ts";
import { WalletSignIn } from "../../../../services/auth/wallet_auth.ts";
import { type SignInSite, WalletProofs } from "../../../../services/auth/wallet_proof.ts";
import { ControlAuditLog } from "../../../../services/control_plane/audit.ts";
import { RevocationFeed } from "../../../../services/control_plane/revocations.ts";
import { MemberRegistry } from "../../../../services/namespaces/members.ts";
import { type NamespacePolicy, NamespaceRegistry } from "../../../../services/namespaces/namespaces.ts";
import type { Principal, Role } from "../../../../src/contracts/identity.ts";
import { SCOPES } from "../../../../src/contracts/identity.ts";
import { Chance } from "../../control_plane/support/chance.ts";
import { DAY, MINUTE, SECOND, TestClock } from "../../control_plane/support/clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";

/** Wallets of tests, in canonical spelling. */
export const ALICE = "0x" + "a1".repeat(20);
export const BOB = "0x" + "b0".repeat(20);
export const CAROL = "0x" + "ca".repeat(20);

export const REFRESH_TTL = 30 * DAY;
export const GRACE = 30 * SECOND;
export const TOKEN_TTL = 15 * MINUTE;
export const MAX_SILENCE = 60 * SECOND;
export const ROTATION = 90 * DAY;

/** How a node differs from the others. */
export interface NodeOptions {
  readonly clock?: TestClock;
  /** The node's way to the control plane; the database itself when absent. */
  readonly control?: WatchedControl;
  readonly rules?: Partial<NamespacePolicy>;
  readonly site?: Partial<SignInSite>;
  readonly simpleKey?: boolean;
  readonly seed?: number;
  readonly rootKey?: Uint8Array;
  readonly cache?: { readonly size?: number; readonly life?: number };
  readonly callbacks?: readonly string[];
  /** Whether it reads and makes signing keys at the start, as a gateway does. Default true. */
  readonly maintained?: boolean;
}

type Database = Awaited<ReturnType<typeof openControl>>;

/** The identity services of one gateway, on a control database in memory that other nodes may share. */
export class Node implements AsyncDisposable {
  readonly clock: TestClock;
  readonly control: WatchedControl;
  readonly audit: ControlAuditLog;
  readonly revocations: RevocationFeed;
  /** What the feed said of its state: `undefined` when it hears again. */
  readonly states: unknown[] = [];
  readonly signingKeys: SigningKeys;
  readonly tokens: Tokens;
  /** Ids of keys that were used. */
  readonly used: string[] = [];
  readonly authenticator: CredentialAuthenticator;
  readonly apiKeys: ControlApiKeys;
  readonly sessions: WalletSessions;
  readonly namespaces: NamespaceRegistry;
  readonly members: MemberRegistry;
  readonly proofs: WalletProofs;
  readonly loginCodes: LoginCodes;
  readonly topicTokens: SignedTopicTokens;
  readonly signIn: WalletSignIn;
  deletionsWanted = 0;

  private constructor(readonly database: Database, private readonly own: boolean, options: NodeOptions) {
    const { clock = new TestClock(), rules = {}, site = {}, seed = 1, rootKey, cache = {}, callbacks = [] } = options;
    this.clock = clock;
    const { now } = clock;
    const random = new Chance(seed).bytes;
    const secret = rootKey ?? new Uint8Array(32).fill(7);
    const control = this.control = options.control ?? new WatchedControl(database);
    const audit = this.audit = new ControlAuditLog(control, now);
    const revocations = this.revocations = new RevocationFeed(control, {
      now,
      monotonic: now,
      interval: 500,
      maxSilence: MAX_SILENCE,
      onState: (error) => this.states.push(error),
    });
    this.signingKeys = new SigningKeys(control, {
      now,
      monotonic: now,
      rotation: ROTATION,
      tokenTtl: TOKEN_TTL,
      seal: {
        seal: (text, label) => seal(secret, text, label, random),
        open: (text, label) => open(secret, text, label),
      },
    });
    const settings = { issuer: "orama-gateway", audience: "gateway", ttl: TOKEN_TTL };
    this.tokens = new Tokens(this.signingKeys, { ...settings, now, random });
    this.topicTokens = new SignedTopicTokens({ tokens: this.tokens, maxTtl: TOKEN_TTL });
    this.authenticator = new CredentialAuthenticator({
      control,
      revocations,
      tokens: this.tokens,
      used: (id) => this.used.push(id),
      cache: { size: 1000, life: 60 * SECOND, now, ...cache },
    });
    this.apiKeys = new ControlApiKeys({ control, revocations, audit, derivation: secret, now, random });
    this.sessions = new WalletSessions({
      control,
      revocations,
      audit,
      now,
      random,
      derivation: secret,
      refreshTtl: REFRESH_TTL,
      grace: GRACE,
    });
    this.namespaces = new NamespaceRegistry({
      control,
      revocations,
      audit,
      now,
      rules: { sharedDefault: false, maxPerWallet: 100, creation: "wallet", databases: undefined, ...rules },
      deletionWanted: () => this.deletionsWanted++,
    });
    const canonical = (wallet: string) => canonicalWallet(wallet).canonical;
    this.members = new MemberRegistry({ control, revocations, audit, now, canonical });
    this.proofs = new WalletProofs({
      control,
      nonces: new Nonces(secret, now, random),
      now,
      nonceTtl: 5 * MINUTE,
      site: () => ({ origins: ["https://gateway.example"], chainIds: [1], ...site }),
      contracts: undefined,
    });
    this.loginCodes = new LoginCodes({ control, now, random, callbacks });
    this.signIn = new WalletSignIn({
      control,
      revocations,
      audit,
      proofs: this.proofs,
      sessions: this.sessions,
      apiKeys: this.apiKeys,
      tokens: this.tokens,
      signingKeys: this.signingKeys,
      loginCodes: this.loginCodes,
      admit: (namespace, wallet, context) => this.namespaces.admit(namespace, wallet, context),
      now,
      random,
      simpleKey: options.simpleKey ?? false,
    });
  }

  /** A node with a database of its own, with signing keys and in touch with revocations. */
  static async start(options: NodeOptions = {}): Promise<Node> {
    return await new Node(await openControl(), true, options).#ready(options);
  }

  /** Another gateway on the same database. */
  async another(options: NodeOptions = {}): Promise<Node> {
    return await new Node(this.database, false, { clock: this.clock, seed: 2, ...options }).#ready(options);
  }

  async #ready({ maintained = true }: NodeOptions): Promise<this> {
    if (maintained) await this.signingKeys.maintain();
    await this.revocations.pull();
    return this;
  }

  /** Makes a namespace with its owner, and further members. */
  async namespace(name: string, owner: string, members: Readonly<Record<string, Role>> = {}): Promise<void> {
    await this.namespaces.admit(name, owner, CONTEXT);
    for (const [wallet, role] of Object.entries(members)) {
      await this.members.set(name, wallet, role, principal({ namespace: name, wallet: owner, role: "owner" }), CONTEXT);
    }
  }

  /** A session of a member and an access token of it, as a sign-in would give them. */
  async session(namespace: string, wallet: string): Promise<{ id: string; refreshToken: string; token: string }> {
    await this.revocations.pull();
    const rev = this.revocations.seq;
    const role = await this.namespaces.admit(namespace, wallet, CONTEXT);
    const owner = { namespace, wallet, subject: wallet };
    const { id, refreshToken } = await this.sessions.open(owner, role, { userAgent: "test" }, CONTEXT);
    const subject = { sub: wallet, wallet, namespace, role, scopes: SCOPES, sid: id, rev };
    return { id, refreshToken, token: (await this.tokens.issue(subject)).accessToken };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.revocations.stop();
    if (this.own) await this.database.close();
  }
}

/** A caller; a key with every scope unless something else is said. */
export const principal = (parts: Partial<Principal> = {}): Principal => ({
  kind: "api_key",
  id: "key_test",
  subject: parts.wallet ?? "key:key_test",
  namespace: "shop",
  scopes: new Set(SCOPES),
  operator: false,
  asOf: 0,
  describe: { authenticated: true },
  ...parts,
});

/** For `rejects`: a `GatewayError` with this code, and a sentence that fits. */
export const code = (code: string, sentence: RegExp = /./) => ({ name: "GatewayError", code, message: sentence });
