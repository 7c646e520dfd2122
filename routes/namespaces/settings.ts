import { z } from "zod";
import type { NamespaceSettings, Versioned } from "../../src/contracts/settings.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { cacheSettings, cacheSettingsAnswered } from "./cache_settings.ts";
import { egressSettings, egressSettingsAnswered } from "./egress_settings.ts";
import { functionsSettings } from "./functions_settings.ts";
import { pubsubSettings, pubsubSettingsAnswered } from "./pubsub_settings.ts";
import { sqlSettings } from "./sql_settings.ts";
import { storageSettings } from "./storage_settings.ts";

const params = z.object({ ns: z.string().max(64).describe("The namespace's name.") });
const values = z.object({
  sql: sqlSettings,
  cache: cacheSettingsAnswered,
  storage: storageSettings,
  pubsub: pubsubSettingsAnswered,
  functions: functionsSettings,
  egress: egressSettingsAnswered,
});
const output = z.object({
  settings: values.describe("What was set; `null`: the gateway's default."),
  effective: values.describe("What holds."),
  version: z.int().describe("How often settings or limits of the namespace were changed."),
});
const membersOf = ({ values, effective, version }: Versioned<NamespaceSettings>) => ({
  settings: values,
  effective,
  version,
});

export const getSettings = defineRoute({
  method: "GET",
  path: "/v1/namespaces/:ns/settings",
  summary: "Read the namespace's settings",
  tag: "Namespaces",
  access: { kind: "namespace", scope: "namespace:admin", param: "ns", role: "admin" },
  params,
  output,
  errors: ["NOT_FOUND", "UNAVAILABLE"],
  async handle(call, { settings }) {
    return ok(membersOf(await settings.settings(call.params.ns, call)));
  },
});

export const changeSettings = defineRoute({
  method: "PATCH",
  path: "/v1/namespaces/:ns/settings",
  summary: "Change the namespace's settings",
  description:
    "What is not named stays as it is; `null` gives a setting back to the gateway's default. On this gateway the change " +
    "holds when the answer arrives, on the others within a second.",
  tag: "Namespaces",
  access: { kind: "namespace", scope: "namespace:admin", param: "ns", role: "owner" },
  params,
  body: z.strictObject({
    sql: sqlSettings.partial().optional(),
    cache: cacheSettings.partial().optional(),
    storage: storageSettings.partial().optional(),
    pubsub: pubsubSettings.partial().optional(),
    functions: functionsSettings.partial().optional(),
    egress: egressSettings.partial().optional(),
  }),
  output,
  errors: ["NOT_FOUND", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { settings }) {
    const { params: { ns }, body, principal } = call;
    return ok(membersOf(await settings.changeSettings(ns, body, principal, call)));
  },
});
