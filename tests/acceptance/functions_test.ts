import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner } from "../support/accounts.ts";
import { EventReader } from "../support/event_reader.ts";
import { deploy, hostCalls, invoke, tryToDeploy } from "../support/functions.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { wasmOf } from "../support/wat.ts";

const suite = anyGatewaySuite();
const { test } = suite;

test("a function is deployed, listed, read, called by both paths, logged and deleted, as older clients do", async () => {
  await using owner = await newOwner(suite.gateway);
  const { apiKey: key, namespace } = owner;
  const { gateway } = suite;
  const name = `e2e-hello-${crypto.randomUUID().slice(0, 8)}`;
  const form = new FormData();
  form.set("name", name);
  form.set("namespace", namespace);
  form.set("is_public", "true");
  form.set("wasm", new Blob([await wasmOf("hello.wat")]), "hello.wasm");
  const headers = { authorization: `Bearer ${key}` };
  const deployed = await fetch(`${gateway.url}/v1/functions`, { method: "POST", headers, body: form });
  equal(deployed.status, 201);
  const { message, function: made } = await deployed.json();
  equal(message, "Function deployed successfully");
  const { id, wasm_cid, created_at, updated_at, created_by, size, ...rest } = made;
  deepEqual(rest, {
    name,
    namespace,
    version: 1,
    abi: "wasi",
    entry: "_start",
    memory_limit_mb: 64,
    timeout_seconds: 30,
    is_public: true,
    retry_count: 0,
    retry_delay_seconds: 5,
    env_vars: [],
    serving: true,
    status: "active",
  });
  match(id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  match(wasm_cid, /^bafkrei/);
  deepEqual([size, typeof created_by, created_at === updated_at], [(await wasmOf("hello.wat")).length, "string", true]);

  const body = { name: "E2E Tester" };
  for (
    const path of [`/v1/functions/${name}/invoke`, `/v1/invoke/${namespace}/${name}`, `/v1/functions/${name}@1/invoke`]
  ) {
    const answer = (await gateway.call("POST", path, { headers, body })).expect(200);
    ok(answer.text.includes("Hello, E2E Tester!"), answer.text);
    deepEqual([answer.get("status"), answer.get("output")], ["success", "Hello, E2E Tester!"]);
    equal(answer.headers.get("x-request-id"), answer.string("request_id"));
    ok(Number(answer.headers.get("x-duration-ms")) >= 0);
  }
  const listed = (await gateway.call("GET", `/v1/functions?namespace=${namespace}`, { headers })).expect(200);
  ok(listed.list("functions").some((one) => one.name === name));
  equal(listed.get("count"), listed.list("functions").length);
  const { updated_at: _, ...read } = (await gateway.call("GET", `/v1/functions/${name}`, { headers })).expect(200).body;
  deepEqual({ ...read, updated_at }, made);
  equal((await gateway.call("GET", `/v1/functions/${name}/versions`, { headers })).expect(200).get("count"), 1);
  const module = await fetch(`${gateway.url}/v1/functions/${name}/wasm`, { headers });
  deepEqual(await module.bytes(), await wasmOf("hello.wat"));
  const gone = (await gateway.call("DELETE", `/v1/functions/${name}?namespace=${namespace}`, { headers })).expect(200);
  equal(gone.get("message"), "Function deleted successfully");
  for (const path of [`/v1/functions/${name}`, `/v1/functions/${name}@1`, `/v1/functions/${name}/logs`]) {
    equal((await gateway.call("GET", path, { headers })).expect(404).get("code"), "NOT_FOUND", path);
  }
  (await gateway.call("POST", `/v1/functions/${name}/invoke`, { headers, body })).expect(404);
  (await gateway.call("DELETE", `/v1/functions/${name}`, { headers })).expect(404);
});

test("a function without anything in it answers nothing; JSON comes as it was written; an Extism plug-in is called", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "nothing", "empty_start.wat");
  equal((await invoke(suite.gateway, credential, "nothing")).expect(200).get("output"), "");
  await deploy(suite.gateway, credential, "echo", "echo.wat");
  const text = '{"a": 1.00, "b":\t[true]}';
  const echoed = (await invoke(suite.gateway, credential, "echo", text)).expect(200);
  deepEqual([echoed.text, echoed.headers.get("content-type")], [text, "application/json"]);
  const plugin = (await deploy(suite.gateway, credential, "plugin", "extism_echo.wat")).get("function.abi");
  equal(plugin, "extism");
  equal((await invoke(suite.gateway, credential, "plugin", "[1]")).expect(200).text, "[1]");
  for (const name of ["env", "host", "wasi_snapshot_preview1"]) {
    await deploy(suite.gateway, credential, name, "echo.wat");
    equal((await invoke(suite.gateway, credential, name, "[2]")).expect(200).text, "[2]", name);
  }
});

