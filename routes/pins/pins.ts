import { z } from "zod";
import { json, ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { FOUND_ERRORS, MAKE_ERRORS } from "./errors.ts";
import { pin, pinStatus, pinStatusJson, wishOf } from "./fields.ts";

const path = "/v1/pins/:requestid";
const params = z.object({ requestid: z.string().describe("`requestid` of the answer that made it.") });
const bodyHint = "expected {cid, name?, origins?, meta?}";

export const addPin = defineRoute({
  method: "POST",
  path: "/v1/pins",
  summary: "Request that content be kept",
  description:
    "What the namespace has already, what is public, and, where the gateway belongs to a network, what is found there: " +
    "`queued` until it is. Otherwise 404. What others have privately is never found, as if nobody had it. Again: another " +
    "request beside the first.",
  tag: "Pinning",
  access: { kind: "namespace", scope: "storage:write" },
  body: pin,
  bodyHint,
  output: pinStatus,
  status: 202,
  errorForm: "pinning",
  errors: MAKE_ERRORS,
  async handle(call, { pinRequests }) {
    return json(202, pinStatusJson(await pinRequests.add(call.principal, wishOf(call.body), call)));
  },
});

export const getPin = defineRoute({
  method: "GET",
  path,
  summary: "Tell how it goes with a pin request",
  tag: "Pinning",
  access: { kind: "namespace", scope: "storage:read" },
  params,
  output: pinStatus,
  errorForm: "pinning",
  errors: FOUND_ERRORS,
  async handle(call, { pinRequests }) {
    return ok(pinStatusJson(await pinRequests.get(call.principal.namespace, call.params.requestid, call)));
  },
});

export const replacePin = defineRoute({
  method: "POST",
  path,
  summary: "Replace a pin request by another one",
  description: "At once, and so that nothing is collected which both keep. The new one has an id of its own.",
  tag: "Pinning",
  access: { kind: "namespace", scope: "storage:write" },
  params,
  body: pin,
  bodyHint,
  output: pinStatus,
  status: 202,
  errorForm: "pinning",
  errors: MAKE_ERRORS,
  async handle(call, { pinRequests }) {
    const { principal, params: { requestid } } = call;
    return json(202, pinStatusJson(await pinRequests.replace(principal, requestid, wishOf(call.body), call)));
  },
});

export const removePin = defineRoute({
  method: "DELETE",
  path,
  summary: "Remove a pin request",
  description:
    "With its last request the namespace gives the content up, unless it was also uploaded or pinned by CID.",
  tag: "Pinning",
  access: { kind: "namespace", scope: "storage:write" },
  params,
  output: z.null(),
  status: 202,
  bodiless: true,
  errorForm: "pinning",
  errors: ["CONFLICT", "OUTCOME_UNKNOWN", ...FOUND_ERRORS],
  async handle(call, { pinRequests }) {
    await pinRequests.remove(call.principal.namespace, call.params.requestid, call);
    return { status: 202, body: null };
  },
});
