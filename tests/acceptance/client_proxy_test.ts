import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import {
  type AnonymousProxy,
  createClient,
  createProxy,
  OramaError,
  type ProxyOptions,
} from "../../src/client/index.ts";
import { newOwner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { Outside } from "../support/outside.ts";

const ROOT = new URL("../../", import.meta.url);
const MB = 2 ** 20;

async function proxyOf({ gateway }: Outside, options?: ProxyOptions): Promise<AnonymousProxy> {
  return createProxy(createClient({ url: gateway.url, apiKey: await gateway.defaultKey() }), options);
}

async function errorOf(work: Promise<unknown>): Promise<OramaError> {
  const error = await work.then(() => undefined, (error) => error);
  ok(error instanceof OramaError, String(error));
  return error;
}

/** What a byte of a large body is, so that none is lost, doubled or out of its place. */
const byteAt = (at: number) => (at * 7 + (at >> 16)) & 255;

/** A large body that is made as it is taken. @param told how much there is so far */
function large(size: number, told: (bytes: number) => void = () => {}): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= size) return controller.close();
      const from = at;
      at = Math.min(size, at + 65_536);
      const piece = new Uint8Array(at - from);
      for (let i = 0; i < piece.length; i++) piece[i] = byteAt(from + i);
      controller.enqueue(piece);
      told(at);
    },
  }, { highWaterMark: 0 });
}

/** How much of a large body came. @param first what was read of it @throws AssertionError where it is another */
async function checkLarge(body: ReadableStream<Uint8Array>, first = new Uint8Array()): Promise<number> {
  let at = 0;
  const check = (piece: Uint8Array) => {
    let i = 0;
    while (i < piece.length && piece[i] === byteAt(at + i)) i++;
    equal(i, piece.length, `behind ${at}`);
    at += piece.length;
  };
  check(first);
  for await (const piece of body) check(piece);
  return at;
}

/** A body that gives a piece, and then nothing more. @param left called when nobody wants it any more */
const stuck = (left: () => void) =>
  new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array(10)), cancel: left });

Deno.test("headers, status and body go through the proxy as they are, in both directions", async () => {
  await using outside = await Outside.start();
  const { port, got, socks } = outside;
  const proxy = await proxyOf(outside);
  outside.answer = () => {
    const headers = new Headers({ "content-type": "text/x-mine", "x-own": "1", vary: "accept", "retry-after": "9" });
    for (const cookie of ["a=1", "b=2"]) headers.append("set-cookie", cookie);
    return new Response("hello", { status: 207, headers });
  };
  const answer = await proxy.fetch(`http://shop.example:${port}/a?b=c#d`, {
    method: "report",
    headers: { "X-Mine": "ä", Cookie: "c=3", "User-Agent": "mine/1", "X-Forwarded-For": "10.0.0.1" },
    body: "a body",
  });
  deepEqual([answer.status, answer.ok, await answer.text()], [207, true, "hello"]);
  const all = Object.fromEntries(answer.headers);
  deepEqual([all["content-type"], all["x-own"], all["retry-after"]], ["text/x-mine", "1", "9"]);
  deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"]);
  // The server of this test adds to it what it packs by.
  match(all["vary"]!, /^accept\b/i);
  ok(Object.keys(all).every((name) => !/^(x-target-|x-request-id|access-control-|x-content-type-options)/.test(name)));
  ok(answer.requestId);
  const [one] = got;
  deepEqual([one!.method, one!.body], ["REPORT", "a body"]);
  equal(one!.url, `http://shop.example:${port}/a?b=c`);
  const sent = ["x-mine", "cookie", "user-agent", "content-type", "x-forwarded-for", "authorization", "x-api-key"];
  deepEqual(sent.map((name) => one!.headers.get(name)), [
    "ä",
    "c=3",
    "mine/1",
    "text/plain;charset=UTF-8",
    null,
    null,
    null,
  ]);
  equal(socks.sessions.filter(({ host }) => host !== undefined).map(({ host }) => host).join(), "shop.example");
});

