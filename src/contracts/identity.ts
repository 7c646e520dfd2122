/** Every scope there is. A key without scopes has all of them but `namespace:admin`. */
export const SCOPES = [
  "sql:read",
  "sql:write",
  "sql:admin",
  "cache:read",
  "cache:write",
  "storage:read",
  "storage:write",
  "storage:admin",
  "pubsub:publish",
  "pubsub:subscribe",
  "pubsub:presence",
  "functions:read",
  "functions:invoke",
  "functions:deploy",
  "functions:admin",
  "egress:proxy",
  "namespace:admin",
] as const;

/** A right within one namespace. */
export type Scope = typeof SCOPES[number];

/** The part a wallet plays in a namespace, strongest first. */
export const ROLES = ["owner", "admin", "member", "viewer"] as const;
/** A wallet's part in a namespace. */
export type Role = typeof ROLES[number];

/** What may be done with topics, as scopes name it: `pubsub:<right>`. */
export const TOPIC_RIGHTS = ["publish", "subscribe", "presence"] as const;
/** What may be done with topics. */
export type TopicRight = typeof TOPIC_RIGHTS[number];
/**
 * Patterns of the topics for which each right holds: literal text in which `*` stands for any run of characters. A right that
 * is not named holds for every topic.
 */
export type TopicBounds = Readonly<Partial<Record<TopicRight, readonly string[] | undefined>>>;

/** A right as a key carries it: a scope, or one for the topics that a pattern names (`pubsub:subscribe:orders.*`). */
export type Grant = Scope | `pubsub:${TopicRight}:${string}`;

/** Who is calling. Made from the credential, never from anything else in the request. */
export interface Principal {
  readonly kind: "api_key" | "jwt";
  /** Public id of the credential: a key's id, a session's id. Never the credential itself. */
  readonly id: string;
  /** Who stands behind it: a wallet in canonical spelling, or `key:<id>` for a key without one. The actor of the audit log. */
  readonly subject: string;
  /** The wallet behind the credential, in canonical spelling, where there is one. */
  readonly wallet?: string;
  /** Part of the wallet in the namespace, where the credential belongs to a member. */
  readonly role?: Role;
  /** The one namespace the credential is for; empty for an operator. */
  readonly namespace: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Topics for which its rights of `pubsub:` hold; absent: every topic. Ask `mayUse` of `topic_rights.ts`. */
  readonly topics?: TopicBounds;
  /** The only member id under which it may be present; absent: any. */
  readonly memberId?: string;
  /** Runs the node, owns no namespace: metrics, limits. */
  readonly operator: boolean;
  /** Unix milliseconds at which the credential dies by itself; absent where it never does. */
  readonly expiresAt?: number;
  /** `jti` of the access token that was sent (RFC 7519, 4.1.7); absent where it was a key. */
  readonly tokenId?: string;
  /** Number of the last revocation that was known when these rights were read. What is made from them is as old as they are. */
  readonly asOf: number;
  /** What `whoami` tells the caller about this credential. Holds no secret. */
  readonly describe: Readonly<Record<string, unknown>>;
}

/** Turns a credential into a principal. Warm calls answer without a trip to any back end, and without a promise. */
export interface Authenticator {
  /**
   * @param beforeLookup called before the control plane is asked; may refuse by throwing
   * @returns `undefined` for an unknown, expired or revoked key.
   * @throws GatewayError `UNAVAILABLE` when the control plane cannot say.
   */
  identifyKey(key: string, beforeLookup?: () => void): Principal | undefined | Promise<Principal | undefined>;
  /**
   * @param token a compact JWS (two dots)
   * @param beforeLookup called before a signature is checked; may refuse by throwing
   * @returns `undefined` for a token that is malformed, of another issuer, expired or revoked.
   * @throws GatewayError `UNAVAILABLE` when revocations have not been heard of for too long.
   */
  identifyToken(token: string, beforeLookup?: () => void): Principal | undefined | Promise<Principal | undefined>;
}
