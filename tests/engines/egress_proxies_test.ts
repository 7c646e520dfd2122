import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { awaitedLater } from "../support/awaited_later.ts";
import type { Answer } from "../support/client.ts";
import { withinDeadline } from "../support/deadline.ts";
import { hostsOf } from "../support/host_processes.ts";
import { OPEN, Outside } from "../support/outside.ts";
import { lenderTest } from "./support/own.ts";
import { remotesOf, residentOf } from "./support/proc.ts";
import { Microsocks, OWN_NAMES } from "./support/socks_programs.ts";
import { until } from "./support/wait.ts";

/** What the exits of these tests know, and nobody else. */
const NAMES = { "open.example": OPEN };
const MB = 1_000_000, PIECE = 64 * 1024;
/** Milliseconds within which whatever these tests wait for happens, or never. */
const SOON = 20_000;

const urlOf = ({ port }: Outside, host = "open.example") => `http://${host}:${port}/`;
const textOf = (answer: Answer) => new TextDecoder().decode(Uint8Array.fromBase64(answer.string("body")));

/** Sends a request that is held in memory. */
const buffered = async (outside: Outside, key: string, host?: string): Promise<Answer> =>
  await outside.gateway.call("POST", "/v1/proxy/anon", { key, body: { url: urlOf(outside, host) } });

/** Sends one that is not. @param body without one it is a GET */
function streamed(outside: Outside, key: string, body?: BodyInit, url = urlOf(outside)): Promise<Response> {
  return fetch(`${outside.gateway.url}/v1/proxy/anon/stream`, {
    method: "POST",
    headers: {
      "x-api-key": key,
      "x-target-url": url,
      "x-target-headers": JSON.stringify({ "X-Streams": "1" }),
      ...(body !== undefined && { "content-type": "application/octet-stream" }),
    },
    ...(body !== undefined && { body }),
  });
}

/** A body that never ends. */
const endless = () =>
  new ReadableStream<Uint8Array<ArrayBuffer>>({ pull: (controller) => controller.enqueue(new Uint8Array(PIECE)) });

async function readAll({ body }: Response, told: (bytes: number) => void = () => {}): Promise<void> {
  let read = 0;
  for await (const piece of body!) told(read += piece.length);
}

/** Reads what never ends until so much is there, and then on. @returns what rejects when it is cut */
async function flowing(response: Response): Promise<{ readonly cut: Promise<void> }> {
  const flows = Promise.withResolvers<void>();
  const reading = readAll(response, (bytes) => bytes > 4 * PIECE && flows.resolve());
  const cut = awaitedLater(rejects(reading));
  await withinDeadline(Promise.race([flows.promise, reading]), "the body flows", SOON);
  return { cut };
}

/** Which proxies answer, as the gateway tells. */
async function answering({ gateway }: Outside, count: number): Promise<void> {
  const healthy = async () => (await gateway.call("GET", "/v1/status")).get("services.egress.details.proxies");
  await until(`${count} proxies answer`, async () => await healthy() === count);
}

lenderTest(
  OWN_NAMES,
  "a name is looked up by the exit alone, and what sends is connected to the proxy and nothing else",
  ["microsocks"],
  async () => {
    await using proxies = await Microsocks.start({ proxies: 1, names: NAMES });
    await using outside = await Outside.start({ proxies: proxies.urls });
    const { gateway, got, port } = outside;
    const key = await gateway.defaultKey();
    const answer = (await buffered(outside, key)).expect(200);
    deepEqual([answer.get("status_code"), textOf(answer)], [200, "hello"]);
    equal(got[0]!.headers.get("host"), `open.example:${port}`);
    outside.answer = (request) => new Response(request.body, { status: 201 });
    const bytes = new Uint8Array(3 * MB).map((_, i) => i % 251);
    const echoed = await streamed(outside, key, bytes);
    equal(echoed.status, 201);
    deepEqual(await echoed.bytes(), bytes);
    outside.answer = () => new Response(endless());
    const response = await streamed(outside, key);
    const { cut } = await flowing(response);
    const hosts = hostsOf(gateway.pid, "egress");
    ok(hosts.length > 0);
    const remotes = hosts.flatMap(remotesOf);
    ok(remotes.includes(`127.0.0.1:${proxies.proxies[0]!.port}`), remotes.join(" "));
    equal(new Set(remotes).size, 1, remotes.join(" "));
    ok(!remotesOf(gateway.pid).includes(`${OPEN}:${port}`));
    // What the exit does not know is nowhere, whoever else may know it.
    outside.names = () => ({ a: [OPEN] });
    equal((await buffered(outside, key, "unknown.example")).expect(502).get("code"), "EGRESS_UNREACHABLE");
    deepEqual(outside.dns.asked, []);
    equal(outside.canary, 0);
    await proxies.proxies[0]!.kill();
    await withinDeadline(cut, "the body is cut", SOON);
  },
);

