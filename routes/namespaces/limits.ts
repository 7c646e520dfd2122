import { z } from "zod";
import type { NamespaceLimits, Versioned } from "../../src/contracts/settings.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { cacheLimits } from "./cache_limits.ts";
import { egressLimits } from "./egress_limits.ts";
import { functionsLimits } from "./functions_limits.ts";
import { pubsubLimits } from "./pubsub_limits.ts";
import { sqlLimits } from "./sql_settings.ts";
import { storageLimits } from "./storage_settings.ts";
import { webhooksLimits } from "./webhooks_limits.ts";

const path = "/v1/namespaces/:ns/limits";
const params = z.object({ ns: z.string().max(64).describe("The namespace's name.") });
const body = z.strictObject({
  sql: sqlLimits.partial().optional(),
  cache: cacheLimits.partial().optional(),
  storage: storageLimits.partial().optional(),
  pubsub: pubsubLimits.partial().optional(),
  functions: functionsLimits.partial().optional(),
  egress: egressLimits.partial().optional(),
  webhooks: webhooksLimits.partial().optional(),
});
const values = z.object({
  sql: sqlLimits,
  cache: cacheLimits,
  storage: storageLimits,
  pubsub: pubsubLimits,
  functions: functionsLimits,
  egress: egressLimits,
  webhooks: webhooksLimits,
});
const output = z.object({
  limits: values.describe("What was set for this namespace; `null`: the gateway's default."),
  effective: values.describe("What holds."),
  version: z.int().describe("How often settings or limits of the namespace were changed."),
});
const errors = ["NOT_FOUND", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE"] as const;
const membersOf = ({ values, effective, version }: Versioned<NamespaceLimits>) => ({
  limits: values,
  effective,
  version,
});

export const getLimits = defineRoute({
  method: "GET",
  path,
  summary: "Read the namespace's limits",
  tag: "Namespaces",
  access: { kind: "namespace", scope: "namespace:admin", param: "ns", role: "owner", operators: true },
  params,
  output,
  errors: ["NOT_FOUND", "UNAVAILABLE"],
  async handle(call, { settings }) {
    return ok(membersOf(await settings.limits(call.params.ns, call)));
  },
});

export const changeLimits = defineRoute({
  method: "PATCH",
  path,
  summary: "Change some of a namespace's limits",
  description:
    "What is not named stays as it is; `null` gives a limit back to the gateway's default. On this gateway the change " +
    "holds when the answer arrives, on the others within a second. A setting of the owner's beyond its limit is cut off there.",
  tag: "Namespaces",
  access: { kind: "operator" },
  params,
  body,
  output,
  errors,
  async handle(call, { settings }) {
    const { params: { ns }, body, principal } = call;
    return ok(membersOf(await settings.changeLimits(ns, body, principal, call, false)));
  },
});

export const replaceLimits = defineRoute({
  method: "PUT",
  path,
  summary: "Set all of a namespace's limits",
  description: "As `PATCH`, but what is not named goes back to the gateway's default.",
  tag: "Namespaces",
  access: { kind: "operator" },
  params,
  body,
  output,
  errors,
  async handle(call, { settings }) {
    const { params: { ns }, body, principal } = call;
    return ok(membersOf(await settings.changeLimits(ns, body, principal, call, true)));
  },
});
