import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner } from "../support/accounts.ts";
import { type Credential, deploy } from "../support/functions.ts";
import { gatewaySuite } from "../support/suite.ts";
import { assembled } from "../support/wat.ts";

const suite = gatewaySuite();
const { test } = suite;

const post = (credential: Credential, path: string, body: unknown) =>
  suite.gateway.call("POST", path, { ...credential, body });

/** Calls of a function by a kind of trigger, as they were written down. */
async function firedBy(credential: Credential, name: string, trigger: string) {
  const answer = await suite.gateway.call("GET", `/v1/functions/${name}/invocations`, credential);
  return answer.expect(200).list("invocations").filter((one) => one.trigger === trigger);
}

test("a cron trigger fires by itself, in the namespace's name, until it is switched off", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "tick", "echo.wat");
  const path = "/v1/functions/tick/triggers";
  const made = (await post(credential, path, { kind: "cron", expression: "* * * * * *" })).expect(201);
  ok(made.string("id").startsWith("trg_"));
  deepEqual([made.get("function"), made.get("kind"), made.get("enabled")], ["tick", "cron", true]);
  ok(Date.parse(made.string("next_at")) > Date.now() - 5_000);
  await until("it fired twice", async () => (await firedBy(credential, "tick", "cron")).length >= 2);
  const [call] = await firedBy(credential, "tick", "cron");
  deepEqual([call!.status, call!.trigger_id, call!.caller], ["success", made.get("id"), owner.namespace]);
  const one = `${path}/${made.string("id")}`;
  const off = await suite.gateway.call("PATCH", one, { ...credential, body: { enabled: false } });
  equal(off.expect(200).get("enabled"), false);
  (await suite.gateway.call("GET", one, credential)).expect(200);
  (await suite.gateway.call("DELETE", one, credential)).expect(200);
  (await suite.gateway.call("GET", one, credential)).expect(404);
  equal((await suite.gateway.call("GET", path, credential)).get("count"), 0);
});

test("a message of a topic calls the functions that are triggered by it", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "heard", "echo.wat");
  (await post(credential, "/v1/functions/heard/triggers", { kind: "topic", topic: "orders" })).expect(201);
  await until("a message was heard", async () => {
    (await post(credential, "/v1/pubsub/publish", { topic: "orders", data: { n: 1 } })).expect(200);
    return (await firedBy(credential, "heard", "topic")).length > 0;
  });
});

test("a change of a watched table calls the functions that are triggered by it", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  const schema = "CREATE TABLE orders (id INTEGER PRIMARY KEY, n INTEGER)";
  (await post(credential, "/v1/rqlite/create-table", { schema })).expect(201);
  (await post(credential, "/v1/rqlite/changes/tables", { table: "orders" })).expect(200);
  await deploy(suite.gateway, credential, "changed", "echo.wat");
  const trigger = { kind: "database", table: "orders", operations: ["insert"] };
  (await post(credential, "/v1/functions/changed/triggers", trigger)).expect(201);
  let id = 0;
  await until("a change was seen", async () => {
    (await post(credential, "/v1/rqlite/exec", { sql: "INSERT INTO orders VALUES (?, 1)", args: [++id] })).expect(200);
    return (await firedBy(credential, "changed", "database")).length > 0;
  });
});

