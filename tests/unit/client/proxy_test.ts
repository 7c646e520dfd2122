import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import {
  type AnonymousProxy,
  createClient,
  createProxy,
  OramaError,
  type ProxyInit,
  type ProxyOptions,
} from "../../../src/client/index.ts";
import { oramaError } from "./support/databases.ts";
import { bytesOf, type FetchedRequest, type Network, networkOptions, refusal, Source } from "./support/storages.ts";

const URL_GIVEN = "http://shop.example/";
/** What servers add to an answer that has no body. */
const OWN = { "content-length": "0" };
const hello = (): Response => new Response("hello", { headers: { "x-target-status": "200" } });

/** A proxy whose gateway is a function. */
function proxyAt(network: Network, seen?: FetchedRequest[], options: ProxyOptions = {}): AnonymousProxy {
  const { fetch } = networkOptions(network, seen);
  const client = createClient({ url: "http://gateway.test", apiKey: "ak_secret:test" });
  return createProxy(client, { fetch, retry: { firstPause: 1 }, random: () => 0.5, ...options });
}

/** The one request of a call. */
async function sent(init?: ProxyInit, url: string | URL = URL_GIVEN): Promise<FetchedRequest> {
  const seen: FetchedRequest[] = [];
  const network: Network = ({ headers }) =>
    headers.get("x-target-method") === "HEAD" ? new Response(null, hello()) : hello();
  (await proxyAt(network, seen).fetch(url, init)).close();
  equal(seen.length, 1);
  return seen[0]!;
}

const headersOf = ({ headers }: FetchedRequest): unknown => JSON.parse(headers.get("x-target-headers")!);
const bytesIn = async ({ body }: FetchedRequest) => new Uint8Array(await new Response(body).arrayBuffer());

Deno.test("a request is told in headers of the call: the URL without its fragment, the method, the headers as they are", async () => {
  const url = new URL("https://Bücher.example:8443/ä?q=ö#part");
  const headers = { "X-Mine": "ä", Cookie: "a=1; b=2", "User-Agent": "mine" };
  const request = await sent({ method: "patch", headers }, url);
  equal(`${request.method} ${request.path}`, "POST /v1/proxy/anon/stream");
  equal(request.headers.get("authorization"), "Bearer ak_secret:test");
  equal(request.headers.get("x-target-url"), "https://xn--bcher-kva.example:8443/%C3%A4?q=%C3%B6");
  equal(request.headers.get("x-target-method"), "PATCH");
  deepEqual(headersOf(request), headers);
  match(request.headers.get("x-target-headers")!, /^[\x20-\x7e]*$/);
  equal((await sent()).headers.get("x-target-method"), "GET");
});

Deno.test("headers may be an object, a list or Headers, and one that comes twice is one", async () => {
  deepEqual(headersOf(await sent({ headers: new Headers({ "X-A": "1" }) })), { "x-a": "1" });
  const list: [string, string][] = [["X-A", "1"], ["Cookie", "a=1"], ["x-a", "2"], ["cookie", "b=2"]];
  deepEqual(headersOf(await sent({ headers: list })), { "X-A": "1, 2", Cookie: "a=1; b=2" });
  deepEqual(headersOf(await sent({ headers: { ["__proto__"]: "1" } })), JSON.parse('{"__proto__":"1"}'));
});

Deno.test("a body is sent as fetch sends it, with its type and without one where it has none", async () => {
  const post = async (body: ProxyInit["body"]) => {
    const request = await sent({ method: "POST", body });
    // Whatever it is: a text, or nothing, Deno would send a second time by itself.
    ok(request.body instanceof Blob);
    return [request.headers.get("content-type"), new TextDecoder().decode(await bytesIn(request))];
  };
  deepEqual(await post(undefined), [null, ""]);
  deepEqual(await post(null), [null, ""]);
  deepEqual(await post("täxt"), ["text/plain;charset=UTF-8", "täxt"]);
  deepEqual(await post(new URLSearchParams({ a: "b c" })), [
    "application/x-www-form-urlencoded;charset=UTF-8",
    "a=b+c",
  ]);
  deepEqual(await post(new TextEncoder().encode("xBC").subarray(1)), [null, "BC"]);
  deepEqual(await post(new TextEncoder().encode("AB").buffer), [null, "AB"]);
  deepEqual(await post(new Blob(["A"])), [null, "A"]);
  deepEqual(await post(new Blob(["A"], { type: "text/csv" })), ["text/csv", "A"]);
  const form = new FormData();
  form.set("a", "1");
  const [type, text] = await post(form);
  const [, boundary] = /^multipart\/form-data; ?boundary=(\S+)$/.exec(String(type)) ?? [];
  ok(boundary !== undefined && text!.startsWith(`--${boundary}\r\n`), String(type));
});