test("versions stay, older ones are called by number, alias and latest, and one lets another serve", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  await deploy(gateway, credential, "f", "hello.wat");
  await deploy(gateway, credential, "f", "counter.wat");
  await deploy(gateway, credential, "f", "echo.wat", { timeout_seconds: "3" });
  const output = async (reference = "") => {
    const answer = (await invoke(gateway, credential, `f${reference}`, '{"name":"you"}')).expect(200);
    return answer.get("output") ?? answer.text;
  };
  const [v1, v2, v3] = ["Hello, you!", "11", '{"name":"you"}'];
  deepEqual([await output(), await output("@1"), await output("@2"), await output("@latest")], [v3, v1, v2, v3]);
  const versions = (await gateway.call("GET", "/v1/functions/f/versions", credential)).expect(200);
  deepEqual(
    versions.list("versions").map(({ version, serving, timeout_seconds }) => [version, serving, timeout_seconds]),
    [
      [3, true, 3],
      [2, false, 30],
      [1, false, 30],
    ],
  );
  equal((await gateway.call("POST", "/v1/functions/f/rollback", credential)).expect(200).get("version"), 2);
  equal(await output(), v2);
  const back = await gateway.call("POST", "/v1/functions/f/rollback", { ...credential, body: { version: 1 } });
  deepEqual([back.expect(200).get("version"), await output("@latest")], [1, v1]);
  (await gateway.call("POST", "/v1/functions/f/rollback", credential)).expect(404);

  const alias = (name: string, targets: unknown) =>
    gateway.call("PUT", `/v1/functions/f/aliases/${name}`, { ...credential, body: { targets } });
  (await alias("prod", [{ version: 2, weight: 100 }])).expect(200);
  equal(await output("@prod"), v2);
  (await alias("split", [{ version: 1, weight: 50 }, { version: 2, weight: 50 }])).expect(200);
  const seen = new Set<unknown>();
  await until("both versions of the alias were called", async () => seen.add(await output("@split")).size === 2);
  for (const wrong of [[{ version: 1, weight: 99 }], [{ version: 9, weight: 100 }], []]) {
    const { status } = await alias("wrong", wrong);
    ok(status === 400 || status === 404, String(status));
  }
  for (const name of ["1", "latest"]) equal((await alias(name, [{ version: 1, weight: 100 }])).status, 400, name);
  const aliases = (await gateway.call("GET", "/v1/functions/f/aliases", credential)).expect(200);
  deepEqual(aliases.list("aliases").map(({ name }) => name).toSorted(), ["prod", "split"]);
  (await gateway.call("GET", "/v1/functions/f/aliases/prod", credential)).expect(200);
  equal((await gateway.call("DELETE", "/v1/functions/f@2", credential)).status, 409, "an alias names it");
  equal((await gateway.call("DELETE", "/v1/functions/f@1", credential)).status, 409, "it serves");
  for (const name of ["prod", "split"]) {
    (await gateway.call("DELETE", `/v1/functions/f/aliases/${name}`, credential)).expect(200);
  }
  (await gateway.call("DELETE", "/v1/functions/f@2", credential)).expect(200);
  equal((await invoke(gateway, credential, "f@2")).expect(404).get("error"), "function version not found");
  equal((await invoke(gateway, credential, "f@prod")).status, 404);
  await deploy(gateway, credential, "f", "echo.wat");
  equal((await gateway.call("GET", "/v1/functions/f", credential)).get("version"), 4, "no number comes twice");
});

test("a new version serves the next call, and no call is dropped meanwhile", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "f", "counter.wat");
  const statuses = new Set<number>();
  let calling = true;
  const callers = Array.from({ length: 4 }, async () => {
    while (calling) statuses.add((await invoke(suite.gateway, credential, "f", "{}")).status);
  });
  try {
    for (const file of ["echo.wat", "counter.wat", "echo.wat", "counter.wat"]) {
      await deploy(suite.gateway, credential, "f", file);
      const { text } = await invoke(suite.gateway, credential, "f", "{}");
      equal(text === "{}", file === "echo.wat", "the answer of the deploy is when it serves");
    }
  } finally {
    calling = false;
    await Promise.all(callers);
  }
  deepEqual([...statuses], [200]);
});