Deno.test("a server's errors are its answers, and what the gateway refuses is the client's error with its code", async () => {
  await using outside = await Outside.start();
  const { port, gateway, got } = outside;
  const proxy = await proxyOf(outside);
  const url = `http://shop.example:${port}/`;
  for (const status of [400, 401, 403, 404, 429, 500, 503]) {
    // As if it were the gateway's.
    const body = { error: "no", code: "EGRESS_ADDRESS_REFUSED", status };
    outside.answer = () => Response.json(body, { status, headers: { "retry-after": "0", "x-target-status": "200" } });
    const answer = await proxy.fetch(url);
    deepEqual([answer.status, answer.ok, await answer.json()], [status, false, body]);
  }
  equal(got.length, 7);
  outside.answer = () => new Response(null, { status: 307, headers: { location: "/elsewhere" } });
  const moved = await proxy.fetch(url, { method: "POST", body: "x" });
  deepEqual([moved.status, moved.headers.get("location")], [307, "/elsewhere"]);
  moved.close();
  outside.answer = ({ method }) =>
    new Response(method === "HEAD" ? "12345" : null, { status: method === "HEAD" ? 200 : 204 });
  deepEqual((await proxy.fetch(url, { method: "DELETE" })).body, null);
  const head = await proxy.fetch(url, { method: "HEAD" });
  deepEqual([head.status, head.body, head.headers.get("content-length")], [200, null, "5"]);
  const before = got.length;
  for (const inner of [`http://127.0.0.1:${port}/`, "http://[::1]/", "http://localhost/", "http://169.254.169.254/"]) {
    const error = await errorOf(proxy.fetch(inner, { method: "POST", body: large(MB) }));
    deepEqual([error.code, error.status], ["EGRESS_ADDRESS_REFUSED", 403], inner);
    ok(error.requestId);
  }
  equal((await errorOf(proxy.fetch("http://shop.example:25/"))).code, "EGRESS_TARGET_REFUSED");
  equal((await errorOf(proxy.fetch("ftp://shop.example/"))).code, "INVALID_REQUEST");
  const stranger = createProxy(createClient({ url: gateway.url, apiKey: "ak_nobody:default" }));
  equal((await errorOf(stranger.fetch(url))).status, 401);
  equal(got.length, before);
  equal(outside.canary, 0);
});

Deno.test("without a proxy it is 503 and nothing is sent; a GET waits for one that comes back, a POST does not", async () => {
  await using outside = await Outside.start();
  const { port, socks, got } = outside;
  const url = `http://shop.example:${port}/`;
  const proxy = await proxyOf(outside, { retry: { attempts: 0 } });
  (await proxy.fetch(url)).close();
  socks.manner = { greeting: "close" };
  const down = await errorOf(proxy.fetch(url));
  deepEqual([down.code, down.status], ["EGRESS_PROXY_UNAVAILABLE", 503]);
  ok(down.retryAfter! >= 1);
  const waiting = await proxyOf(outside);
  equal((await errorOf(waiting.fetch(url, { method: "POST", body: "x" }))).code, "EGRESS_PROXY_UNAVAILABLE");
  equal(got.length, 1);
  const later = awaitedLater(waiting.fetch(url));
  socks.manner = {};
  equal(await (await later).text(), "hello");
  equal(got.length, 2);
});

Deno.test("one who has as many requests under way as may be is told so, until an answer is closed", async () => {
  await using outside = await Outside.start();
  const { port } = outside;
  const proxy = await proxyOf(outside, { retry: { attempts: 0 } });
  let left = 0;
  outside.answer = () => new Response(stuck(() => left++));
  const url = `http://shop.example:${port}/`;
  const open = await Promise.all(Array.from({ length: 64 }, () => proxy.fetch(url)));
  const busy = await errorOf(proxy.fetch(url, { method: "POST" }));
  deepEqual([busy.code, busy.status], ["EGRESS_BUSY", 429]);
  open[0]!.close();
  await until("a place is free", () => proxy.fetch(url).then((answer) => open.push(answer), () => false).then(Boolean));
  for (const answer of open) answer.close();
  await until("no server speaks to nobody", () => left >= 65);
});

