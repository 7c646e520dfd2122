/** The client of a gateway: `createClient`, and on it `createDatabase`, `createCache`, `createStorage`, `createRealtime`, `createFunctions` and `createProxy`. Runs on Deno, Node 20 and later, and in browsers. */
export type { ClientErrorCode, ErrorParts } from "./errors.ts";
export { OramaError } from "./errors.ts";
export type { CallOptions, Client, ClientOptions } from "./http.ts";
export { createClient } from "./http.ts";
export type { RetryPolicy } from "./retry.ts";
export type { CacheBytes, GetBytesOptions, PutBytesOptions } from "./cache/bytes.ts";
export type { Cache, CacheMapFigures } from "./cache/cache.ts";
export { createCache } from "./cache/cache.ts";
export type { CacheLifetime, CacheMap, CachePutResult } from "./cache/cache_map.ts";
export type { Duration } from "./durations.ts";
export type { HeldLock } from "./cache/held_lock.ts";
export type { CacheLease, CacheLockOptions, WithLockOptions } from "./cache/locks.ts";
export type {
  CacheDeleteOptions,
  CacheIncrOptions,
  CacheManyOptions,
  CachePutOptions,
  CacheScanOptions,
  CacheSwapOptions,
  ConditionOptions,
  LifeOptions,
  RepeatOptions,
} from "./cache/options.ts";
export type { CacheEntry, Json } from "./cache/values.ts";
export type { BatchItem, BatchStatement, CompiledStatement, Expectation } from "./database/batch.ts";
export type { BulkOptions, BulkResult, BulkRow } from "./database/bulk.ts";
export type { Change, ChangesOptions, RowChange } from "./database/changes.ts";
export type {
  BatchOptions,
  Criteria,
  Database,
  DefinitionOptions,
  FindOptions,
  SchemaObject,
} from "./database/database.ts";
export { createDatabase } from "./database/database.ts";
export type { Mapping } from "./database/mapping.ts";
export type {
  DatabaseDefaults,
  Integers,
  KeyOptions,
  ReadLevel,
  ReadOptions,
  RowOptions,
  StatementOptions,
  WriteOptions,
} from "./database/options.ts";
export type {
  EntityCriteria,
  EntityFindOptions,
  EntityWriteOptions,
  RepositoryOptions,
} from "./database/repository.ts";
export { Repository } from "./database/repository.ts";
export type { StatementResult } from "./database/rows.ts";
export type { Join, Page, SelectParts } from "./database/select.ts";
export { SelectBuilder } from "./database/select.ts";
export type { Real, Row, SqlArgument, SqlValue } from "./database/values.ts";
export { quoteName, real } from "./database/values.ts";
export type { FunctionInput, Functions, FunctionSecrets } from "./functions/functions.ts";
export { createFunctions } from "./functions/functions.ts";
export type {
  DeployOptions,
  FollowOptions,
  FunctionWriteOptions,
  InvokeOptions,
  LogLevel,
  LogOptions,
} from "./functions/options.ts";
export type {
  FunctionAlias,
  FunctionAnswer,
  FunctionLogLine,
  FunctionSecret,
  FunctionVersion,
} from "./functions/values.ts";
export type { ProxyAnswer } from "./proxy/answer.ts";
export type { ProxyBody, ProxyInit, ProxyOptions } from "./proxy/options.ts";
export type { AnonymousProxy } from "./proxy/proxy.ts";
export { createProxy } from "./proxy/proxy.ts";
export { createRealtime } from "./realtime/connection.ts";
export type {
  GapReason,
  PresenceChange,
  SubscriptionEvents,
  SubscriptionState,
  SubscriptionStateChange,
  TopicEvent,
  TopicGap,
  TopicMember,
  TopicMessage,
  TopicRecovery,
} from "./realtime/events.ts";
export type {
  AnyTopics,
  CredentialSource,
  HistoryOptions,
  PublishOptions,
  RealtimeOptions,
} from "./realtime/options.ts";
export type { SocketConstructor, SocketEvent, SocketLike } from "./realtime/platform.ts";
export type {
  HistoryPage,
  PublishResult,
  Realtime,
  RealtimeEvents,
  RealtimeSession,
  RealtimeState,
  RealtimeStateChange,
  TopicPresence,
} from "./realtime/realtime.ts";
export type { ServerEvent, SubscribeEventsOptions } from "./realtime/sse.ts";
export { subscribeEvents } from "./realtime/sse.ts";
export type { SubscribeOptions, Subscription } from "./realtime/subscription.ts";
export type { Content, WholeContent } from "./storage/content.ts";
export type { ContentBody, Download, DownloadCarOptions, DownloadOptions } from "./storage/download.ts";
export type {
  DirectoryListing,
  ObjectPage,
  PinState,
  PinStatus,
  StorageLink,
  Stored,
  StoredDirectory,
  StoredObject,
} from "./storage/objects.ts";
export type {
  ContentKind,
  CopyOptions,
  LinkOptions,
  ObjectChange,
  ObjectsOptions,
  PinOptions,
  StorageWriteOptions,
  StoreOptions,
  UploadDirectoryOptions,
  UploadOptions,
  Visibility,
} from "./storage/options.ts";
export type { ResumableContent } from "./storage/parts.ts";
export type { ByteRange } from "./storage/reading.ts";
export type { ResumableOptions, UploadState } from "./storage/resumable.ts";
export type { DirectoryFile, Storage } from "./storage/storage.ts";
export { createStorage } from "./storage/storage.ts";
export type { ChecksumAlgorithm } from "./storage/tus.ts";
export type { ReceivedEvent, VerifyWebhookOptions } from "./webhooks/verify.ts";
export { verifyWebhook } from "./webhooks/verify.ts";
