import { deepEqual, equal, match } from "node:assert/strict";
import { as, workshop } from "./support/workshop.ts";

Deno.test("a function reads a request as JSON, without credentials and without what is about the connection", async () => {
  const t = workshop();
  t.hasRoute({ path: "/orders/:id" }, { id: "7" });
  const answer = await t.call("POST /v1/http/shop/orders/7?a=1&a=2&b=%20", {
    body: "héllo",
    headers: as("shops", {
      authorization: "Bearer hush",
      cookie: "a=b",
      connection: "keep-alive",
      "x-wallet": "0x1",
      "x-forwarded-for": "192.0.2.9",
      "content-type": "text/plain",
      "x-hub-signature": "s",
    }),
  });
  equal(answer.status, 200);
  deepEqual(new Set(t.asked), new Set(["shop POST /orders/7"]));
  deepEqual(JSON.parse(t.called[0]!.text), {
    method: "POST",
    path: "/orders/7",
    params: { id: "7" },
    query: { a: "2", b: " " },
    headers: { "content-type": "text/plain", "x-hub-signature": "s" },
    body: "héllo",
  });
  const { name, reference, trigger, triggerId, caller } = t.called[0]!;
  deepEqual([name, reference, trigger, triggerId], ["resize", "prod", "route", "trg_1"]);
  equal(typeof caller === "object" && caller.namespace, "shop");
});

Deno.test("what is no UTF-8 comes in base64, and a path as it was written", async () => {
  const t = workshop();
  t.hasRoute();
  await t.call("PUT /v1/http/shop/a%2Fb//c/?x", { body: Uint8Array.of(255, 254) });
  deepEqual(new Set(t.asked), new Set(["shop PUT /a%2Fb//c/"]));
  const { body, body_base64, path } = JSON.parse(t.called[0]!.text);
  deepEqual([body, body_base64, path], [undefined, "//4=", "/a%2Fb//c/"]);
});

Deno.test("a function answers with a status, headers and a body of its own", async () => {
  const t = workshop();
  t.hasRoute();
  t.answers(JSON.stringify({
    status: 418,
    headers: { "Content-Type": "text/html", "X-Fn-Total": "3", ETag: '"a"', location: "/elsewhere" },
    body: "<h1>hi</h1>",
  }));
  const { status, text, headers } = await t.call("GET /v1/http/shop/page");
  deepEqual([status, text, headers.get("content-type")], [418, "<h1>hi</h1>", "text/html"]);
  deepEqual([headers.get("x-fn-total"), headers.get("etag"), headers.get("location")], ["3", '"a"', "/elsewhere"]);
  deepEqual([headers.get("content-security-policy"), headers.get("x-content-type-options")], ["sandbox", "nosniff"]);
  equal(headers.get("cache-control"), "no-store");
  t.answers(JSON.stringify({ status: 200, body: { a: [1] } }));
  const asJson = await t.call("GET /v1/http/shop/page");
  deepEqual([asJson.text, asJson.headers.get("content-type")], ['{"a":[1]}', "application/json"]);
  t.answers(JSON.stringify({ status: 204, body: "x" }));
  deepEqual([(await t.call("DELETE /v1/http/shop/page")).status, (await t.call("DELETE /v1/http/shop/page")).text], [
    204,
    "",
  ]);
  t.answers(JSON.stringify({ status: 200, headers: { "content-type": "image/png" }, body_base64: "AAEC" }));
  const bytes = await t.call("GET /v1/http/shop/page");
  deepEqual([bytes.text, bytes.headers.get("content-type")], ["\0\u0001\u0002", "image/png"]);
});