Deno.test("a large body streams in both directions at once, byte for byte", async () => {
  await using outside = await Outside.start();
  const { port } = outside;
  const proxy = await proxyOf(outside);
  outside.answer = ({ body }) => new Response(body);
  const size = 32 * MB + 17;
  let made = 0;
  const answer = await proxy.fetch(`http://shop.example:${port}/echo`, {
    method: "PUT",
    headers: { "X-Streams": "1" },
    body: large(size, (bytes) => made = bytes),
  });
  // The head is here, and whoever waits for the end of one body to begin the other would wait for ever.
  ok(made < size / 2, `${made}`);
  const reader = answer.body!.getReader();
  const first = await reader.read();
  ok(made < size, `${made}`);
  reader.releaseLock();
  equal(await checkLarge(answer.body!, first.value), size);
});

Deno.test("a signal ends the request at the server, before its answer, within it, and while a body is sent", async () => {
  await using outside = await Outside.start();
  const { port, got } = outside;
  const proxy = await proxyOf(outside);
  const url = `http://shop.example:${port}/`;
  const reason = new Error("left");
  let left = 0;

  const early = new AbortController();
  outside.answer = (request) =>
    new Promise((resolve) => {
      request.signal.addEventListener("abort", () => {
        left++;
        resolve(new Response("nobody hears it"));
      });
      early.abort(reason);
    });
  await rejects(proxy.fetch(url, { signal: early.signal }), reason);
  await until("the server is told before its answer", () => left === 1);

  const within = new AbortController();
  outside.answer = () => new Response(stuck(() => left++));
  const answer = await proxy.fetch(url, { signal: within.signal });
  const reader = answer.body!.getReader();
  equal((await reader.read()).value?.length, 10);
  within.abort(reason);
  await rejects(reader.read(), reason);
  await until("the server is told within its answer", () => left === 2);

  const sending = new AbortController();
  outside.answer = async ({ body }) => {
    let taken = 0;
    try {
      for await (const piece of body!) if ((taken += piece.length) > MB) sending.abort(reason);
    } catch {
      left++;
    }
    return new Response(`${taken}`);
  };
  const headers = { "X-Streams": "1" };
  const endless = large(Infinity);
  const unknown = await errorOf(proxy.fetch(url, { method: "POST", headers, body: endless, signal: sending.signal }));
  deepEqual([unknown.code, unknown.cause], ["OUTCOME_UNKNOWN", reason]);
  await until("the server is told while it takes a body", () => left === 3);
  equal(got.length, 3);
});

Deno.test("the examples of docs/egress.md compile, run, and print what the page says", async () => {
  await using outside = await Outside.start();
  const { gateway, port } = outside;
  await using owner = await newOwner(gateway);
  outside.answer = ({ method }) =>
    method === "GET"
      ? new Response("<h1>Hello.</h1>", { headers: { "content-type": "text/html" } })
      : new Response("full", { status: 507, headers: { "set-cookie": "seen=1" } });
  const page = await Deno.readTextFile(new URL("docs/egress.md", ROOT));
  const examples = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, example]) => example!);
  equal(examples.length, 1);
  const program = examples.join("\n").replaceAll("./src/client/", new URL("src/client/", ROOT).href)
    .replace('"https://gateway.example"', JSON.stringify(gateway.url)).replace('"ak_…"', JSON.stringify(owner.apiKey))
    .replaceAll("https://example.com/", `http://example.com:${port}/`);
  const printed = [...page.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text!);
  const folder = await Deno.makeTempDir({ prefix: "orama-examples-" });
  try {
    await Deno.writeTextFile(`${folder}/examples.ts`, program);
    const config = new URL("deno.json", ROOT).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--check", "--allow-net", "--config", config, `${folder}/examples.ts`],
      env: { NO_COLOR: "1" },
    }).output();
    equal(code, 0, new TextDecoder().decode(stderr));
    deepEqual(new TextDecoder().decode(stdout).trimEnd().split("\n"), printed);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
