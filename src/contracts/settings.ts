import type { ReadLevel } from "./database.ts";
import type { EgressLimitValues, EgressRules, EgressSettings } from "./egress_rules.ts";
import type { FunctionLimitValues, FunctionRules, FunctionSettings } from "./function_rules.ts";
import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";
import type { WebhookLimitValues, WebhookRules } from "./webhook_rules.ts";

export type { EgressLimitValues, EgressRules, EgressSettings } from "./egress_rules.ts";
export type { FunctionLimitValues, FunctionRules, FunctionSettings } from "./function_rules.ts";
export type { WebhookLimitValues, WebhookRules } from "./webhook_rules.ts";

/** What holds for SQL of one namespace: the owner's settings within the operator's limits, and the defaults for the rest. */
export interface SqlRules {
  /** Consistency of reads that ask for none; `undefined`: the gateway's own (`database.rqlite.read_level`). */
  readonly level: ReadLevel | undefined;
  /** How old, in milliseconds, an answer of level `none` may be; `undefined`: as old as may be. */
  readonly freshness: number | undefined;
  /** Milliseconds that a statement has which asks for nothing else. Never above {@link maxTimeout}. */
  readonly timeout: number;
  /** The most milliseconds that a statement may ask for. */
  readonly maxTimeout: number;
  /** Bytes that the database may hold; 0: as many as there are. */
  readonly maxDatabaseBytes: number;
  /** Rows in one answer. */
  readonly maxRows: number;
  /** Bytes of one answer. */
  readonly maxAnswerBytes: number;
  /** Statements of the namespace that run or wait at once on one gateway. */
  readonly maxInFlight: number;
  /** Rows in one bulk load. */
  readonly maxBulkRows: number;
  /** How many changes of tables are kept for who listens, at most; `Infinity` while nobody can say. */
  readonly retainedChanges: number;
  /** For how many milliseconds, at most; `Infinity` while nobody can say. */
  readonly changeRetention: number;
}

/** What holds for the cache of one namespace. */
export interface CacheRules {
  /** Bytes of one value. */
  readonly maxValueBytes: number;
  /** Bytes that it may hold in the memory of one gateway; 0: as many as there are. */
  readonly maxBytes: number;
  /** Keys in one page of a scan. */
  readonly maxScanKeys: number;
  /** Callers that wait for locks at once on one gateway. */
  readonly maxLockWaiters: number;
  /**
   * Maps whose entries a gateway may answer from copies of its own, and for how many milliseconds each. The same object for as
   * long as the rules are.
   */
  readonly near: ReadonlyMap<string, number>;
}

/** What holds for the storage of one namespace. */
export interface StorageRules {
  /** Bytes of one object. */
  readonly maxObjectBytes: number;
  /** Bytes that the namespace may have; 0: as many as there are. */
  readonly maxBytes: number;
  /** Objects that the namespace may have; 0: as many as there are. */
  readonly maxObjects: number;
  /** Uploads of the namespace that are under way at once on one gateway. */
  readonly maxUploads: number;
  /** Files in one directory that is uploaded. */
  readonly maxEntries: number;
  /** Whether uploads are encrypted that do not say. */
  readonly encrypt: boolean;
}

/** What becomes of a subscriber who does not read: the oldest that waits for it is dropped, or it is closed. */
export const SLOW_POLICIES = ["drop", "close"] as const;
/** What becomes of a subscriber who does not read. */
export type SlowPolicy = typeof SLOW_POLICIES[number];