Deno.test("a stream is sent as it comes, and has the type that is said", async () => {
  const bytes = bytesOf(1_000);
  const headers = { "Content-Type": "video/mp4" };
  const request = await sent({ method: "PUT", body: new Source(bytes, 300).stream, headers });
  ok(request.body instanceof ReadableStream);
  deepEqual([request.headers.get("content-type"), headersOf(request)], [null, headers]);
  const seen: Uint8Array[] = [];
  const reading: Network = async ({ body }) => {
    seen.push(new Uint8Array(await new Response(body).arrayBuffer()));
    return hello();
  };
  const proxy = proxyAt(reading);
  await proxy.fetch(URL_GIVEN, { method: "PUT", body: new Source(bytes, 300).stream });
  deepEqual(seen, [bytes]);
});

Deno.test("what cannot be requested is a TypeError before anything is sent", async () => {
  const seen: FetchedRequest[] = [];
  const proxy = proxyAt(hello, seen);
  await rejects(proxy.fetch("/relative"), TypeError);
  for (
    const init of [
      { method: "G E T" },
      { method: "" },
      { method: "GET\r\nx-api-key: b" },
      { body: "a GET has none" },
      { method: "head", body: "nor has a HEAD" },
      { headers: { "a b": "1" } },
      { headers: { a: "1\r\nb: 2" } },
      { headers: { a: "€" } },
      { headers: [["a"]] as unknown as [string, string][] },
    ]
  ) await rejects(proxy.fetch(URL_GIVEN, init), TypeError, JSON.stringify(init));
  for (const requestTimeout of [0, -1, NaN, 2 ** 31]) {
    await rejects(proxy.fetch(URL_GIVEN, { requestTimeout }), RangeError);
  }
  equal(seen.length, 0);
});

Deno.test("an answer has the server's headers, with those that came apart, and none of the gateway's own", async () => {
  const headers = {
    "content-type": "text/csv",
    "x-own": "1",
    "x-target-status": "201",
    "x-target-headers": '{"vary":["accept"],"set-cookie":["a=1","b=\\u00e4"],"x-request-id":["theirs"]}',
    "x-request-id": "r-1",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    "vary": "Origin",
    "ratelimit": "r=1",
    "ratelimit-policy": "q=1",
  };
  const answer = await proxyAt(() => new Response("a,b", { status: 201, headers })).fetch(URL_GIVEN);
  deepEqual([answer.status, answer.ok, answer.requestId], [201, true, "r-1"]);
  deepEqual([...answer.headers], [
    ["content-type", "text/csv"],
    ["set-cookie", "a=1"],
    ["set-cookie", "b=ä"],
    ["vary", "accept"],
    ["x-own", "1"],
    ["x-request-id", "theirs"],
  ]);
  const blob = await answer.blob();
  deepEqual([blob.type, await blob.text()], ["text/csv", "a,b"]);
});

Deno.test("an answer is read as a Response is, once, and one that can have no body has none", async () => {
  const of = (text: string) => proxyAt(() => new Response(text, hello())).fetch(URL_GIVEN);
  equal(await (await of("täxt")).text(), "täxt");
  deepEqual(await (await of('{"a":[1]}')).json(), { a: [1] });
  await rejects(async () => await (await of("{")).json(), SyntaxError);
  deepEqual(await (await of("AB")).bytes(), Uint8Array.of(65, 66));
  const twice = await of("once");
  await twice.text();
  await rejects(twice.text(), TypeError);
  for (const [status, servers] of [[204, 204], [205, 205], [304, 304], [204, 205]] as const) {
    const network: Network = () => new Response(null, { status, headers: { "x-target-status": String(servers) } });
    const { body, status: told } = await proxyAt(network).fetch(URL_GIVEN);
    deepEqual([body, told], [null, servers]);
  }
  const network: Network = () =>
    new Response(null, {
      headers: { "x-target-status": "200", "x-target-headers": '{"content-length":["77"]}', ...OWN },
    });
  const head = await proxyAt(network).fetch(URL_GIVEN, { method: "HEAD" });
  deepEqual([head.body, head.headers.get("content-length"), await head.text()], [null, "77", ""]);
});

