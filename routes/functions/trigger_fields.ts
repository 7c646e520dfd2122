import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { FunctionTrigger, TriggerSource } from "../../src/contracts/function_triggers.ts";
import { rfc3339 } from "../../src/http/formats.ts";

const OPERATIONS = ["insert", "update", "delete"] as const;
const KINDS = ["cron", "topic", "database", "route"] as const;

/** What of a trigger a client says. Which of the others are needed, the kind says. */
export const triggerBody = z.object({
  kind: z.enum(KINDS),
  reference: z.string().min(1).max(64).optional().describe(
    "Which version or alias is called. Default: the one that serves.",
  ),
  enabled: z.boolean().default(true),
  expression: z.string().min(1).max(256).optional().describe("Of `cron`: such as `*/5 * * * *`."),
  timezone: z.string().min(1).max(64).optional().describe("Of `cron`: such as `Europe/Berlin`. Default: UTC."),
  topic: z.string().min(1).max(255).optional().describe("Of `topic`."),
  table: z.string().min(1).max(255).optional().describe("Of `database`."),
  operations: z.array(z.enum(OPERATIONS)).max(3).optional().describe("Of `database`. Default: all."),
  method: z.string().min(1).max(16).optional().describe("Of `route`. Default: GET."),
  path: z.string().min(1).max(512).optional().describe("Of `route`: such as `/orders/:id`."),
  is_public: z.boolean().optional().describe("Of `route`: whether anyone may call it. Default: false."),
});

/** A trigger as the API shows it. */
export const triggerAnswer = z.object({
  id: z.string(),
  function: z.string(),
  kind: z.enum(KINDS),
  reference: z.string().optional(),
  enabled: z.boolean(),
  expression: z.string().optional(),
  timezone: z.string().optional(),
  topic: z.string().optional(),
  table: z.string().optional(),
  operations: z.array(z.string()).optional(),
  method: z.string().optional(),
  path: z.string().optional(),
  is_public: z.boolean().optional(),
  created_at: z.string(),
  created_by: z.string(),
  last_at: z.string().optional().describe("When it fired last."),
  last_error: z.string().optional().describe("How that failed, or why it cannot fire."),
  next_at: z.string().optional().describe("When a cron trigger fires next."),
});

/** What sets the trigger off. @throws GatewayError `INVALID_REQUEST` for what the kind needs and is not there */
export function sourceOf(body: z.output<typeof triggerBody>): TriggerSource {
  const needed = <Name extends "expression" | "topic" | "table" | "path">(field: Name): string => {
    const value = body[field];
    if (value !== undefined) return value;
    const problem = `is missing; a trigger of the kind ${body.kind} needs it`;
    throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
  };
  switch (body.kind) {
    case "cron":
      return { kind: "cron", expression: needed("expression"), timezone: body.timezone };
    case "topic":
      return { kind: "topic", topic: needed("topic") };
    case "database":
      return { kind: "database", table: needed("table"), operations: [...new Set(body.operations)] };
    case "route":
      return {
        kind: "route",
        method: (body.method ?? "GET").toUpperCase(),
        path: needed("path"),
        isPublic: body.is_public ?? false,
      };
  }
}

/** From the contract's words to those of the wire. */
export function triggerJson(trigger: FunctionTrigger): z.input<typeof triggerAnswer> {
  const { id, functionName, reference, source, enabled, createdAt, createdBy, last, nextAt } = trigger;
  return {
    id,
    function: functionName,
    ...(reference !== undefined && { reference }),
    enabled,
    ...sourceJson(source),
    created_at: rfc3339(createdAt),
    created_by: createdBy,
    ...(last && { last_at: rfc3339(last.at) }),
    ...(last?.error !== undefined && { last_error: last.error }),
    ...(nextAt !== undefined && { next_at: rfc3339(nextAt) }),
  };
}

function sourceJson(source: TriggerSource) {
  switch (source.kind) {
    case "cron":
      return { kind: source.kind, expression: source.expression, timezone: source.timezone ?? "UTC" };
    case "topic":
      return { kind: source.kind, topic: source.topic };
    case "database":
      return {
        kind: source.kind,
        table: source.table,
        operations: [...source.operations.length === 0 ? OPERATIONS : source.operations],
      };
    case "route":
      return { kind: source.kind, method: source.method, path: source.path, is_public: source.isPublic };
  }
}
