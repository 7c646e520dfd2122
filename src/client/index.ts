/** The client of a gateway: `createClient`, and on it `createDatabase`. Runs on Deno, Node 20 and later, and in browsers. */
export type { ClientErrorCode, ErrorParts } from "./errors.ts";
export { OramaError } from "./errors.ts";
export type { CallOptions, Client, ClientOptions } from "./http.ts";
export { createClient } from "./http.ts";
export type { RetryPolicy } from "./retry.ts";
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
export type { Join, SelectParts } from "./database/select.ts";
export { SelectBuilder } from "./database/select.ts";
export type { Real, Row, SqlArgument, SqlValue } from "./database/values.ts";
export { quoteName, real } from "./database/values.ts";
