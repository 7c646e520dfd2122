import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from "jose";
import type { Role, Scope, TopicBounds } from "../../src/contracts/identity.ts";
import type { SigningKeys } from "./signing_keys.ts";

/** For whom tokens are made, and for how long. */
export interface TokensOptions {
  readonly issuer: string;
  readonly audience: string;
  /** Milliseconds that an access token lives. */
  readonly ttl: number;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
}

/** What an access token says, beside issuer, audience and times. */
export interface TokenSubject {
  /** The wallet as its client spells it, or `key:<id>`. Never a secret. */
  readonly sub: string;
  /** Canonical wallet, where there is one. */
  readonly wallet?: string | undefined;
  readonly namespace: string;
  readonly scopes: readonly Scope[];
  readonly role?: Role | undefined;
  /** Session it belongs to. */
  readonly sid?: string | undefined;
  /** Public id of the key it was made from. */
  readonly key?: string | undefined;
  /** Topics to which its scopes of `pubsub:` are bound. */
  readonly topics?: TopicBounds | undefined;
  /** The only member id under which its holder may be present. */
  readonly member?: string | undefined;
  /** Of a token that names topics, in place of `sid` and `key`: public id of the session or key of whoever asked for it. */
  readonly from?: string | undefined;
  /** The same for the access token with which it was asked, where it was one: that token's `jti`. */
  readonly via?: string | undefined;
  /**
   * Number of the last revocation that was known before these rights were read: a later one may be about them. A clock
   * could not say so, because gateways differ in theirs, and in what they have heard.
   */
  readonly rev: number;
}

/** The claims of a token whose signature, issuer, audience and times hold. Times are Unix seconds. */
export interface TokenClaims extends TokenSubject {
  readonly jti: string;
  readonly iss: string;
  readonly aud: string;
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
}

/** A new access token. Holds a secret. */
export interface IssuedToken {
  readonly accessToken: string;
  /** Seconds. */
  readonly expiresIn: number;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** A longer token is none of ours, and is refused before it costs anything. Patterns of topics fit, as many as there may be. */
const MAX_LENGTH = 4096;

/** Whether a text can be one of our tokens. Cheap, so that nothing else is ever looked at, or remembered as unknown. */
export const isTokenSized = (text: string): boolean => text.length <= MAX_LENGTH;
/** Seconds that clocks of gateways may differ: a token is good so long before its issue. */
const CLOCK_DIFFERENCE = 60;

/**
 * Makes and checks access tokens: JWT (RFC 7519) signed with EdDSA (RFC 8037). A token is good from its `nbf` to its `exp`,
 * both exactly, by the clock of whoever checks. That clocks differ is allowed for in `nbf` alone, which lies before the
 * issue: a new token works everywhere at once, and none lives longer than it says, wherever it is checked.
 */
export class Tokens {
  constructor(private readonly keys: SigningKeys, private readonly options: TokensOptions) {}

  /**
   * @param notAfter Unix milliseconds at which what the token is made from ends; it ends then too, or before
   * @param ttl milliseconds that it lives; no longer than signing keys verify that were replaced
   */
  async issue(
    { sub, wallet, namespace, scopes, role, sid, key, topics, member, from, via, rev }: TokenSubject,
    notAfter = Infinity,
    ttl = this.options.ttl,
  ): Promise<IssuedToken> {
    const { kid, privateKey } = this.keys.current();
    const { issuer, audience, now, random } = this.options;
    const iat = Math.floor(now() / 1000);
    const exp = Math.min(iat + Math.floor(ttl / 1000), Math.floor(notAfter / 1000));
    const claims = {
      namespace,
      scope: scopes.join(" "),
      rev,
      ...(wallet && { wallet }),
      ...(role && { role }),
      ...(sid && { sid }),
      ...(key && { key }),
      ...(topics && { topics }),
      ...(member !== undefined && { member }),
      ...(from && { from }),
      ...(via && { via }),
    };
    const accessToken = await new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", kid, typ: "JWT" })
      .setIssuer(issuer).setAudience(audience).setSubject(sub).setJti(random(16).toHex())
      .setIssuedAt(iat).setNotBefore(iat - CLOCK_DIFFERENCE).setExpirationTime(exp)
      .sign(privateKey);
    return { accessToken, expiresIn: Math.max(0, exp - iat), expiresAt: exp * 1000 };
  }

  /**
   * @returns `undefined` for anything but a live token of this issuer for this audience
   * @throws GatewayError `UNAVAILABLE` when its key is unknown here and cannot be looked up
   */
  async verify(token: string): Promise<TokenClaims | undefined> {
    if (!isTokenSized(token)) return undefined;
    const kid = kidOf(token);
    const key = kid && await this.keys.publicKey(kid);
    if (!key) return undefined;
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ["EdDSA"],
        issuer: this.options.issuer,
        audience: this.options.audience,
        typ: "JWT",
        currentDate: new Date(this.options.now()),
        requiredClaims: ["exp", "iat", "nbf", "jti", "sub", "namespace", "rev"],
      });
      const { scope, ...claims } = payload as unknown as Omit<TokenClaims, "scopes"> & { scope?: string };
      return { ...claims, scopes: (scope ? scope.split(" ") : []) as Scope[] };
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }
}

function kidOf(token: string): string | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return alg === "EdDSA" ? kid : undefined;
  } catch {
    return undefined;
  }
}
