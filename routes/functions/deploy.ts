import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { FunctionVersion } from "../../src/contracts/functions.ts";
import { json } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { deployForm, formBody } from "./deploy_form.ts";
import { CHANGE_ERRORS } from "./errors.ts";
import { assertOwn, functionAnswer, functionJson, namespaceOf, namespaceQuery } from "./fields.ts";

const FORM = "multipart/form-data";

export const deployFunction = defineRoute({
  method: "POST",
  path: "/v1/functions",
  summary: "Deploy a version of a function",
  description:
    "A form with the module in the part `wasm`, and fields before or behind it. The module is checked and compiled before anything is " +
    "kept: what is wrong with it is 400 `MODULE_INVALID`. From the answer on the version serves calls that name none; calls that run " +
    "end as they began. What is not said is the gateway's default, never the version's before. A number that is empty or 0 is not " +
    "said, as older clients have it; what is no number is 400; a `version` in `metadata` counts for nothing. Triggers that `metadata` " +
    "declares take the place of those that an earlier deployment declared of the same kind. More of them than a namespace may have are " +
    "403; where they cannot be put in place once the version is, it is 409 with a sentence that says so.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  query: namespaceQuery,
  rawBody: {
    types: { [FORM]: formBody, [ANY_TYPE]: z.unknown().describe("Refused with a sentence: it is always a form.") },
    // The limit is the namespace's: it is held as the bytes pass.
    maxBytes: Infinity,
  },
  status: 201,
  output: z.object({ message: z.string(), function: functionAnswer }),
  errors: [
    ...CHANGE_ERRORS,
    "MODULE_INVALID",
    "QUOTA_EXCEEDED",
    "TOO_MANY_UPLOADS",
    "TOO_MANY_INVOCATIONS",
    "NO_CAPACITY",
  ],
  async handle(call, { functions, functionTriggers, settings }) {
    const { principal, upload, incoming } = call;
    if (upload.mediaType !== FORM) throw notAForm(upload.mediaType);
    const namespace = namespaceOf(call);
    const { functions: rules } = await settings.rulesOf(namespace, call);
    // Before anything is read: from then on the module is in memory, for as long as its sender takes.
    using place = functions.beginDeploy(namespace);
    const parse = (bytes: Uint8Array) => upload.parse(bytes);
    const form = await deployForm(upload.lent, incoming, rules.maxModuleBytes, parse);
    assertOwn(principal, form.namespace, "namespace");
    functionTriggers.checkDeclared(form.triggers, rules.maxTriggers, form.deployment.dlqTopic);
    const deployment = { ...form.deployment, wasm: once(form.module), place, admit: () => call.admit() };
    const deployed = await functions.deploy(principal, deployment, call);
    try {
      await functionTriggers.replaceDeclared(principal, deployed.name, form.triggers, call);
    } catch (error) {
      throw halfDone(deployed, error);
    }
    return json(201, { message: "Function deployed successfully", function: functionJson(deployed) });
  },
});

/** In the words that older clients know. */
const notAForm = (mediaType: string) =>
  new GatewayError(
    "INVALID_REQUEST",
    mediaType === "application/json"
      ? "Base64 WASM upload not supported, use multipart/form-data"
      : "Failed to parse form: the Content-Type must be multipart/form-data",
    {
      details: [{ field: "Content-Type", problem: "must be multipart/form-data" }],
    },
  );

/** Never a status that clients repeat by themselves: each time would be one more version. */
function halfDone({ version }: FunctionVersion, cause: unknown): GatewayError {
  const why = cause instanceof GatewayError && cause.code !== "INTERNAL" ? cause.message : "the gateway failed";
  return new GatewayError("CONFLICT", `version ${version} is in place, but its triggers are not: ${why}`, { cause });
}

/** Asynchronous because other content is. */
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  if (bytes.length > 0) yield bytes;
}