Deno.test("no function sets a header that counts for more than its own answer", async () => {
  const t = workshop();
  t.hasRoute();
  const names = [
    "Set-Cookie",
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Strict-Transport-Security",
    "Clear-Site-Data",
    "Service-Worker-Allowed",
    "Refresh",
    "Link",
    "Alt-Svc",
    "X-Accel-Redirect",
    "X-Sendfile",
    "Transfer-Encoding",
    "Content-Length",
    "Content-Encoding",
    "Connection",
    "WWW-Authenticate",
    "X-Request-ID",
    "Vary",
    "x-fn-\r\nset-cookie",
    "X-Fn-\0",
    "__proto__",
  ];
  const headers = { ...Object.fromEntries(names.map((name) => [name, "evil"])), "x-fn-a": "b\r\nset-cookie: c=d" };
  t.answers(JSON.stringify({ status: 200, headers, body: "x" }));
  const answer = await t.call("GET /v1/http/shop/page");
  equal(answer.status, 200);
  equal([...answer.headers].some(([, value]) => value.includes("evil")), false);
  equal(answer.headers.get("x-fn-a"), null);
  equal(answer.headers.get("content-security-policy"), "sandbox");
  t.answers(JSON.stringify({ status: 200, headers: { "content-type": "text/html; a=\u00e9" }, body: "x" }));
  equal((await t.call("GET /v1/http/shop/page")).headers.get("content-type"), "text/plain; charset=utf-8");
  t.answers(JSON.stringify({ status: 200, headers: { "content-type": "nonsense" }, body: "x" }));
  equal((await t.call("GET /v1/http/shop/page")).headers.get("content-type"), "application/octet-stream");
});

Deno.test("an output that is no answer of its own is answered as any call's, and never as a page of the gateway", async () => {
  const t = workshop();
  t.hasRoute();
  for (const output of ['{"status":"fine"}', '{"status":199}', '{"status":600}', '{"status":200.5}', "{", "[200]"]) {
    t.answers(output);
    const answer = await t.call("GET /v1/http/shop/page");
    deepEqual([answer.status, answer.text, answer.headers.get("content-type")], [200, output, "application/json"]);
    equal(answer.headers.get("content-security-policy"), "sandbox");
  }
  t.answers("<script>");
  equal((await t.call("GET /v1/http/shop/page")).json().output, "<script>");
  t.answers('{"status":200,"body_base64":"%"}');
  const broken = await t.call("GET /v1/http/shop/page");
  deepEqual([broken.status, broken.json().code], [422, "FUNCTION_FAILED"]);
});

Deno.test("a route that is not public is for credentials of its namespace that may call functions", async () => {
  const t = workshop();
  t.hasRoute({ isPublic: false });
  const status = async (headers: Record<string, string>) => (await t.call("GET /v1/http/shop/x", { headers })).status;
  deepEqual(
    [await status({}), await status(as("nobodys")), await status(as("cafes")), await status(as("readers"))],
    [401, 401, 403, 403],
  );
  equal((await t.call("GET /v1/http/shop/x?api_key=shops")).status, 401, "the query is the function's");
  equal(t.called.length, 0);
  equal(await status(as("shops")), 200);
  deepEqual(t.called.map(({ admittedByRoute }) => admittedByRoute), [false]);
});

Deno.test("a route for everybody calls as whoever asks, never as the namespace", async () => {
  const t = workshop();
  t.hasRoute({ isPublic: true });
  for (const headers of [{}, as("nobodys"), as("cafes"), as("readers"), as("shops")]) {
    equal((await t.call("GET /v1/http/shop/x", { headers })).status, 200);
  }
  deepEqual(
    t.called.map(({ caller }) => typeof caller === "object" ? caller.namespace : caller),
    [undefined, undefined, "cafe", "shop", "shop"],
  );
  deepEqual(new Set(t.called.map(({ admittedByRoute }) => admittedByRoute)), new Set([true]));
});