/** What holds for live messages of one namespace. What is counted is counted on one gateway. */
export interface PubSubRules {
  /** Bytes of one message. */
  readonly maxMessageBytes: number;
  /** Messages that are kept of each topic; 0: none. */
  readonly historySize: number;
  /** Milliseconds for which a message is kept, at most. */
  readonly historyTtl: number;
  /** Bytes that are kept of all topics of the namespace. */
  readonly maxHistoryBytes: number;
  /** Messages that are published per second; 0: as many as come. */
  readonly publishRate: number;
  /** Sockets and streams that are open at once. */
  readonly maxSockets: number;
  /** Topics that have subscribers, or of which something is kept. */
  readonly maxTopics: number;
  /** Topics to which one socket is subscribed. */
  readonly maxTopicsPerSocket: number;
  /** Of the topics, the rate and the sockets, the percentage that one credential may have; see {@link shareOf}. */
  readonly credentialShare: number;
  /** The same for one of those who were given tokens that name topics. */
  readonly guestShare: number;
  /** Bytes that wait for one socket. */
  readonly maxQueueBytes: number;
  readonly slowPolicy: SlowPolicy;
  /** Bytes of what a member says of itself, as JSON. */
  readonly maxMetaBytes: number;
  /** Origins (`https://app.example`) of pages that may connect; `undefined`: any. */
  readonly origins: readonly string[] | undefined;
}

/** How much of what a namespace may have is for one caller: at least 1. @param isGuest see `PubSubCaller` */
export const shareOf = (
  all: number,
  { credentialShare, guestShare }: Pick<PubSubRules, "credentialShare" | "guestShare">,
  isGuest: boolean,
): number => Math.max(1, Math.ceil(all * (isGuest ? guestShare : credentialShare) / 100));

/** What holds in one namespace, by domain. */
export interface NamespaceRules {
  readonly sql: SqlRules;
  readonly cache: CacheRules;
  readonly storage: StorageRules;
  readonly pubsub: PubSubRules;
  readonly functions: FunctionRules;
  readonly egress: EgressRules;
  readonly webhooks: WebhookRules;
}

/**
 * The owner's settings for SQL. `null`: the gateway's default. These members, like those of every settings and limits type
 * here, are spelled as they are on the wire, in the control plane and in the configuration: one thing has one name.
 */
export interface SqlSettings {
  readonly read_level: ReadLevel | null;
  /** Milliseconds. */
  readonly freshness: number | null;
  /** Milliseconds. */
  readonly statement_timeout: number | null;
  readonly retained_changes: number | null;
  /** Milliseconds. */
  readonly change_retention: number | null;
}

/** A map that has a near cache, and for how many milliseconds a gateway may answer from a copy. */
export interface NearMap {
  readonly dmap: string;
  readonly ttl: number;
}

/** The owner's settings for the cache. `null`: the gateway's default. */
export interface CacheSettings {
  /** Each map once. By default none. */
  readonly near: readonly NearMap[] | null;
}

/** The owner's settings for storage. `null`: the gateway's default. */
export interface StorageSettings {
  /** Whether uploads are encrypted that do not say. By default they are not. */
  readonly encrypt: boolean | null;
}

/** The owner's settings for live messages. `null`: the gateway's default. */
export interface PubSubSettings {
  /** Messages of each topic; 0: none are kept. */
  readonly history_size: number | null;
  /** Milliseconds. */
  readonly history_ttl: number | null;
  readonly slow_readers: SlowPolicy | null;
  /** Each once. By default any. */
  readonly origins: readonly string[] | null;
}

/** What each limit for SQL may be at most; see {@link SqlRules} for what they mean. */
export interface SqlLimitValues {
  /** Milliseconds. */
  readonly statement_timeout: number;
  /** 0: none. */
  readonly database_bytes: number;
  readonly rows_per_answer: number;
  readonly bytes_per_answer: number;
  readonly statements_in_flight: number;
  readonly bulk_rows: number;
  readonly retained_changes: number;
  /** Milliseconds. */
  readonly change_retention: number;
}

/** What each limit for the cache may be at most; see {@link CacheRules} for what they mean. */
export interface CacheLimitValues {
  readonly value_bytes: number;
  /** 0: none. */
  readonly bytes: number;
  readonly scan_keys: number;
  readonly lock_waiters: number;
}

/** What each limit for storage may be at most; see {@link StorageRules} for what they mean. */
export interface StorageLimitValues {
  readonly object_bytes: number;
  /** 0: none. */
  readonly bytes: number;
  /** 0: none. */
  readonly objects: number;
  readonly uploads_in_flight: number;
  readonly entries: number;
}

