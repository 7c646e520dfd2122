import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { verifyWebhook } from "../../src/client/index.ts";
import { newOwner } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { deploy, hostCalls } from "../support/functions.ts";
import { OPEN, Outside } from "../support/outside.ts";

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

Deno.test("a stream has the length that it was sent with, and one without is sent in chunks", async () => {
  await using outside = await Outside.start();
  const { gateway, got, port } = outside;
  const key = await gateway.defaultKey();
  const put = async (body: BodyInit) => {
    const response = await fetch(`${gateway.url}/v1/proxy/anon/stream`, {
      method: "POST",
      headers: { "x-api-key": key, "x-target-url": `http://shop.example:${port}/`, "x-target-method": "PUT" },
      body,
    });
    equal(await response.text(), "hello");
  };
  await put(new Uint8Array(300_000).fill(97));
  await put(new Blob(["in ", "chunks"]).stream());
  await put("");
  const framings = got.map(({ headers }) => [headers.get("content-length"), headers.get("transfer-encoding")]);
  deepEqual(framings, [["300000", null], [null, "chunked"], ["0", null]]);
  deepEqual(got.map(({ body }) => body.length), [300_000, 9, 0]);
});

Deno.test("a body of JSON may be as long as its namespace's limit says, however it is escaped, and no longer", async () => {
  await using outside = await Outside.start();
  const { gateway, got, port } = outside;
  const key = await gateway.defaultKey();
  const url = `http://shop.example:${port}/`;
  const most = 10 * 2 ** 20;
  for (const body of ["a".repeat(most), "\0".repeat(2_000_000), "é".repeat(most / 2)]) {
    (await proxied(outside, key, { url, method: "POST", body })).expect(200);
    ok(got.pop()!.body === body, "it came as it was sent");
  }
  const long = (await proxied(outside, key, { url, method: "POST", body: "a".repeat(most + 1) })).expect(400);
  match(long.string("error"), /more bytes than the 10485760/);
  const values = await proxied(outside, key, { url, x: new Array(300_000).fill([]), body: "a".repeat(most) });
  equal(values.status, 200, "what an ordinary body may be, the rest may be");
  const many = (await proxied(outside, key, { url, x: new Array(600_000).fill([]) })).expect(413);
  deepEqual([many.get("code"), many.get("status_code")], ["BODY_TOO_LARGE", 0]);
  match(
    (await proxied(outside, key, { url: 5 })).expect(400).string("error"),
    /^invalid body: invalid JSON payload; url: /,
  );
});

/** A server that answers with these very bytes, whatever it is asked, and tells what it got. */
function exactly(outside: Outside, answer: string) {
  const listener = Deno.listen({ hostname: OPEN, port: 0 });
  outside.socks.target = { hostname: OPEN, port: listener.addr.port };
  const got = { text: "", ended: 0 };
  const serving = (async () => {
    for await (const connection of listener) {
      await (async () => {
        const buffer = new Uint8Array(65_536);
        let said = false;
        for (let read = await connection.read(buffer); read !== null; read = await connection.read(buffer)) {
          got.text += new TextDecoder().decode(buffer.subarray(0, read));
          if (said || !got.text.includes("\r\n\r\n") || answer === "") continue;
          said = true;
          await connection.write(new TextEncoder().encode(answer));
        }
      })().catch(() => {});
      got.ended++;
      connection.close();
    }
  })();
  return {
    got,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving.catch(() => {});
    },
  };
}

const streamed = (outside: Outside, key: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${outside.gateway.url}/v1/proxy/anon/stream`, {
    method: "POST",
    headers: { "x-api-key": key, "x-target-url": "http://shop.example/", ...headers },
    signal: AbortSignal.timeout(10_000),
  });

Deno.test("a 205, behind which nothing may come, is answered at once: as 204 by a stream, and as a number in JSON", async () => {
  await using outside = await Outside.start();
  const key = await outside.gateway.defaultKey();
  await using _server = exactly(outside, "HTTP/1.1 205 Reset Content\r\nX-Own: 1\r\nContent-Length: 0\r\n\r\n");
  const response = await streamed(outside, key);
  deepEqual([response.status, await response.text()], [204, ""]);
  deepEqual(["x-target-status", "x-own"].map((name) => response.headers.get(name)), ["205", "1"]);
  const answer = (await proxied(outside, key, { url: "http://shop.example/" })).expect(200);
  deepEqual([answer.get("status_code"), answer.get("body")], [205, ""]);
});

Deno.test("what a server does not say the type of is no JSON of the gateway's, and what it says twice counts once", async () => {
  await using outside = await Outside.start();
  const key = await outside.gateway.defaultKey();
  {
    await using _server = exactly(outside, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}   ");
    const response = await streamed(outside, key);
    equal(response.headers.get("content-type"), "application/octet-stream");
    equal(response.headers.get("x-content-type-options"), "nosniff");
    equal(await response.text(), "{}   ");
  }
  const fields = [
    "Content-Type: text/plain",
    "Content-Type: text/html",
    'ETag: "a"',
    'ETag: "b"',
    "Server: a",
    "Server: b",
  ];
  const lists = ["Cache-Control: no-store", "Cache-Control: private", "X-Own: 1", "X-Own: 2"];
  const head = [...fields, ...lists, "Content-Length: 2"].join("\r\n");
  await using _server = exactly(outside, `HTTP/1.1 200 OK\r\n${head}\r\n\r\nok`);
  const response = await streamed(outside, key);
  equal(await response.text(), "ok");
  deepEqual(
    ["content-type", "etag", "server", "cache-control", "x-own"].map((name) => response.headers.get(name)),
    ["text/plain", '"a"', "a", "no-store, private", "1, 2"],
  );
});

Deno.test("of a body whose sender leaves early the server gets less than it was told, and never a whole", async () => {
  await using outside = await Outside.start();
  const { gateway } = outside;
  const key = await gateway.defaultKey();
  await using server = exactly(outside, "");
  const { hostname, port } = new URL(gateway.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const head = [
    "POST /v1/proxy/anon/stream HTTP/1.1",
    `Host: ${hostname}:${port}`,
    `X-API-Key: ${key}`,
    "X-Target-URL: http://shop.example/",
    "Content-Length: 10",
  ];
  await connection.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\nfour`));
  await until("the server got the beginning", () => server.got.text.endsWith("\r\n\r\nfour"));
  connection.close();
  await until("the server's connection ended", () => server.got.ended === 1);
  match(server.got.text, /\r\ncontent-length: 10\r\n/i);
  ok(server.got.text.endsWith("\r\n\r\nfour"));
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
