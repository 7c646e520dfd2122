import type { GatedStatement } from "../driver.ts";
import type { SchemaObjectText } from "./judge_protocol.ts";

/** A schema as the leader has it. */
export interface Schema {
  /** SQLite's own count of changes. */
  readonly version: number;
  readonly objects: readonly SchemaObjectText[];
}

/** Where a mirror looks. The first two throw when the leader cannot be asked. */
export interface SchemaSource {
  readonly schema: () => Promise<Schema>;
  readonly version: () => Promise<number>;
  /** The text that a short statement is sent with, if it may share a request. */
  readonly shared: (statement: GatedStatement) => string | undefined;
}