lenderTest(
  OWN_NAMES,
  "300 MB there and 300 MB back come as they were sent, and the gateway and its processes stay as large as they were",
  ["microsocks"],
  async () => {
    await using proxies = await Microsocks.start({ proxies: 1, names: NAMES });
    // Deno's own server slows down with each piece that comes in chunks (`src/http/pieces.ts`).
    await using server = createServer((request, response) => {
      if (request.method === "GET") return void Readable.from(patterned(SIZE)).pipe(response);
      checked(request).then((size) => response.end(String(size)), (error) => response.end(String(error)));
    }).listen(0, OPEN);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await using outside = await Outside.start({ proxies: proxies.urls, ports: [String(port)] });
    const { gateway } = outside;
    const key = await gateway.defaultKey();
    const url = `http://open.example:${port}/`;
    const upload = async (size: number): Promise<string> =>
      await (await streamed(outside, key, ReadableStream.from(patterned(size)), url)).text();
    equal(await upload(5 * MB), String(5 * MB));
    const all = [gateway.pid, ...hostsOf(gateway.pid, "egress")];
    const before = all.map(residentOf), most = [...before];
    const look = () => all.forEach((pid, i) => most[i] = Math.max(most[i]!, residentOf(pid)));
    const timer = setInterval(look, 50);
    try {
      equal(await upload(SIZE), String(SIZE));
      equal(await checked((await streamed(outside, key, undefined, url)).body!), SIZE);
    } finally {
      clearInterval(timer);
    }
    most.forEach((bytes, i) => ok(bytes - before[i]! < 150 * MB, `from ${before} bytes to ${most}`));
  },
);

const SIZE = 300 * MB;
/** Bytes of which any piece is told from its neighbours. */
const PATTERN = Uint8Array.from({ length: 4 * 2 ** 20 }, (_, i) => i % 251);

async function* patterned(size: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < size; at += PIECE) {
    const from = at % 251;
    yield PATTERN.slice(from, from + Math.min(PIECE, size - at));
  }
}

/** @returns how many bytes there were @throws AssertionError for one that is not as it was sent */
async function checked(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let at = 0;
  for await (const piece of pieces) {
    const from = at % 251;
    ok(Buffer.compare(piece, PATTERN.subarray(from, from + piece.length)) === 0, `bytes from ${at} on`);
    at += piece.length;
  }
  return at;
}

lenderTest(
  OWN_NAMES,
  "a proxy that is killed in the middle of a body cuts it; what follows goes through the other, and nowhere without one",
  ["microsocks"],
  async () => {
    await using proxies = await Microsocks.start({ proxies: 2, names: NAMES });
    await using outside = await Outside.start({ proxies: proxies.urls, probe_interval: "200ms" });
    const { gateway, got } = outside;
    const [first, second] = proxies.proxies;
    const key = await gateway.defaultKey();
    await answering(outside, 2);
    outside.answer = () => new Response(endless());
    const { cut } = await flowing(await streamed(outside, key));
    await first!.kill();
    await withinDeadline(cut, "the body is cut", SOON);
    outside.answer = () => new Response("hello");
    equal(textOf((await buffered(outside, key)).expect(200)), "hello");
    // Of what can be sent but once it is known by now where it goes.
    equal(await (await streamed(outside, key, new Uint8Array(PIECE))).text(), "hello");

    outside.answer = () => new Response(endless());
    const { cut: another } = await flowing(await streamed(outside, key));
    await second!.kill();
    await withinDeadline(another, "the body is cut", SOON);
    outside.answer = () => new Response("hello");
    const count = got.length;
    for (const answer of [await buffered(outside, key), await buffered(outside, key)]) {
      equal(answer.expect(503).get("code"), "EGRESS_PROXY_UNAVAILABLE");
      ok(Number(answer.headers.get("retry-after")) >= 1);
    }
    const refused = await streamed(outside, key, new Uint8Array(PIECE));
    equal(refused.status, 503);
    equal(refused.headers.get("x-target-status"), null);
    equal((await refused.json()).code, "EGRESS_PROXY_UNAVAILABLE");
    equal(got.length, count);
    deepEqual(outside.dns.asked, []);
    equal(outside.canary, 0);

    await first!.start();
    await answering(outside, 1);
    equal(textOf((await buffered(outside, key)).expect(200)), "hello");
  },
);