Deno.test("what changes while a body comes counts: a route that is gone, or leads elsewhere, calls nothing", async () => {
  const changes: readonly (readonly [change: (t: ReturnType<typeof workshop>) => void, status: number])[] = [
    [(t) => t.hasNoRoute(), 404],
    [(t) => t.hasRoute({}, {}, { id: "trg_2" }), 404],
    [(t) => t.hasRoute({}, {}, { functionName: "another" }), 404],
    [(t) => t.hasRoute({}, {}, { reference: "another" }), 404],
    [(t) => t.hasRoute({ isPublic: false }), 401],
  ];
  for (const [change, status] of changes) {
    const t = workshop();
    t.hasRoute();
    equal((await t.call("POST /v1/http/shop/x", { body: bodyThat(() => change(t)) })).status, status);
    equal(t.called.length, 0);
    t.hasRoute();
    equal((await t.call("POST /v1/http/shop/x", { body: bodyThat(() => {}) })).status, 200);
    equal(t.called[0]!.text.includes('"body":"ab"'), true);
  }
});

Deno.test("a key that is revoked while a body comes slowly calls nothing by a route of its own", async () => {
  const t = workshop();
  t.hasRoute({ isPublic: false });
  const slowly = async (change: () => void) => {
    const start = performance.now();
    // So long may it be in coming before its sender is looked at again.
    while (performance.now() - start < 550) await new Promise((resolve) => setTimeout(resolve, 50));
    change();
  };
  const post = (change: () => void) =>
    t.call("POST /v1/http/shop/x", { body: bodyThat(() => slowly(change)), headers: as("shops") });
  equal((await post(() => {})).status, 200);
  const revoked = await post(() => t.revokes("shops"));
  deepEqual([revoked.status, revoked.json().code, t.called.length], [401, "INVALID_CREDENTIAL", 1]);
});

Deno.test("an answer of more values than the gateway parses, or nested deeper, is an output like any other", async () => {
  const t = workshop();
  t.hasRoute();
  const statusOf = async (body: string) => {
    const output = `{"status":418,"body":${body}}`;
    t.answers(output);
    const { status, text } = await t.call("GET /v1/http/shop/page");
    equal(text, status === 200 ? output : body);
    return status;
  };
  const array = (count: number) => `[${Array.from({ length: count }, () => "{}").join()}]`;
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  deepEqual([await statusOf(array(9_000)), await statusOf(array(20_000))], [418, 200]);
  deepEqual([await statusOf(nested(63)), await statusOf(nested(64))], [418, 200]);
});

Deno.test("a body that is too long only as what the function reads is refused with both numbers", async () => {
  const t = workshop();
  t.hasRoute();
  const refused = await t.call("POST /v1/http/shop/x", { body: new Uint8Array(900).fill(255) });
  const { code, error, details } = refused.json();
  deepEqual([refused.status, code, details.limit, t.called.length], [413, "BODY_TOO_LARGE", 1_000, 0]);
  match(error, /^the body of 900 bytes makes an input of 1[23]\d\d bytes, .* it may have 1000$/);
  equal((await t.call("POST /v1/http/shop/x", { body: "x".repeat(600) })).status, 200);
});

Deno.test("without a route there is nothing; HEAD asks as GET does; no service worker may be registered", async () => {
  const t = workshop();
  const nothing = await t.call("GET /v1/http/shop/nothing");
  deepEqual([nothing.status, nothing.json().status], [404, "error"]);
  t.hasRoute();
  t.answers('{"status":200,"body":"abc"}');
  const head = await t.call("HEAD /v1/http/shop/page");
  deepEqual([head.status, head.text, t.asked.at(-1)], [200, "", "shop GET /page"]);
  equal(JSON.parse(t.called.at(-1)!.text).method, "HEAD");
  const worker = await t.call("GET /v1/http/shop/sw.js", { headers: { "service-worker": "script" } });
  equal(worker.status, 400);
  equal((await t.call("POST /v1/http/shop/page", { body: "x".repeat(1_001) })).status, 413);
});

/** A body of two pieces, between which something happens. */
const bodyThat = (change: () => void | Promise<void>) => {
  const encoder = new TextEncoder();
  let isSecond = false;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(to) {
      if (!isSecond) {
        isSecond = true;
        return to.enqueue(encoder.encode("a"));
      }
      await change();
      to.enqueue(encoder.encode("b"));
      to.close();
    },
  }, { highWaterMark: 0 });
};