test("a function knows its caller, its request and what it was deployed with, and nothing of the gateway", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  const metadata = JSON.stringify({ env_vars: { X: "from the deploy" } });
  await deploy(suite.gateway, credential, "who", "caller.wat", { metadata });
  const answer = await suite.gateway.call("POST", "/v1/functions/who/invoke", {
    ...credential,
    raw: "",
    headers: { "x-wallet": "somebody-else" },
  });
  const [caller, request, x] = answer.expect(200).string("output").split("\n");
  equal(caller?.toLowerCase(), `caller=${owner.wallet.address}`.toLowerCase());
  deepEqual([request, x], [`request=${answer.string("request_id")}`, "X=from the deploy"]);
  equal((await suite.gateway.call("GET", "/v1/functions/who", credential)).text.includes("from the deploy"), false);
});

test("calls at once see nothing of each other: not their callers, their memory, or their answers", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const member = await newMember(gateway, owner, "member");
  const credentials = [{ token: owner.accessToken }, { token: member.accessToken }];
  await deploy(gateway, credentials[0]!, "who", "caller.wat");
  await deploy(gateway, credentials[0]!, "count", "counter.wat");
  await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const { wallet } = [owner, member][i % 2]!;
    const who = (await invoke(gateway, credentials[i % 2]!, "who")).expect(200);
    const [caller, request] = who.string("output").split("\n");
    equal(caller?.toLowerCase(), `caller=${wallet.address}`.toLowerCase());
    equal(request, `request=${who.string("request_id")}`);
    equal((await invoke(gateway, credentials[i % 2]!, "count")).expect(200).get("output"), "11");
  }));
});

test("host calls are made with the rights of the function's namespace", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  const post = (path: string, body: unknown) => gateway.call("POST", path, { ...credential, body });
  (await post("/v1/rqlite/create-table", { schema: "CREATE TABLE t (id INTEGER, name TEXT)" })).expect(201);
  await deploy(gateway, credential, "calls", "calls.wat");
  await deploy(gateway, credential, "echo", "echo.wat");
  const run = (...calls: string[][]) => hostCalls(gateway, credential, "calls", ...calls);
  deepEqual(
    await run(
      ["db_execute", "INSERT INTO t VALUES (?, ?)", '[1, "one"]'],
      ["db_query", "SELECT id, name FROM t", ""],
      ["cache_set", "k", "v", "60"],
      ["cache_get", "k"],
      ["cache_incr", "n"],
      ["pubsub_publish", "topic", "hello"],
      ["function_invoke", "echo", "heard"],
    ),
    ["1", '[{"id":1,"name":"one"}]', "done", "v", "1", "1", "heard"],
  );
  const [bad, why] = await run(["db_query", "SELEC 1", ""], ["last_error"]);
  equal(bad, "0");
  match(why!, /SQL|syntax/i);
  const rows = (await post("/v1/rqlite/query", { sql: "SELECT name FROM t" })).expect(200);
  ok(rows.text.includes("one"));
});

