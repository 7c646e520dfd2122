import { deepEqual, equal, match } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { as, MOST_DEPLOYS, workshop } from "./support/workshop.ts";

const WASM = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** A form with parts in this order; bytes are a file. */
function form(...parts: readonly (readonly [string, string | Uint8Array<ArrayBuffer>])[]): FormData {
  const data = new FormData();
  for (const [name, value] of parts) {
    if (typeof value === "string") data.append(name, value);
    else data.append(name, new Blob([value]), "module.wasm");
  }
  return data;
}

const deploy = (t: ReturnType<typeof workshop>, body: BodyInit, query = "", headers = {}) =>
  t.call(`POST /v1/functions${query}`, { body, headers: as("shops", headers) });

Deno.test("a deploy takes its fields in front of the module, behind it, and as one definition", async () => {
  const t = workshop();
  const fields = [["name", "resize"], ["is_public", "true"], ["memory_limit_mb", "32"], [
    "timeout_seconds",
    "7",
  ]] as const;
  const before = await deploy(t, form(...fields, ["wasm", WASM]));
  equal(before.status, 201);
  equal(before.json().message, "Function deployed successfully");
  equal(before.json().function.name, "resize");
  equal((await deploy(t, form(["wasm", WASM], ...fields))).status, 201);
  const said = { name: "resize", is_public: true, memory_limit_mb: 32, timeout_seconds: 7, retry_count: null };
  equal((await deploy(t, form(["wasm", WASM], ["metadata", JSON.stringify(said)]))).status, 201);
  const expected = { name: "resize", isPublic: true, memoryLimit: 32, timeout: 7_000, wasm: WASM };
  deepEqual(t.deployed, [expected, expected, expected]);
});

Deno.test("fields count more than the definition, but for the name; the definition brings variables", async () => {
  const t = workshop();
  const metadata = {
    name: "defined",
    timeout_seconds: 5,
    retry_count: 2,
    retry_delay_seconds: 1,
    dlq_topic: "dead",
    env_vars: { A: "b" },
    concurrency: 3,
    entry: "run",
    version: 9,
    cron_expressions: ["* * * * *"],
    db_triggers: [{ table: "t", operation: "INSERT" }],
    pubsub_topics: ["x"],
  };
  const body = form(["name", "said"], ["timeout_seconds", "6"], ["metadata", JSON.stringify(metadata)], ["wasm", WASM]);
  equal((await deploy(t, body)).status, 201);
  deepEqual(t.declared, [{
    name: "defined",
    cronExpressions: ["* * * * *"],
    dbTriggers: [{ table: "t", operation: "INSERT" }],
    pubsubTopics: ["x"],
  }]);
  deepEqual(t.deployed, [{
    name: "defined",
    timeout: 6_000,
    retryCount: 2,
    retryDelay: 1_000,
    dlqTopic: "dead",
    env: { A: "b" },
    concurrency: 3,
    entry: "run",
    wasm: WASM,
  }]);
});

Deno.test("a number that is empty or 0 is the gateway's default, and one that is none is refused by its field", async () => {
  const t = workshop();
  const numbers = [["memory_limit_mb", ""], ["timeout_seconds", "0"], ["retry_count", " "], ["is_public", ""]] as const;
  equal((await deploy(t, form(["name", "f"], ...numbers, ["wasm", WASM]))).status, 201);
  deepEqual(t.deployed, [{ name: "f", wasm: WASM }]);
  for (
    const [field, value] of [
      ["memory_limit_mb", "much"],
      ["timeout_seconds", "1.5"],
      ["retry_count", "-1"],
      ["retry_delay_seconds", "9".repeat(16)],
      ["is_public", "yes"],
      ["memory_limit", "5"],
    ] as const
  ) {
    const answer = await deploy(t, form(["name", "f"], [field, value], ["wasm", WASM]));
    deepEqual([answer.status, answer.json().details?.[0]?.field], [400, field], answer.text);
  }
  equal(t.deployed.length, 1);
});

Deno.test("yes and no are as Go writes them", async () => {
  const t = workshop();
  for (const [text, is] of [["1", true], ["t", true], ["TRUE", true], ["0", false], ["F", false], ["False", false]]) {
    equal((await deploy(t, form(["name", "f"], ["is_public", String(text)], ["wasm", WASM]))).status, 201);
    equal(t.deployed.at(-1)?.isPublic, is, String(text));
  }
});

Deno.test("what a form lacks is told in the words that older clients know", async () => {
  const t = workshop();
  const cases = [
    [form(["name", "f"]), "WASM file required"],
    [form(["wasm", WASM]), "Function name required"],
    [form(["wasm", WASM], ["metadata", "{"]), /^Invalid metadata JSON: /],
    [form(["wasm", WASM], ["metadata", "[]"]), /^Invalid metadata JSON: /],
    [form(["wasm", WASM], ["metadata", '{"env_vars":{"a":1}}']), /^Invalid metadata JSON: env_vars\.a/],
    [form(["wasm", WASM], ["metadata", "[".repeat(50_000)]), /^Invalid metadata JSON: /],
    [form(["name", "f"], ["name", "g"], ["wasm", WASM]), "name: is there twice"],
    [form(["name", "f"], ["wasm", WASM], ["wasm", WASM]), "wasm: is there twice"],
  ] as const;
  for (const [body, sentence] of cases) {
    const answer = await deploy(t, body);
    equal(answer.status, 400);
    if (typeof sentence === "string") equal(answer.json().error, sentence);
    else match(answer.json().error, sentence);
  }
  const asJson = await t.call("POST /v1/functions", {
    body: JSON.stringify({ name: "f", wasm: "AGFzbQEAAAA=" }),
    headers: as("shops", { "content-type": "application/json" }),
  });
  deepEqual([asJson.status, asJson.json().error], [400, "Base64 WASM upload not supported, use multipart/form-data"]);
  deepEqual(t.deployed, []);
});

