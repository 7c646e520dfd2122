import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { verifyWebhook } from "../../src/client/index.ts";
import { newOwner } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { deploy, hostCalls } from "../support/functions.ts";
import { Outside } from "../support/outside.ts";

type Proxied = Readonly<Record<string, unknown>>;

const proxied = async (outside: Outside, key: string, body: Proxied): Promise<Answer> =>
  await outside.gateway.call("POST", "/v1/proxy/anon", { key, body });
const textOf = (answer: Answer) => new TextDecoder().decode(Uint8Array.fromBase64(answer.string("body")));

Deno.test("a request through the proxy is told to it by name, with credentials of its namespace", async () => {
  await using outside = await Outside.start();
  const { gateway, socks, got, port } = outside;
  const key = await gateway.defaultKey();
  outside.answer = () =>
    new Response("hello", { status: 404, headers: { "x-many": "1", "content-type": "text/plain" } });
  const probes = socks.sessions.length;
  const answer = await proxied(outside, key, {
    url: `http://shop.example:${port}/a?b=c`,
    method: "post",
    headers: {
      "X-Mine": "1",
      "X-Forwarded-For": "10.0.0.1",
      "Connection": "x-mine-too",
      "X-Mine-Too": "2",
      "Host": "other",
    },
    body: "a body",
  });
  answer.expect(200);
  equal(answer.get("status_code"), 404);
  equal(textOf(answer), "hello");
  equal(answer.get("headers.X-Many"), "1");
  equal(answer.get("headers.Content-Type"), "text/plain");
  const [one] = got;
  equal(one!.method, "POST");
  equal(one!.body, "a body");
  equal(one!.headers.get("host"), `shop.example:${port}`);
  equal(one!.headers.get("x-mine"), "1");
  for (const name of ["x-forwarded-for", "x-mine-too", "via", "x-request-id"]) {
    equal(one!.headers.get(name), null, name);
  }
  const asked = socks.sessions.slice(probes).filter(({ host }) => host !== undefined);
  deepEqual(asked.map(({ host, port, addressKind }) => [host, port, addressKind]), [["shop.example", port, 3]]);
  deepEqual(outside.dns.asked, []);
  equal(outside.canary, 0);
});

Deno.test("streams of two namespaces have other credentials towards the proxy, those of one the same", async () => {
  await using outside = await Outside.start();
  const { gateway, socks, port } = outside;
  await using first = await newOwner(gateway);
  await using second = await newOwner(gateway);
  const url = `http://shop.example:${port}/`;
  for (const { apiKey } of [first, second, first]) (await proxied(outside, apiKey, { url })).expect(200);
  const [a, b, c] = socks.sessions.filter(({ host }) => host !== undefined);
  notEqual(a!.username, b!.username);
  notEqual(a!.password, b!.password);
  deepEqual([a!.username, a!.password], [c!.username, c!.password]);
  for (const { namespace } of [first, second]) ok(!JSON.stringify(socks.sessions).includes(namespace));
});

Deno.test("without a proxy the answer is 503, and nothing is ever sent past it", async () => {
  await using outside = await Outside.start();
  const { gateway, socks, got, port } = outside;
  const key = await gateway.defaultKey();
  const url = `http://shop.example:${port}/`;
  (await proxied(outside, key, { url })).expect(200);
  await socks[Symbol.asyncDispose]();
  const refused = (await proxied(outside, key, { url })).expect(503);
  equal(refused.get("code"), "EGRESS_PROXY_UNAVAILABLE");
  deepEqual([refused.get("status_code"), refused.get("headers"), refused.get("body")], [0, null, ""]);
  ok(Number(refused.headers.get("retry-after")) >= 1);
  equal(got.length, 1);
  deepEqual(outside.dns.asked, []);
});

Deno.test("status, headers and body of a stream are the server's, in both directions", async () => {
  await using outside = await Outside.start();
  const { gateway, port } = outside;
  const key = await gateway.defaultKey();
  outside.answer = (request) =>
    new Response(request.body, {
      status: 207,
      headers: { "content-type": "text/x-mine", "set-cookie": "a=b", "x-own": "1", "location": "http://10.0.0.1/" },
    });
  const size = 3_000_000;
  const response = await fetch(`${gateway.url}/v1/proxy/anon/stream`, {
    method: "POST",
    headers: {
      "x-api-key": key,
      "x-target-url": `http://shop.example:${port}/up`,
      "x-target-method": "PUT",
      "x-target-headers": JSON.stringify({ "X-Streams": "1", "X-Mine": "2" }),
      "content-type": "application/octet-stream",
    },
    body: new Uint8Array(size).fill(7),
  });
  const bytes = await response.bytes();
  equal(response.status, 207);
  equal(bytes.length, size);
  ok(bytes.every((byte) => byte === 7));
  equal(response.headers.get("content-type"), "text/x-mine");
  equal(response.headers.get("x-own"), "1");
  equal(response.headers.get("x-target-status"), "207");
  // A browser would take them for the gateway's own.
  deepEqual([response.headers.get("set-cookie"), response.headers.get("location")], [null, null]);
  deepEqual(JSON.parse(response.headers.get("x-target-headers")!), {
    "set-cookie": ["a=b"],
    "location": ["http://10.0.0.1/"],
  });
  equal(outside.got[0]!.method, "PUT");
  equal(outside.got[0]!.headers.get("x-mine"), "2");
});

