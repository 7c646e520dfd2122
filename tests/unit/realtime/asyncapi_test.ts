import schema from "@asyncapi/specs/schemas/3.0.0.json" with { type: "json" };
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { deepEqual, equal, ok } from "node:assert/strict";
import { asyncApiDocument } from "../../../routes/realtime/asyncapi_document.ts";
import { COMMON_ERRORS, ERRORS } from "../../../routes/realtime/errors.ts";
import { COMMANDS, PUSHES } from "../../../routes/realtime/frames.ts";
import { at, valuesOf } from "../../support/openapi.ts";
import { knownSession } from "./support/sessions.ts";

const document = JSON.parse(JSON.stringify(asyncApiDocument("1.2.3"))) as ReturnType<typeof asyncApiDocument>;
// It brings a copy of the schema of schemas, which is there already.
const { ["http://json-schema.org/draft-07/schema"]: _, ...definitions } = schema.definitions;
const validate = new Ajv({ strict: false, validateFormats: false }).compile({ ...schema, definitions });

Deno.test("the description is valid AsyncAPI 3.0", () => {
  ok(validate(document), JSON.stringify(validate.errors?.slice(0, 3)));
});

Deno.test("a description that lacks something is found invalid", () => {
  const { info: _, ...rest } = document;
  equal(validate(rest), false);
});

Deno.test("every reference leads somewhere", () => {
  const references = [...valuesOf(document, "$ref")];
  ok(references.length > 30);
  deepEqual(references.filter((ref) => at(document, String(ref).slice(1)) === undefined), []);
});

Deno.test("each command and each push is described", () => {
  const { messages } = document.components;
  deepEqual(Object.keys(COMMANDS).filter((name) => !(name in messages && `${name}Ok` in messages)), []);
  deepEqual(Object.keys(PUSHES).filter((name) => !(`${name}Push` in messages)), []);
  deepEqual(Object.keys(COMMANDS).filter((name) => !(name in document.operations)), []);
});

Deno.test("each code of a failure is listed for its command, in the description and in the documentation", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/realtime.md", import.meta.url));
  const rows = [...page.matchAll(/^\|([^|]*)\| `([A-Z_]+)` +\|/gm)].map(([, of = "", code = ""]) => [of.trim(), code]);
  const listed = new Map<string, Set<string>>();
  let names: string[] = [];
  for (const [of = "", code = ""] of rows) {
    names = of === "" ? names : of.match(/\w+/g) ?? [];
    for (const name of names) listed.set(name, (listed.get(name) ?? new Set()).add(code));
  }
  const { any = new Set<string>() } = Object.fromEntries(listed);
  deepEqual([...any].toSorted(), [...COMMON_ERRORS].toSorted());
  for (const [name, codes] of Object.entries(ERRORS)) {
    deepEqual([...listed.get(name) ?? []].toSorted(), [...codes].toSorted(), name);
    const { description } = document.operations[name] as { readonly description: string };
    deepEqual([...COMMON_ERRORS, ...codes].filter((code) => !description.includes(`\`${code}\``)), []);
  }
});

const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ $id: "api", ...document });

/** What a value has that the payload of a message does not allow. */
function problems(message: string, value: unknown): string[] {
  const check = ajv.getSchema(`api#/components/messages/${message}/payload`);
  if (!check) throw new Error(`there is no message ${message}`);
  return check(value) ? [] : check.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`);
}

Deno.test("what is said and what is answered fits the description", async () => {
  const { say, pubsub } = knownSession();
  pubsub.present = [{ id: "m", meta: { a: 1 }, joinedAt: 1, connections: 2 }];
  const commands: readonly Record<string, unknown>[] = [
    { id: 1, type: "connect" },
    { id: 2, type: "subscribe", topic: "t", presence: true, since: "p1", member: { id: "m", meta: {} } },
    { id: "3", type: "publish", topic: "t", data: null },
    { id: 4, type: "publish", topic: "t", messages: [{ data: 1 }, { data_base64: "AA==" }], idempotency_key: "k" },
    { id: 5, type: "presence", topic: "t" },
    { id: 6, type: "history", topic: "t", limit: 5 },
    { id: 7, type: "ping" },
    { id: 8, type: "refresh", token: "key" },
    { id: 9, type: "unsubscribe", topic: "t" },
    { id: 10, type: "unsubscribe", topic: "t" },
  ];
  for (const command of commands) {
    deepEqual(problems(String(command.type), command), [], JSON.stringify(command));
    for (const told of await say(command)) {
      const name = told.type === "ok" ? `${command.type}Ok` : told.type === "error" ? "failure" : `${told.type}Push`;
      deepEqual(problems(name, told), [], JSON.stringify(told));
    }
  }
  deepEqual(problems("subscribe", { type: "subscribe" }).length, 1);
});