test("requests come to a function by a path of its own, and its answer is the answer", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  const { gateway } = suite;
  await deploy(gateway, credential, "echo", "echo.wat");
  const route = (body: Record<string, unknown>) =>
    post(credential, "/v1/functions/echo/triggers", { kind: "route", ...body });
  (await route({ method: "POST", path: "/orders/:id", is_public: true })).expect(201);
  (await route({ method: "GET", path: "/private/*" })).expect(201);
  equal((await route({ method: "POST", path: "/orders/:other" })).expect(409).get("code"), "CONFLICT");
  const base = `/v1/http/${owner.namespace}`;
  // The echo of a request is no answer of its own, and so it comes as it is.
  const echoed = (await gateway.call("POST", `${base}/orders/a%2Fb?x=1`, {
    raw: "hello",
    headers: { authorization: `Bearer ${owner.accessToken}`, "x-custom": "y", "content-type": "text/plain" },
  })).expect(200);
  const { headers, ...rest } = echoed.body as { headers: Record<string, string> };
  deepEqual(rest, {
    method: "POST",
    path: "/orders/a%2Fb",
    params: { id: "a/b" },
    query: { x: "1" },
    body: "hello",
  });
  deepEqual([headers["authorization"], headers["x-custom"]], [undefined, "y"]);
  equal(echoed.headers.get("content-security-policy"), "sandbox");
  equal((await gateway.call("GET", `${base}/orders/7`)).status, 404);
  equal((await gateway.call("POST", `${base}/orders`, { raw: "" })).status, 404);
  equal((await gateway.call("GET", `${base}/private/x`)).status, 401);
  (await gateway.call("GET", `${base}/private/x/y`, credential)).expect(200);
  const answer = await assembled(
    "page",
    answering('{"status":201,"headers":{"content-type":"text/html","set-cookie":"a=b"},"body":"<b>"}'),
  );
  await deploy(gateway, credential, "echo", answer);
  const page = await gateway.call("POST", `${base}/orders/7`, { raw: "" });
  deepEqual([page.expect(201).text, page.headers.get("content-type"), page.headers.get("set-cookie")], [
    "<b>",
    "text/html",
    null,
  ]);
});

test("what cannot be a trigger is refused by its field, and triggers are for those who may deploy", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  const path = "/v1/functions/f/triggers";
  equal((await post(credential, path, { kind: "topic", topic: "t" })).expect(404).get("error"), "function not found");
  await deploy(suite.gateway, credential, "f", "echo.wat");
  for (
    const [body, field] of [
      [{}, "kind"],
      [{ kind: "cron" }, "expression"],
      [{ kind: "cron", expression: "every day" }, "expression"],
      [{ kind: "cron", expression: "* * * * *", timezone: "Nowhere/City" }, "timezone"],
      [{ kind: "topic" }, "topic"],
      [{ kind: "database" }, "table"],
      [{ kind: "database", table: "t", operations: ["truncate"] }, "operations.0"],
      [{ kind: "route" }, "path"],
      [{ kind: "route", path: "/a", method: "BREW" }, "method"],
    ] as const
  ) {
    const answer = (await post(credential, path, body)).expect(400);
    equal(answer.get("details.0.field"), field, answer.text);
  }
  const unknown = await post(credential, path, { kind: "topic", topic: "t", reference: "9" });
  equal(unknown.status, 404);
  const { accessToken: token } = await newMember(suite.gateway, owner, "viewer");
  equal((await post({ token }, path, { kind: "topic", topic: "t" })).expect(403).get("code"), "INSUFFICIENT_SCOPE");
  (await suite.gateway.call("GET", path, { token })).expect(200);
});

test(
  "a route for everybody tells the function and the log who called, and never its own namespace for a stranger",
  async () => {
    await using owner = await newOwner(suite.gateway);
    await using stranger = await newOwner(suite.gateway);
    const credential = { token: owner.accessToken };
    const { gateway } = suite;
    await deploy(gateway, credential, "who", "caller.wat");
    const route = { kind: "route", method: "GET", path: "/who", is_public: true };
    (await post(credential, "/v1/functions/who/triggers", route)).expect(201);
    const callers: readonly (readonly [who: Credential, text: string])[] = [
      [{}, ""],
      [{ key: stranger.apiKey }, stranger.wallet.address.toLowerCase()],
      [{ key: owner.apiKey }, owner.wallet.address.toLowerCase()],
    ];
    const told: string[] = [];
    for (const [who] of callers) {
      const answer = (await gateway.call("GET", `/v1/http/${owner.namespace}/who`, who)).expect(200);
      told.push(/^caller=(.*)$/m.exec(answer.string("output"))![1]!);
    }
    deepEqual(told, callers.map(([, text]) => text));
    await until("the calls are written", async () => (await firedBy(credential, "who", "route")).length === 3);
    deepEqual(
      new Set((await firedBy(credential, "who", "route")).map(({ caller }) => caller ?? "")),
      new Set(told),
    );
  },
  { namespaces: 2 },
);

/** A module that writes a text, whatever it reads. */
const answering = (text: string) => `
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "${text.replaceAll('"', '\\"')}")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const ${text.length}))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;