test("lines and calls are remembered, newest first, and followed as they come", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  await deploy(gateway, credential, "logger", "calls.wat");
  const log = (level: string, text: string) => hostCalls(gateway, credential, "logger", [`log_${level}`, text]);
  await log("info", "first");
  await log("error", "second");
  const logs = async (query = "") =>
    (await gateway.call("GET", `/v1/functions/logger/logs${query}`, credential)).expect(200);
  await until("both lines are written", async () => (await logs()).get("count") === 2);
  const all = await logs();
  deepEqual(all.list("logs").map(({ level, message }) => [level, message]), [["error", "second"], ["info", "first"]]);
  deepEqual([all.get("name"), all.get("namespace")], ["logger", owner.namespace]);
  const [newest] = all.list("logs");
  ok(!Number.isNaN(Date.parse(String(newest!.timestamp))));
  equal((await logs("?level=error")).get("count"), 1);
  equal((await logs("?limit=1")).get("count"), 1);
  for (const limit of ["0", "-5", "100000"]) equal((await logs(`?limit=${limit}`)).get("count"), 2, limit);
  equal((await logs(`?before=${newest!.id}`)).list("logs")[0]?.message, "first");
  equal((await logs(`?request_id=${newest!.request_id}`)).get("count"), 1);
  equal((await logs("?namespace=")).get("count"), 2);

  const headers = { authorization: `Bearer ${owner.accessToken}` };
  const url = `${gateway.url}/v1/functions/logger/logs/stream`;
  await using reader = await EventReader.open(url, headers);
  equal(reader.response.status, 200);
  await log("warn", "third");
  const [third] = await reader.take(1, ["line"]);
  const { message, level } = JSON.parse(third!.data);
  deepEqual([message, level, third!.id], ["third", "warn", JSON.parse(third!.data).id]);
  reader.leave();
  await log("info", "fourth");
  await using again = await EventReader.open(url, { ...headers, "last-event-id": String(third!.id) });
  equal(JSON.parse((await again.take(1, ["line"]))[0]!.data).message, "fourth");

  const invocations = await gateway.call("GET", "/v1/functions/logger/invocations", credential);
  await until(
    "all calls are written",
    async () => (await gateway.call("GET", "/v1/functions/logger/invocations", credential)).get("count") === 4,
  );
  const [call] = invocations.expect(200).list("invocations");
  deepEqual([call!.trigger, call!.status, call!.attempt, call!.version], ["http", "success", 1, 1]);
});

test("who may do what: by scope, by namespace, and by whether a function is public", async () => {
  await using owner = await newOwner(suite.gateway);
  await using stranger = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken }, other = { token: stranger.accessToken };
  await deploy(gateway, credential, "private", "hello.wat");
  await deploy(gateway, credential, "public", "hello.wat", { is_public: "1" });
  const viewer = { token: (await newMember(gateway, owner, "viewer")).accessToken };
  (await gateway.call("GET", "/v1/functions/private", viewer)).expect(200);
  equal((await invoke(gateway, viewer, "private")).expect(403).get("code"), "INSUFFICIENT_SCOPE");
  equal((await tryToDeploy(gateway, viewer, "private", "hello.wat")).expect(403).get("code"), "INSUFFICIENT_SCOPE");
  const path = (name: string) => `/v1/invoke/${owner.namespace}/${name}`;
  const call = (name: string, options = {}) => gateway.call("POST", path(name), { raw: '{"name":"x"}', ...options });
  (await call("public")).expect(200);
  (await call("public", other)).expect(200);
  (await call("public", { key: "ak_nonsense" })).expect(200);
  equal((await call("private")).expect(401).get("status"), "error");
  equal((await call("private", { headers: { "x-wallet": owner.namespace } })).status, 401);
  equal((await call("private", other)).expect(404).get("error"), (await call("nowhere", other)).get("error"));
  (await call("private", { key: owner.apiKey })).expect(200);
  (await call("private", credential)).expect(200);
  for (const named of [`?namespace=${owner.namespace}`, `?namespace=${owner.namespace.toUpperCase()}`]) {
    const { status, ...read } = await gateway.call("GET", `/v1/functions/private${named}`, other);
    equal(status, 403, read.text);
    equal((await gateway.call("DELETE", `/v1/functions/private${named}`, other)).status, 403);
    equal((await gateway.call("POST", `/v1/functions/private/invoke${named}`, { ...other, raw: "" })).status, 403);
  }
  (await gateway.call("GET", "/v1/functions/private", other)).expect(404);
  deepEqual((await gateway.call("GET", "/v1/functions", other)).expect(200).list("functions"), []);
}, { namespaces: 2 });

test("paths that end too early, or are none, are told so", async () => {
  const { gateway } = suite;
  await using owner = await newOwner(gateway);
  const { apiKey: key } = owner;
  const nameless = (await gateway.call("POST", "/v1/invoke/default/", { raw: "{}" })).expect(400);
  equal(nameless.get("error"), "Path must be /v1/invoke/{namespace}/{name}");
  equal((await gateway.call("GET", "/v1/functions/", { key })).expect(400).get("error"), "Function name required");
  (await gateway.call("GET", "/v1/functions/x/nonsense", { key })).expect(404);
  (await gateway.call("GET", "/v1/invoke/default/x")).expect(405);
  (await gateway.call("PUT", "/v1/functions", { key, raw: "" })).expect(405);
});
