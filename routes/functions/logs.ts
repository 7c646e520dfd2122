import { z } from "zod";
import { LOG_LEVELS, type LoggedInvocation, type LogLevel, type LogLine } from "../../src/contracts/function_logs.ts";
import { INVOCATION_TRIGGERS } from "../../src/contracts/function_invocations.ts";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { FOUND_ERRORS } from "./errors.ts";
import { bareName, nameInPath, namespaceInQuery, namespaceOf } from "./fields.ts";

/** Entries of an answer where nothing is said, and at most. */
const USUAL = 100, MOST = 1_000;

const part = {
  namespace: namespaceInQuery,
  limit: z.string().regex(/^-?\d{0,15}$/, "must be a whole number").optional()
    .transform((limit) => Number(limit) > 0 ? Math.min(Number(limit), MOST) : USUAL)
    .describe(
      `How many entries, ${USUAL} where nothing or no positive number is said. More than ${MOST} are never given.`,
    ),
  before: z.string().max(128).optional().describe("Older than the entry with this id."),
  request_id: z.string().max(256).optional().describe("Of one call."),
};

/** A line of a log as the API shows it. */
export const lineJson = ({ id, at, level, message, requestId, version }: LogLine) => ({
  id,
  level,
  message,
  timestamp: rfc3339(at),
  request_id: requestId,
  version,
});

const line = z.object({
  id: z.string().describe("Later lines have greater ones, as texts."),
  level: z.enum(LOG_LEVELS),
  message: z.string(),
  timestamp: z.string(),
  request_id: z.string(),
  version: z.int(),
});

export const functionLogs = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/logs",
  summary: "Read what a function logged",
  description: "Newest first. Lines are written in batches: the last half second may be missing.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: nameInPath,
  query: z.object({ ...part, level: z.enum(LOG_LEVELS).optional().describe("Of this level alone.") }),
  output: z.object({ name: z.string(), namespace: z.string(), logs: z.array(line), count: z.int() }),
  errors: FOUND_ERRORS,
  async handle(call, { functionLogs }) {
    const { query: { limit, before, level, request_id: requestId } } = call;
    const [namespace, name] = [namespaceOf(call), bareName(call.params.name)];
    const query = { limit, before, level: level satisfies LogLevel | undefined, requestId };
    const lines = await functionLogs.lines(namespace, name, query, call);
    return ok({ name, namespace, logs: lines.map(lineJson), count: lines.length });
  },
});

const invocation = z.object({
  id: z.string(),
  request_id: z.string(),
  version: z.int(),
  attempt: z.int().describe("Which try of the call it was, from 1."),
  trigger: z.enum(INVOCATION_TRIGGERS),
  trigger_id: z.string().optional(),
  caller: z.string().optional(),
  started_at: z.string(),
  duration_ms: z.number(),
  status: z.enum(["success", "error", "timeout"]),
  error: z.string().optional(),
  input_bytes: z.int(),
  output_bytes: z.int(),
  memory_bytes: z.int().describe("What its memory had at the end."),
  host_calls: z.int(),
  cold_start: z.boolean().describe("Whether a process had to be made ready for it."),
});

const invocationJson = (one: LoggedInvocation): z.input<typeof invocation> => ({
  id: one.id,
  request_id: one.requestId,
  version: one.version,
  attempt: one.attempt,
  trigger: one.trigger,
  ...(one.triggerId !== undefined && { trigger_id: one.triggerId }),
  ...(one.caller !== undefined && { caller: one.caller }),
  started_at: rfc3339(one.startedAt),
  duration_ms: one.duration,
  status: one.status,
  ...(one.error !== undefined && { error: one.error }),
  input_bytes: one.inputBytes,
  output_bytes: one.outputBytes,
  memory_bytes: one.memoryBytes,
  host_calls: one.hostCalls,
  cold_start: one.coldStart,
});

export const functionInvocations = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/invocations",
  summary: "Read how calls of a function ended",
  description:
    "Newest first, each try of a call apart. They are written in batches: the last half second may be missing.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: nameInPath,
  query: z.object(part),
  output: z.object({ name: z.string(), namespace: z.string(), invocations: z.array(invocation), count: z.int() }),
  errors: FOUND_ERRORS,
  async handle(call, { functionLogs }) {
    const { query: { limit, before, request_id: requestId } } = call;
    const [namespace, name] = [namespaceOf(call), bareName(call.params.name)];
    const invocations = await functionLogs.invocations(namespace, name, { limit, before, requestId }, call);
    return ok({ name, namespace, invocations: invocations.map(invocationJson), count: invocations.length });
  },
});