Deno.test("a module or a field beyond its bound is refused, wherever it stands", async () => {
  const t = workshop();
  equal((await deploy(t, form(["wasm", new Uint8Array(1_001)], ["name", "f"]))).status, 413);
  equal((await deploy(t, form(["name", "f"], ["wasm", new Uint8Array(1_000)]))).status, 201);
  const long = await deploy(t, form(["name", "x".repeat(5_000)], ["wasm", WASM]));
  deepEqual([long.status, long.json().details[0].field], [400, "name"]);
  const many = Array.from({ length: 101 }, (_, i) => [`f${i}`, ""] as const);
  equal((await deploy(t, form(...many, ["name", "f"], ["wasm", WASM]))).status, 400);
  equal(t.deployed.length, 1);
});

Deno.test("nothing is deployed of a form that does not end in order", async () => {
  const t = workshop();
  const head = '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nf\r\n' +
    '--b\r\nContent-Disposition: form-data; name="wasm"; filename="m"\r\n\r\n\0asm';
  for (const end of ["", "\r\n--b\r\n", "\r\n--b-"]) {
    equal((await deploy(t, head + end, "", { "content-type": "multipart/form-data; boundary=b" })).status, 400, end);
  }
  equal((await deploy(t, head, "", { "content-type": "multipart/form-data" })).status, 400);
  deepEqual(t.deployed, []);
});

Deno.test("another namespace than the credential's is refused, in the address and in the form", async () => {
  const t = workshop();
  const good = () => form(["name", "f"], ["namespace", "shop"], ["wasm", WASM]);
  equal((await deploy(t, good(), "?namespace=shop")).status, 201);
  for (
    const answer of [
      await deploy(t, good(), "?namespace=cafe"),
      await deploy(t, form(["name", "f"], ["namespace", "cafe"], ["wasm", WASM])),
      await deploy(t, form(["wasm", WASM], ["metadata", '{"name":"f","namespace":"cafe"}'])),
    ]
  ) deepEqual([answer.status, answer.json().code], [403, "NAMESPACE_MISMATCH"]);
  equal(t.deployed.length, 1);
  const readers = await t.call("POST /v1/functions", { body: good(), headers: as("readers") });
  deepEqual([readers.status, readers.json().code], [403, "INSUFFICIENT_SCOPE"]);
});

Deno.test("a deploy has its place before anything of it is read, and leaves it however it ends", async () => {
  const t = workshop();
  const slow = Array.from({ length: MOST_DEPLOYS }, () => {
    const held = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await held.promise;
        controller.error(new Error("the client left"));
      },
    }, { highWaterMark: 0 });
    const sent = deploy(t, body, "", { "content-type": "multipart/form-data; boundary=b" });
    return { leave: held.resolve, sent: awaitedLater(sent) };
  });
  let read = 0;
  const unread = new ReadableStream<Uint8Array>({ pull: () => void read++ }, { highWaterMark: 0 });
  const refused = await deploy(t, unread, "", { "content-type": "multipart/form-data; boundary=b" });
  deepEqual([refused.status, refused.json().code, read], [429, "TOO_MANY_UPLOADS", 0]);
  for (const { leave } of slow) leave();
  for (const { sent } of slow) equal((await sent).status, 400);
  equal(t.underWay(), 0);
  equal((await deploy(t, form(["name", "f"], ["wasm", WASM]))).status, 201);
  equal(t.underWay(), 0);
});

Deno.test("whoever lost the right while the module was compiled deploys nothing", async () => {
  const t = workshop();
  t.duringDeploy(() => Promise.resolve(t.revokes("shops")));
  const answer = await deploy(t, form(["name", "f"], ["wasm", WASM]));
  deepEqual([answer.status, t.deployed, t.declared], [401, [], []]);
});

Deno.test("triggers that cannot be put in place once the version is are told with its number, and never as worth another try", async () => {
  const body = () => form(["name", "f"], ["wasm", WASM], ["metadata", '{"cron_expressions":["* * * * *"]}']);
  for (
    const [failure, sentence] of [
      [new GatewayError("UNAVAILABLE", "the control plane is away", { retryAfter: 1 }), /: the control plane is away$/],
      [new GatewayError("QUOTA_EXCEEDED", "too many triggers"), /: too many triggers$/],
      [new TypeError("secret of the engine"), /: the gateway failed$/],
    ] as const
  ) {
    const t = workshop();
    t.beforeTriggers(() => Promise.reject(failure));
    const answer = await deploy(t, body());
    deepEqual([answer.status, answer.json().code, t.deployed.length], [409, "CONFLICT", 1]);
    match(answer.json().error, /^version 1 is in place, but its triggers are not: /);
    match(answer.json().error, sentence);
  }
});

Deno.test("more triggers than the namespace may have are refused before anything is deployed", async () => {
  const t = workshop();
  const cron_expressions = Array.from({ length: 11 }, () => "* * * * *");
  const body = form(["name", "f"], ["wasm", WASM], ["metadata", JSON.stringify({ cron_expressions })]);
  deepEqual([(await deploy(t, body)).json().code, t.deployed], ["QUOTA_EXCEEDED", []]);
});
