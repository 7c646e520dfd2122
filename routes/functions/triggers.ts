import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { FunctionTrigger } from "../../src/contracts/function_triggers.ts";
import { json, ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CHANGE_ERRORS, FOUND_ERRORS } from "./errors.ts";
import { bareName, nameInPath, namespaceOf, namespaceQuery } from "./fields.ts";
import { sourceOf, triggerAnswer, triggerBody, triggerJson } from "./trigger_fields.ts";

const path = "/v1/functions/:name/triggers";
const triggerPath = "/v1/functions/:name/triggers/:trigger";
const triggerInPath = z.object({
  ...nameInPath.shape,
  trigger: z.string().max(64).describe("The trigger's id, `trg_…`."),
});

export const listTriggers = defineRoute({
  method: "GET",
  path,
  summary: "List the triggers of a function",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: nameInPath,
  query: namespaceQuery,
  output: z.object({ triggers: z.array(triggerAnswer), count: z.int() }),
  errors: FOUND_ERRORS,
  async handle(call, { functionTriggers }) {
    const triggers = await functionTriggers.list(namespaceOf(call), bareName(call.params.name), call);
    return ok({ triggers: triggers.map(triggerJson), count: triggers.length });
  },
});

export const getTrigger = defineRoute({
  method: "GET",
  path: triggerPath,
  summary: "Read a trigger of a function",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: triggerInPath,
  query: namespaceQuery,
  output: triggerAnswer,
  errors: FOUND_ERRORS,
  async handle(call, { functionTriggers }) {
    const { params: { name, trigger } } = call;
    const all = await functionTriggers.list(namespaceOf(call), bareName(name), call);
    return ok(triggerJson(found(all, trigger)));
  },
});

export const createTrigger = defineRoute({
  method: "POST",
  path,
  summary: "Make a trigger of a function",
  description: `
What calls the function without anybody's asking, in the namespace's own name:

| kind | when |
|---|---|
| \`cron\` | At the times of \`expression\`: five or six fields, the first of six being seconds; UTC, or \`timezone\`. One gateway of a cluster calls. |
| \`topic\` | A message comes to \`topic\`. |
| \`database\` | Rows of \`table\` change, by one of \`operations\`. The table's changes must be watched. |
| \`route\` | A request comes to \`/v1/http/{namespace}\` and \`path\` with \`method\`. \`:name\` in the path takes any segment, \`*\` at its end all the rest. |
`.trim(),
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  params: nameInPath,
  query: namespaceQuery,
  body: triggerBody,
  status: 201,
  output: triggerAnswer,
  errors: [...CHANGE_ERRORS, "QUOTA_EXCEEDED"],
  async handle(call, { functionTriggers }) {
    namespaceOf(call);
    const { params: { name }, body, principal } = call;
    const wanted = { reference: body.reference, source: sourceOf(body), enabled: body.enabled };
    return json(201, triggerJson(await functionTriggers.create(principal, bareName(name), wanted, call)));
  },
});

export const changeTrigger = defineRoute({
  method: "PATCH",
  path: triggerPath,
  summary: "Switch a trigger of a function on or off",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  params: triggerInPath,
  query: namespaceQuery,
  body: z.object({ enabled: z.boolean() }),
  output: triggerAnswer,
  errors: CHANGE_ERRORS,
  async handle(call, { functionTriggers }) {
    namespaceOf(call);
    const { params: { name, trigger }, body: { enabled }, principal } = call;
    return ok(triggerJson(await functionTriggers.setEnabled(principal, bareName(name), trigger, enabled, call)));
  },
});

export const deleteTrigger = defineRoute({
  method: "DELETE",
  path: triggerPath,
  summary: "Delete a trigger of a function",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  params: triggerInPath,
  query: namespaceQuery,
  output: z.object({ message: z.string() }),
  errors: CHANGE_ERRORS,
  async handle(call, { functionTriggers }) {
    namespaceOf(call);
    const { params: { name, trigger }, principal } = call;
    await functionTriggers.delete(principal, bareName(name), trigger, call);
    return ok({ message: "Trigger deleted successfully" });
  },
});

function found(all: readonly FunctionTrigger[], id: string): FunctionTrigger {
  const one = all.find((trigger) => trigger.id === id);
  if (one === undefined) throw new GatewayError("NOT_FOUND", "trigger not found");
  return one;
}