Deno.test("a body is asked for at its reader's pace, and leaving it ends the call", async () => {
  for (const leave of ["cancel", "close"] as const) {
    const source = new Source(bytesOf(1_000), 100);
    const seen: FetchedRequest[] = [];
    const answer = await proxyAt(() => new Response(source.stream, hello()), seen).fetch(URL_GIVEN);
    equal(source.pulls, 0);
    const reader = answer.body!.getReader();
    equal((await reader.read()).value?.length, 100);
    ok(source.pulls <= 2, `${source.pulls}`);
    equal(seen[0]!.signal.aborted, false);
    if (leave === "cancel") await reader.cancel();
    else answer.close();
    equal(seen[0]!.signal.aborted, true);
  }
});

Deno.test("a stream that fails when its answer has begun ends the answer with its own error", async () => {
  const error = new Error("the disk is gone"), source = new Source(bytesOf(100), 100, { error });
  const echo: Network = ({ body }) => new Response(body, hello());
  const answer = await proxyAt(echo).fetch(URL_GIVEN, { method: "POST", body: source.stream });
  const reader = answer.body!.getReader();
  equal((await reader.read()).value?.length, 100);
  await rejects(reader.read(), error);
});

Deno.test("a stream that fails before the answer is told as it is where the method changes nothing", async () => {
  const error = new Error("the disk is gone");
  const taking: Network = async ({ body }) => new Response(await new Response(body).text(), hello());
  const body = () => new Source(bytesOf(10), 10, { error }).stream;
  await rejects(proxyAt(taking).fetch(URL_GIVEN, { method: "OPTIONS", body: body() }), error);
  const unknown = await oramaError(proxyAt(taking).fetch(URL_GIVEN, { method: "PUT", body: body() }));
  deepEqual([unknown.code, unknown.cause], ["OUTCOME_UNKNOWN", error]);
});

Deno.test("a server that has said all takes nothing more: what is left of a stream is let go", async () => {
  const seen: FetchedRequest[] = [], source = new Source(bytesOf(10), 10, "endless");
  const answer = await proxyAt(hello, seen).fetch(URL_GIVEN, { method: "POST", body: source.stream });
  equal(source.cancelled, undefined);
  equal(await answer.text(), "hello");
  ok(source.cancelled);
  equal(seen[0]!.signal.aborted, true);
});

Deno.test("a body whose length was told has that length, unless the platform has unpacked it", async () => {
  const network = (headers: Readonly<Record<string, string>>): Network => () =>
    new Response("short", { headers: { "x-target-status": "200", "content-length": "9", ...headers } });
  const cut = await proxyAt(network({})).fetch(URL_GIVEN);
  equal((await oramaError(cut.text())).code, "NETWORK_ERROR");
  equal(await (await proxyAt(network({ "content-encoding": "gzip" })).fetch(URL_GIVEN)).text(), "short");
});

Deno.test("a refusal of the gateway is repeated for methods that are as good twice as once, others and streams are not", async () => {
  const tries = async (init: ProxyInit, refuse: () => Response) => {
    const seen: FetchedRequest[] = [];
    const work = proxyAt((_, count) => count === 1 ? refuse() : hello(), seen).fetch(URL_GIVEN, init);
    await work.then((answer) => answer.close(), (error) => ok(error instanceof OramaError));
    return seen.length;
  };
  const wait = { "retry-after": "0" };
  for (const method of ["GET", "OPTIONS", "PUT", "DELETE"]) {
    equal(await tries({ method }, () => refusal(503, "EGRESS_PROXY_UNAVAILABLE", wait)), 2, method);
    equal(await tries({ method }, () => refusal(429, "EGRESS_BUSY", wait)), 2, method);
    equal(await tries({ method }, () => refusal(503, "UNAVAILABLE")), 1, "without Retry-After");
    for (const status of [400, 403, 422, 500, 502, 504]) {
      equal(await tries({ method }, () => refusal(status, "ANY", wait)), 1, `${method} ${status}`);
    }
    const before = new Response("<html></html>", { status: 503, headers: wait });
    equal(await tries({ method }, () => before), 1, "something before the gateway");
  }
  for (const method of ["POST", "PATCH", "MKCOL"]) {
    equal(await tries({ method }, () => refusal(503, "EGRESS_PROXY_UNAVAILABLE", wait)), 1, method);
  }
  const stream = new Source(bytesOf(10), 10);
  equal(await tries({ method: "PUT", body: stream.stream }, () => refusal(429, "EGRESS_BUSY", wait)), 1);
  ok(stream.cancelled);
  const long = { "retry-after": "3600" };
  equal(await tries({}, () => refusal(503, "EGRESS_PROXY_UNAVAILABLE", long)), 1, "nobody waits so long");
});

