import type { Grant, Principal, Role } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** A request for something to sign. */
export interface ChallengeRequest {
  /** As the client spelled it. */
  readonly wallet: string;
  /** `default` when blank. */
  readonly namespace: string;
  /** What the signature will be used for; `authentication` when blank. A nonce is good for its own purpose alone. */
  readonly purpose: string;
  /** Older clients name it only when they verify; absent, the address tells. */
  readonly chainType?: ChainType | undefined;
  /** EIP-155 id put into the message; the first configured one when absent. */
  readonly chainId?: number | undefined;
  /** Origin of the page that asks: a trusted application's stands in the message in place of the gateway's. */
  readonly origin?: string | undefined;
}

/** Families of wallets. */
export type ChainType = "ETH" | "SOL";

/** What to sign: the bare nonce (older clients) or the whole message (EIP-4361). */
export interface Challenge {
  /** 43 characters of [A-Za-z0-9]. */
  readonly nonce: string;
  /** The EIP-4361 message, or the same form for Solana, that carries the nonce. */
  readonly message: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** A signature over a bare nonce or over a message. */
export type WalletProof =
  | {
    readonly kind: "nonce";
    readonly wallet: string;
    readonly nonce: string;
    readonly signature: string;
    readonly namespace: string;
    readonly chainType: ChainType;
    /** Needed only for a purpose of the client's own. */
    readonly purpose?: string | undefined;
  }
  | { readonly kind: "message"; readonly message: string; readonly signature: string };

/** Tokens and key that a wallet gets. Holds secrets: never log it. */
export interface WalletGrant extends TokenGrant {
  readonly apiKey: string;
  readonly nonce: string;
  readonly wallet: string;
  readonly role: Role;
}

/** An access token and, where there is a session, its refresh token. Holds secrets. */
export interface TokenGrant {
  readonly accessToken: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly refreshToken?: string | undefined;
  /** The wallet as the client spelled it, or the public id of a key. */
  readonly subject: string;
  readonly namespace: string;
}

/** A wallet's API key. Holds a secret. */
export interface KeyGrant {
  readonly apiKey: string;
  readonly namespace: string;
  /** Lower case and without `0x`, as older clients know it; a Solana wallet as it is. */
  readonly wallet: string;
}

/** An application registered by a wallet. */
export interface App {
  readonly appId: string;
  readonly name: string;
  readonly namespace: string;
  readonly wallet: string;
}

/** A public key as RFC 7517 writes it. */
export type PublicJwk = Readonly<Record<string, string>>;

/**
 * Sign-in by wallet, tokens and sessions.
 * A proof that does not hold, for whatever reason, is `SIGNATURE_INVALID` (401) and nothing more is told.
 */
export interface WalletAuth {
  challenge(request: ChallengeRequest, context: RequestContext): Challenge;
  /** Signs in: consumes the nonce, admits the wallet to the namespace, opens a session. */
  verify(proof: WalletProof, session: SessionOrigin, context: RequestContext): Promise<WalletGrant>;
  /** Gives the wallet's key of the namespace, without a session. */
  apiKey(proof: WalletProof, context: RequestContext): Promise<KeyGrant>;
  /** Registers an application of the wallet. */
  register(proof: WalletProof, name: string, context: RequestContext): Promise<App>;
  /** Development only: a new key without any proof. @throws GatewayError `NOT_FOUND` unless switched on. */
  simpleKey(wallet: string, namespace: string, context: RequestContext): Promise<KeyGrant>;
  /** An access token for who holds a key. */
  tokenForKey(key: Principal): Promise<TokenGrant>;
  /**
   * Another access token, without a refresh token. An access token does not renew itself, or a stolen one would live as long
   * as its session: whoever asks must hold an API key of the same wallet and namespace.
   * @param caller who the token is for; a session must still live
   * @throws GatewayError `INVALID_CREDENTIAL`
   */
  renew(caller: Principal, key: Principal): Promise<TokenGrant>;
  /**
   * Exchanges a refresh token. Each is good once; a second use revokes its session, but for a short grace in which it has
   * the same answer as the first: that may have been lost, or two tabs of a browser share the token.
   * @param namespace checked against the session's when given
   * @throws GatewayError `INVALID_CREDENTIAL`
   */
  refresh(refreshToken: string, namespace: string | undefined, context: RequestContext): Promise<TokenGrant>;
  /** Ends the session of a refresh token. An unknown one is no error. */
  logout(refreshToken: string, context: RequestContext): Promise<void>;
  /**
   * Ends what the caller's access token hangs on: its session, or all sessions of its wallet in its namespace. A token that
   * was made from a key ends itself; the key stays.
   */
  logoutCaller(caller: Principal, all: boolean, context: RequestContext): Promise<void>;
  /** The keys that verify access tokens, newest first. */
  publicKeys(): readonly PublicJwk[];
  /** What the login page needs to know about a callback. @throws GatewayError `INVALID_REQUEST` for one that is not allowed. */
  loginCallback(callback: string): { readonly mode: "key" | "code" };
  /** A one-time code for a callback that is not on the user's own machine (PKCE, RFC 7636, S256). */
  loginCode(proof: WalletProof, login: LoginRequest, context: RequestContext): Promise<string>;
  /** Gives the key for a code. @throws GatewayError `INVALID_CREDENTIAL` */
  redeemLoginCode(code: string, verifier: string, callback: string, context: RequestContext): Promise<KeyGrant>;
}

/** Where a login page's code goes. */
export interface LoginRequest {
  readonly callback: string;
  /** Base64url of the SHA-256 of the verifier. */
  readonly codeChallenge: string;
}

/** Where a session was opened, as its owner later sees it. */
export interface SessionOrigin {
  readonly userAgent: string;
}

/** A session as its owner sees it. Times are Unix milliseconds. */
export interface SessionView {
  readonly id: string;
  readonly wallet: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly expiresAt: number;
  readonly address: string;
  readonly userAgent: string;
}

/** Sessions of wallets, for those whose they are. */
export interface Sessions {
  /** Live sessions of a wallet in a namespace, newest first, at most 1000. */
  list(namespace: string, wallet: string, context: RequestContext): Promise<SessionView[]>;
  /** Ends one. @throws GatewayError `NOT_FOUND` */
  revoke(namespace: string, wallet: string, id: string, context: RequestContext): Promise<void>;
}

/** What a new key may do and for how long. */
export interface NewKey {
  readonly name: string;
  /** Absent: all but `namespace:admin`. */
  readonly scopes?: readonly Grant[] | undefined;
  /** Unix milliseconds. */
  readonly expiresAt?: number | undefined;
}

/** A key as it may be shown. Times are Unix milliseconds. */
export interface KeyView {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly wallet: string | null;
  readonly scopes: readonly Grant[] | null;
  readonly operator: boolean;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** As of the last aggregation, about a minute old. */
  readonly lastUsedAt: number | null;
}

/** API keys of namespaces. Only hashes are kept; the key itself is given out once. */
export interface ApiKeys {
  create(
    namespace: string,
    key: NewKey,
    actor: Principal,
    context: RequestContext,
  ): Promise<KeyView & { readonly key: string }>;
  /** Keys of a namespace by creation, revoked ones included. @param after id of the last one of the page before */
  list(
    namespace: string,
    page: { limit: number; after?: string | undefined },
    context: RequestContext,
  ): Promise<KeyView[]>;
  /** Dead on this gateway at once, on the others within a second. @throws GatewayError `NOT_FOUND` */
  revoke(namespace: string, id: string, actor: Principal, context: RequestContext): Promise<void>;
  /** Gives a new key with the same name, scopes and expiry and revokes the old one. @throws GatewayError `NOT_FOUND` */
  rotate(
    namespace: string,
    id: string,
    actor: Principal,
    context: RequestContext,
  ): Promise<KeyView & { readonly key: string }>;
}
