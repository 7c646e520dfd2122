import type { GuestCall, GuestReply } from "../parts.ts";
import { HOST_CALLS, type HostCall, type HostCallName } from "../modules/imports.ts";
import type { Call } from "./call.ts";
import type { Stage } from "./stage.ts";

/** How bytes go between a module and a host call. */
export interface Passage {
  /** How many numbers stand for bytes that a module gives. */
  readonly width: 1 | 2;
  /** @returns not a copy; `undefined`, with the error remembered, for what is not the module's */
  take(call: Call, pointer: number | bigint, length: number | bigint | undefined): Uint8Array | undefined;
  /** @returns what stands for them; 0, with the error remembered, where they cannot be handed over */
  give(call: Call, bytes: Uint8Array): bigint;
}

type Value = Uint8Array | number | bigint;

/** What a host call gives: `null` for nothing there, `undefined` for a failure, which is remembered. */
type Given = Value | null | undefined;

/** Bytes that one host call takes; the parent takes no more either. */
const MAX_TAKEN = 16 * 2 ** 20;
const MAX_I32 = 2 ** 31 - 1;
const encoder = new TextEncoder();
const NULL = encoder.encode("null");

/** What leaves `last_error` as it is, so that a failure can be logged before it is asked about. */
const ASIDE: ReadonlySet<HostCallName> = new Set([
  "last_error",
  "log_debug",
  "log_info",
  "log_warn",
  "log_error",
  "get_caller_wallet",
  "get_request_id",
]);

/** The host calls, as functions to import. */
export function hostFunctions(stage: Stage, passage: Passage): Record<HostCallName, (...values: never[]) => unknown> {
  const made = Object.entries(CODE).map(([name, code]) => [
    name,
    hostFunction(stage, passage, HOST_CALLS[name as HostCallName], ASIDE.has(name as HostCallName), code),
  ]);
  return Object.fromEntries(made);
}

function hostFunction(stage: Stage, passage: Passage, { takes, gives }: HostCall, aside: boolean, code: Code) {
  return stage.imported((call: Call, ...numbers: (number | bigint)[]) => {
    if (!aside) call.lastError = undefined;
    const values = valuesOf(call, passage, takes, numbers);
    const given = values && code(call, values);
    if (gives === "bytes") return given instanceof Uint8Array ? passage.give(call, given) : 0n;
    if (gives === "i32") return typeof given === "number" ? Math.min(given, MAX_I32) : 0;
    if (gives === "i64") {
      return typeof given === "bigint" ? given : typeof given === "number" ? BigInt(Math.trunc(given)) : 0n;
    }
  });
}

function valuesOf(
  call: Call,
  passage: Passage,
  takes: HostCall["takes"],
  numbers: readonly (number | bigint)[],
): Value[] | undefined {
  const values: Value[] = [];
  let at = 0, size = 0;
  for (const kind of takes) {
    if (kind !== "bytes") values.push(numbers[at++]!);
    else {
      const bytes = passage.take(call, numbers[at]!, numbers[at + 1]);
      if (!bytes) return undefined;
      values.push(bytes);
      at += passage.width;
      size += bytes.length;
    }
  }
  if (size > MAX_TAKEN) return call.fail("INVALID_REQUEST", `a host call takes at most ${MAX_TAKEN} bytes`);
  return values;
}

type Code = (call: Call, values: readonly Value[]) => Given;

/** @param parts which of the values are texts */
const asked = (name: GuestCall[0], ...kinds: ("text" | "bytes" | "number")[]): Code => (call, values) => {
  call.count();
  const parts: unknown[] = [name];
  for (const [at, kind] of kinds.entries()) {
    const value = values[at]!;
    const part = kind === "text" ? call.text(value as Uint8Array) : kind === "number" ? Number(value) : value;
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return givenBy(call, parts as unknown as GuestCall);
};

function givenBy(call: Call, asked: GuestCall): Given {
  const reply: GuestReply = call.ask(asked);
  return "error" in reply ? call.fail(reply.error.code, reply.error.message) : reply.value;
}

const logged = (level: "debug" | "info" | "warn" | "error"): Code => (call, [line]) => {
  call.log(level, line as Uint8Array);
  return null;
};

const incremented: Code = (call, [key, by = 1n]) => {
  call.count();
  const text = call.text(key as Uint8Array);
  return text === undefined ? undefined : givenBy(call, ["cache_incr", text, by as bigint]);
};

const query = asked("db_query", "text", "text");
const publish = asked("pubsub_publish", "text", "bytes");

/** What asks the parent counts as a host call; what the call knows itself, and logging, does not: that has bounds of its own. */
const CODE: Readonly<Record<HostCallName, Code>> = {
  get_caller_wallet: ({ task }) => encoder.encode(task.caller),
  get_request_id: ({ task }) => encoder.encode(task.requestId),
  get_env: (call, [name]) => {
    const text = call.text(name as Uint8Array);
    return text === undefined ? undefined : envOf(call, text) ?? null;
  },
  get_secret: asked("get_secret", "text"),
  db_query: (call, values) => {
    const rows = query(call, values);
    return rows === null ? NULL : rows;
  },
  db_execute: asked("db_execute", "text", "text"),
  db_transaction: asked("db_transaction", "text"),
  cache_get: asked("cache_get", "text"),
  cache_set: asked("cache_set", "text", "bytes", "number"),
  cache_delete: asked("cache_delete", "text"),
  cache_incr: incremented,
  cache_incr_by: incremented,
  storage_put: asked("storage_put", "text", "bytes"),
  storage_get: asked("storage_get", "text"),
  pubsub_publish: (call, values) => publish(call, values) === undefined ? 0 : 1,
  http_fetch: asked("http_fetch", "text", "text", "text", "bytes"),
  function_invoke: asked("function_invoke", "text", "bytes"),
  log_debug: logged("debug"),
  log_info: logged("info"),
  log_warn: logged("warn"),
  log_error: logged("error"),
  last_error: ({ lastError }) => lastError ? encoder.encode(JSON.stringify(lastError)) : null,
};

/** A variable of the version; `undefined` for one that it does not have. */
export function envOf({ task: { env } }: Call, name: string): Uint8Array | undefined {
  return Object.hasOwn(env, name) ? encoder.encode(env[name]) : undefined;
}

const REFUSALS = {
  NO_ALLOCATOR: "the module exports neither orama_alloc nor malloc, and so it cannot be given bytes",
  INVALID_POINTER: "the module's allocator gave a pointer to what is not all within its memory",
  RESULT_TOO_LARGE: "the result does not fit into the module's memory",
} as const;

/** By pointer and length, into the memory that the module exports. */
export const THROUGH_MEMORY: Passage = {
  width: 2,
  take: (call, pointer, length) =>
    call.memory.range(Number(pointer), Number(length)) ??
      call.fail("INVALID_POINTER", "a pointer and a length that are not all within the module's memory"),
  give(call, bytes) {
    const given = call.memory.give(bytes, call.task.limits.pages);
    if (typeof given === "bigint") return given;
    call.fail(given, REFUSALS[given]);
    return 0n;
  },
};
