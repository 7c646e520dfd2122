import { invalidResponse, isObject } from "../errors.ts";
import { momentOf } from "../moments.ts";
import type { LogLevel } from "./options.ts";

/** One version of a function. */
export interface FunctionVersion {
  /** The same for all versions of a function. */
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly version: number;
  /** The content id of the module. */
  readonly wasmCid: string;
  /** Whether it serves calls that name no version. */
  readonly isServing: boolean;
  /** MiB. */
  readonly memory: number;
  /** Seconds. */
  readonly timeout: number;
  readonly isPublic: boolean;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** An alias: a version, or several with a weight each, which are 100 in all. */
export interface FunctionAlias {
  readonly name: string;
  readonly targets: readonly { readonly version: number; readonly weight: number }[];
  readonly updatedAt: Date;
}

/** A line of a function's log. */
export interface FunctionLogLine {
  /** Later lines have greater ids, as texts. */
  readonly id: string;
  readonly at: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly requestId: string;
  readonly version: number;
}

/** A secret, without its value. */
export interface FunctionSecret {
  readonly name: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What a function answered. */
export interface FunctionAnswer {
  /** Of the call, as in the function's log. */
  readonly requestId: string;
  /** Milliseconds that the gateway took for it. */
  readonly duration: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same as text; what is no UTF-8 is replaced. */
  text(): string;
  /** The same as JSON. @throws OramaError `INVALID_RESPONSE` for an answer that is none */
  json(): unknown;
}

type Members = Readonly<Record<string, unknown>>;

/** @throws OramaError `INVALID_RESPONSE` */
export function versionOf(body: unknown): FunctionVersion {
  const { id, name, namespace, version, wasm_cid: wasmCid, serving, ...rest } = membersOf(body, "function");
  if (typeof id !== "string" || typeof name !== "string" || typeof version !== "number") {
    throw invalidResponse("it is no function");
  }
  return {
    id,
    name,
    namespace: String(namespace),
    version,
    wasmCid: String(wasmCid),
    isServing: serving === true,
    memory: Number(rest.memory_limit_mb),
    timeout: Number(rest.timeout_seconds),
    isPublic: rest.is_public === true,
    createdAt: momentOf(rest.created_at),
    createdBy: String(rest.created_by),
  };
}

/** @throws OramaError `INVALID_RESPONSE` */
export function aliasOf(body: unknown): FunctionAlias {
  const { name, targets, updated_at: updatedAt } = membersOf(body, "alias");
  if (typeof name !== "string" || !Array.isArray(targets)) throw invalidResponse("it is no alias");
  return { name, targets: targets as FunctionAlias["targets"], updatedAt: momentOf(updatedAt) };
}

/** @throws OramaError `INVALID_RESPONSE` */
export function lineOf(body: unknown): FunctionLogLine {
  const { id, timestamp, level, message, request_id: requestId, version } = membersOf(body, "line");
  if (typeof message !== "string") throw invalidResponse("it is no line of a log");
  return {
    id: String(id),
    at: momentOf(timestamp),
    level: level as LogLevel,
    message,
    requestId: String(requestId),
    version: Number(version),
  };
}

/** @throws OramaError `INVALID_RESPONSE` */
export function secretOf(body: unknown): FunctionSecret {
  const { name, created_at: createdAt, updated_at: updatedAt } = membersOf(body, "secret");
  if (typeof name !== "string") throw invalidResponse("it is no secret");
  return { name, createdAt: momentOf(createdAt), updatedAt: momentOf(updatedAt) };
}

/** What a list of an answer holds. @throws OramaError `INVALID_RESPONSE` */
export const listOf = <T>(name: string, read: (item: unknown) => T) => (body: unknown): T[] => {
  const items = membersOf(body, "list")[name];
  if (!Array.isArray(items)) throw invalidResponse(`it has no ${name}`);
  return items.map(read);
};

/** @throws OramaError `INVALID_RESPONSE` */
export function membersOf(body: unknown, what: string): Members {
  if (isObject(body)) return body;
  throw invalidResponse(`it is no ${what}`);
}