Deno.test("a stream says what is wrong with it before anything is sent", async () => {
  await using outside = await Outside.start();
  const { gateway, got } = outside;
  const key = await gateway.defaultKey();
  const call = (headers: Readonly<Record<string, string>>) =>
    gateway.call("POST", "/v1/proxy/anon/stream", { key, headers });
  match((await call({})).expect(400).string("error"), /^X-Target-URL: /);
  const headers = { "x-target-url": `http://shop.example:${outside.port}/` };
  match((await call({ ...headers, "x-target-headers": "[" })).expect(400).string("error"), /^X-Target-Headers: /);
  match((await call({ ...headers, "x-target-headers": '{"a":1}' })).expect(400).string("error"), /^X-Target-Headers: /);
  (await call({ ...headers, "x-target-method": "G E T" })).expect(400);
  (await call({ "x-target-url": "http://localhost/" })).expect(403);
  equal(got.length, 0);
});

Deno.test("a function fetches what its namespace may reach, and is told why not what it may not", async () => {
  await using outside = await Outside.start();
  const { gateway, got, port } = outside;
  outside.names = (name) =>
    ({ "open.example": { a: ["127.77.0.1"] }, "inner.example": { a: ["127.0.0.1"] } } as const)[name];
  outside.answer = () => new Response("to the function", { headers: { "x-own": "1" } });
  await using owner = await newOwner(gateway);
  const credential = { token: owner.accessToken };
  await deploy(gateway, credential, "calls", "calls.wat");
  const fetched = async (url: string) =>
    JSON.parse((await hostCalls(gateway, credential, "calls", ["http_fetch", "GET", url, "{}", ""]))[0]!);
  const good = await fetched(`http://open.example:${port}/x`);
  deepEqual([good.status, good.body, good.headers["x-own"]], [200, "to the function", ["1"]]);
  equal(got[0]!.headers.get("host"), `open.example:${port}`);
  const inner = await fetched(`http://inner.example:${port}/`);
  deepEqual([inner.status, inner.code], [0, "EGRESS_ADDRESS_REFUSED"]);
  const unknown = await fetched(`http://nothing.example:${port}/`);
  equal(unknown.code, "EGRESS_NAME_NOT_FOUND");
  // The owner narrows what the namespace's functions and keys reach, and that holds at once.
  const path = `/v1/namespaces/${owner.namespace}/settings`;
  const change = { ...credential, body: { egress: { allow_hosts: ["other.example"] } } };
  (await gateway.call("PATCH", path, change)).expect(200);
  await until(
    "the setting holds",
    async () => (await fetched(`http://open.example:${port}/`)).code === "EGRESS_TARGET_REFUSED",
  );
  equal(
    (await proxied(outside, owner.apiKey, { url: "http://shop.example/" })).expect(403).get("code"),
    "EGRESS_TARGET_REFUSED",
  );
  equal(outside.canary, 0);
});

Deno.test("nobody sends anything without a credential that may", async () => {
  await using outside = await Outside.start();
  const { gateway, got } = outside;
  const body = { url: `http://shop.example:${outside.port}/` };
  (await gateway.call("POST", "/v1/proxy/anon", { body })).expect(401);
  (await gateway.call("POST", "/v1/proxy/anon", { body, key: "ak_nobody:default" })).expect(401);
  await using owner = await newOwner(gateway);
  const made = await gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "reader", scopes: ["cache:read"] },
  });
  const key = made.expect(201).string("api_key");
  equal((await gateway.call("POST", "/v1/proxy/anon", { body, key })).expect(403).get("code"), "INSUFFICIENT_SCOPE");
  equal(got.length, 0);
});

Deno.test("a webhook reaches its receiver, which can tell that it is from the gateway, and none that it may not", async () => {
  await using outside = await Outside.start();
  const { gateway, port } = outside;
  outside.names = (name) =>
    ({ "app.example": { a: ["127.77.0.1"] }, "inner.example": { a: ["127.0.0.1"] } } as const)[name];
  await using owner = await newOwner(gateway);
  const call = (path: string, body?: unknown) =>
    gateway.call("POST", path, { token: owner.accessToken, ...(body !== undefined && { body }) });
  const made = async (url: string) => (await call("/v1/webhooks", { url, events: ["*"] })).expect(201);
  const url = `http://app.example:${port}/hook`;
  const good = await made(url), inner = await made(`http://inner.example:${port}/hook`);
  outside.answer = () => new Response(null, { status: 204 });
  const sent = (await call(`/v1/webhooks/${good.string("id")}/test`)).expect(200);
  deepEqual([sent.get("delivered"), sent.get("status")], [true, 204]);
  const { headers, body } = outside.got[0]!;
  const received = new Request(url, { method: "POST", headers, body });
  const event = await verifyWebhook(received, good.string("secret"), { seen: () => false, url });
  equal(event.type, "webhook.test");
  const refused = (await call(`/v1/webhooks/${inner.string("id")}/test`)).expect(200);
  equal(refused.get("delivered"), false);
  outside.answer = () => new Response(null, { status: 302, headers: { location: "/elsewhere" } });
  equal((await call(`/v1/webhooks/${good.string("id")}/test`)).expect(200).get("delivered"), false);
  equal(outside.got.length, 2);
  equal(outside.canary, 0);
});