lenderTest(
  OWN_NAMES,
  "a proxy that stands still ends what goes through it in its time, and what follows goes through the other",
  ["microsocks"],
  async () => {
    await using proxies = await Microsocks.start({ proxies: 2, names: NAMES });
    const timeouts = { connect_timeout: "1s", head_timeout: "2s", idle_timeout: "2s" };
    // Requests find out by themselves, not by a look that was taken before.
    await using outside = await Outside.start({ proxies: proxies.urls, probe_interval: "1h", ...timeouts });
    const { gateway } = outside;
    const [first, second] = proxies.proxies;
    const key = await gateway.defaultKey();
    await answering(outside, 2);
    outside.answer = () => new Response(endless());
    const { cut } = await flowing(await streamed(outside, key));
    const hangs = Promise.withResolvers<void>(), arrived = Promise.withResolvers<void>();
    outside.answer = async () => {
      arrived.resolve();
      await hangs.promise;
      return new Response("late");
    };
    const unanswered = awaitedLater(buffered(outside, key));
    await withinDeadline(arrived.promise, "the request arrived", SOON);
    first!.pause();
    const began = performance.now();
    outside.answer = () => new Response("hello");
    equal(textOf((await buffered(outside, key)).expect(200)), "hello");
    const found = performance.now() - began;
    ok(found >= 900 && found < 10_000, `the other proxy's answer came after ${found} ms`);
    // The server may have got it, so that nobody sends it again.
    equal((await unanswered).expect(422).get("code"), "EGRESS_TIMEOUT");
    await withinDeadline(cut, "the body is cut", SOON);
    hangs.resolve();
    const at = performance.now();
    for (let i = 0; i < 5; i++) (await buffered(outside, key)).expect(200);
    const five = performance.now() - at;
    ok(five < 900, `nobody waits for it again, but five requests took ${five} ms`);

    second!.pause();
    const alone = performance.now();
    equal((await buffered(outside, key)).expect(503).get("code"), "EGRESS_PROXY_UNAVAILABLE");
    ok(performance.now() - alone < 10_000);
    first!.resume();
    equal(textOf((await buffered(outside, key)).expect(200)), "hello");
    second!.resume();
    deepEqual(outside.dns.asked, []);
    equal(outside.canary, 0);
  },
);

lenderTest(
  OWN_NAMES,
  "a proxy with a password serves who says it, and whoever does not is told that there is no proxy",
  ["microsocks"],
  async () => {
    const user = { name: "node", password: "a-secret-of-the-proxy" };
    await using proxies = await Microsocks.start({ proxies: 1, names: NAMES, user });
    const [proxy] = proxies.proxies;
    const own = `socks5://127.0.0.1:${proxy!.port}`;
    const all: readonly (readonly [url: string, status: number])[] = [
      [proxy!.url, 200],
      [proxy!.url.replace(user.password, "another"), 503],
      [proxy!.url.replace(user.name, "nobody"), 503],
      // The credentials of the namespace are none that it knows.
      [own, 503],
    ];
    for (const [url, status] of all) {
      await using outside = await Outside.start({ proxies: [url] });
      const key = await outside.gateway.defaultKey();
      const answer = (await buffered(outside, key)).expect(status);
      if (status === 503) equal(answer.get("code"), "EGRESS_PROXY_UNAVAILABLE");
      equal(outside.got.length, status === 200 ? 1 : 0, url);
      equal(outside.canary, 0);
      ok(!outside.gateway.log().includes(user.password), "the log tells the password");
      ok(!answer.text.includes(user.password));
    }
  },
);