Deno.test("a body that is there is sent anew with each repetition", async () => {
  const seen: FetchedRequest[] = [];
  const network: Network = (_, count) =>
    count < 3 ? refusal(503, "EGRESS_PROXY_UNAVAILABLE", { "retry-after": "0" }) : hello();
  await proxyAt(network, seen).fetch(URL_GIVEN, { method: "PUT", body: "again" });
  deepEqual(
    await Promise.all(seen.map(async (one) => new TextDecoder().decode(await bytesIn(one)))),
    Array(3).fill("again"),
  );
});

Deno.test("a token is asked for before each request, and one that no header holds is told by nobody", async () => {
  let asked = 0;
  const tokens = ["first", "second"];
  const seen: FetchedRequest[] = [];
  const { fetch } = networkOptions(
    (_, count) => count === 1 ? refusal(503, "UNAVAILABLE", { "retry-after": "0" }) : hello(),
    seen,
  );
  const client = createClient({ url: "http://gateway.test/base/", token: () => tokens[asked++]! });
  await createProxy(client, { fetch, retry: { firstPause: 1 } }).fetch(URL_GIVEN);
  deepEqual(seen.map(({ headers, path }) => [headers.get("authorization"), path]), [
    ["Bearer first", "/base/v1/proxy/anon/stream"],
    ["Bearer second", "/base/v1/proxy/anon/stream"],
  ]);
  const bad = createProxy(createClient({ url: "http://gateway.test", token: () => "a\nsecret" }), { fetch });
  await rejects(bad.fetch(URL_GIVEN), (error) => error instanceof TypeError && !error.message.includes("secret"));
  const nobody = createProxy(createClient({ url: "http://gateway.test" }), { fetch });
  await nobody.fetch(URL_GIVEN);
  equal(seen.at(-1)!.headers.has("authorization"), false);
});

Deno.test("a call that its signal has ended before sends nothing, and lets go of its stream", async () => {
  const seen: FetchedRequest[] = [];
  const reason = new Error("left before"), source = new Source(bytesOf(10), 5);
  const signal = AbortSignal.abort(reason);
  await rejects(proxyAt(hello, seen).fetch(URL_GIVEN, { method: "POST", body: source.stream, signal }), reason);
  equal(seen.length, 0);
  deepEqual(source.cancelled?.reason, reason);
});

Deno.test("a signal that ends the pause before a repetition is told as it is: nothing was sent", async () => {
  const controller = new AbortController(), reason = new Error("left while waiting");
  const network: Network = () => {
    setTimeout(() => controller.abort(reason));
    return refusal(503, "EGRESS_PROXY_UNAVAILABLE", { "retry-after": "20" });
  };
  await rejects(proxyAt(network).fetch(URL_GIVEN, { method: "PUT", signal: controller.signal }), reason);
});

Deno.test("a redirect that a browser hides is no answer, and of what it did nobody knows", async () => {
  const hidden = Object.defineProperty(new Response(null), "type", { value: "opaqueredirect" });
  equal((await oramaError(proxyAt(() => hidden).fetch(URL_GIVEN))).code, "INVALID_RESPONSE");
  const post = proxyAt(() => hidden).fetch(URL_GIVEN, { method: "POST" });
  equal((await oramaError(post)).code, "OUTCOME_UNKNOWN");
});

Deno.test("a platform that sends no streams is told of before anything is sent", async () => {
  const seen: FetchedRequest[] = [];
  const { Request: real } = globalThis;
  try {
    globalThis.Request = class extends real {
      constructor(input: RequestInfo | URL, init?: RequestInit) {
        super(input, { method: "POST", body: String(init?.body) });
      }
    };
    const body = new Source(bytesOf(1), 1).stream;
    const error = await oramaError(proxyAt(hello, seen).fetch(URL_GIVEN, { method: "POST", body }));
    equal(error.code, "NOT_SUPPORTED");
    match(error.message, /give a Blob/);
  } finally {
    globalThis.Request = real;
  }
  equal(seen.length, 0);
});