/** What each limit for live messages may be at most; see {@link PubSubRules} for what they mean. */
export interface PubSubLimitValues {
  readonly message_bytes: number;
  /** The most that {@link PubSubSettings.history_size} may be. */
  readonly history_messages: number;
  /** Milliseconds. The most that {@link PubSubSettings.history_ttl} may be. */
  readonly history_ttl: number;
  readonly history_bytes: number;
  /** 0: none. */
  readonly publish_rate: number;
  readonly sockets: number;
  readonly topics: number;
  readonly topics_per_socket: number;
  /** Percent. */
  readonly credential_share: number;
  /** Percent. */
  readonly guest_share: number;
  readonly queue_bytes: number;
}

/** Values of which each may be left to the gateway's default, by `null`. */
export type OrDefault<Values> = { readonly [Name in keyof Values]: Values[Name] | null };

/** What an owner has set, by domain. */
export interface NamespaceSettings {
  readonly sql: SqlSettings;
  readonly cache: CacheSettings;
  readonly storage: StorageSettings;
  readonly pubsub: PubSubSettings;
  readonly functions: FunctionSettings;
  readonly egress: EgressSettings;
}

/** What an operator has set for one namespace, by domain. */
export interface NamespaceLimits {
  readonly sql: OrDefault<SqlLimitValues>;
  readonly cache: OrDefault<CacheLimitValues>;
  readonly storage: OrDefault<StorageLimitValues>;
  readonly pubsub: OrDefault<PubSubLimitValues>;
  readonly functions: OrDefault<FunctionLimitValues>;
  readonly egress: OrDefault<EgressLimitValues>;
  readonly webhooks: OrDefault<WebhookLimitValues>;
}

/** Some members of some domains: what is not in it stays as it is, `null` gives a value back to the default. */
export type Change<Domains> = {
  readonly [Domain in keyof Domains]?:
    | { readonly [Name in keyof Domains[Domain]]?: Domains[Domain][Name] | undefined }
    | undefined;
};

/** Settings or limits of one namespace. */
export interface Versioned<Values> {
  /** What was set. */
  readonly values: Values;
  /** What holds: defaults in place of what was not set, nothing beyond its limit. `null` where the gateway bounds nothing. */
  readonly effective: Values;
  /** How often settings or limits of the namespace were changed. */
  readonly version: number;
}

/** Settings and limits of namespaces, and the rules that come of them. */
export interface Settings {
  /**
   * The rules of a namespace: without a promise when they are known here, as they are for all requests but the first. A change
   * made on any gateway holds on all of them within a second. Never rejects: where the control plane cannot be asked, what
   * was known last holds, else the gateway's defaults; but of what is to be kept nothing is given up on a guess.
   */
  rulesOf(namespace: string, request: { readonly signal: AbortSignal }): NamespaceRules | Promise<NamespaceRules>;
  /** What the owner has set. @throws GatewayError `NOT_FOUND`, `UNAVAILABLE` */
  settings(namespace: string, context: RequestContext): Promise<Versioned<NamespaceSettings>>;
  /**
   * Changes settings.
   * @throws GatewayError `INVALID_REQUEST` for a setting beyond its limit, `NOT_FOUND`, `CONFLICT` when somebody else was
   * faster each time, `UNAVAILABLE`, `OUTCOME_UNKNOWN`
   */
  changeSettings(
    namespace: string,
    change: Change<NamespaceSettings>,
    actor: Principal,
    context: RequestContext,
  ): Promise<Versioned<NamespaceSettings>>;
  /** What the operator has set. @throws GatewayError `NOT_FOUND`, `UNAVAILABLE` */
  limits(namespace: string, context: RequestContext): Promise<Versioned<NamespaceLimits>>;
  /**
   * Changes limits. A setting that is now beyond its limit stays as it is written, and the limit holds.
   * @param whole whether everything that the change does not name goes back to its default
   * @throws GatewayError as {@link changeSettings}
   */
  changeLimits(
    namespace: string,
    change: Change<NamespaceLimits>,
    actor: Principal,
    context: RequestContext,
    whole: boolean,
  ): Promise<Versioned<NamespaceLimits>>;
}
