import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { addressCases } from "../fixtures/egress/addresses.ts";
import { newOwner } from "../support/accounts.ts";
import type { DnsAnswer } from "../support/dns_server.ts";
import { deploy, hostCalls } from "../support/functions.ts";
import { OPEN, Outside } from "../support/outside.ts";

/** Fetches in the name of a function, as many URLs with one call as may be. */
async function fetcher(outside: Outside) {
  const { gateway } = outside;
  const owner = await newOwner(gateway);
  const credential = { token: owner.accessToken };
  await deploy(gateway, credential, "calls", "calls.wat", { timeout_seconds: "30" });
  const fetchAll = async (...urls: readonly string[]): Promise<{ readonly status: number; readonly code?: string }[]> =>
    (await hostCalls(gateway, credential, "calls", ...urls.map((url) => ["http_fetch", "GET", url, "{}", ""])))
      .map((line) => JSON.parse(line));
  return { owner, fetchAll };
}

Deno.test("no spelling of an inner address leads anywhere: nothing arrives, by a function or through the proxy", async () => {
  await using outside = await Outside.start();
  const { gateway, socks, port } = outside;
  const { owner: { apiKey: key }, fetchAll } = await fetcher(outside);
  const cases = addressCases(port).filter(({ verdict }) => verdict !== "taken");
  ok(cases.length > 400);
  // Lines of the function's input hold no line ends and tabs, and are not long; those URLs go through the proxy alone.
  const plain = cases.filter(({ url }) => !/[\t\n\r\0]/.test(url) && url !== "" && url.length < 1_000);
  for (let at = 0; at < plain.length; at += 20) {
    const some = plain.slice(at, at + 20);
    const results = await fetchAll(...some.map(({ url }) => url));
    for (const [i, { url, why }] of some.entries()) {
      ok(results[i]!.status === 0 && results[i]!.code, `${url} (${why}): ${JSON.stringify(results[i])}`);
    }
  }
  for (const { url, why, verdict } of cases) {
    if (why === "a name that a proxy alone knows") continue;
    const { status } = await gateway.call("POST", "/v1/proxy/anon", { key, body: { url } });
    equal(status, verdict === "EGRESS_REQUEST_INVALID" ? 400 : 403, `${url} (${why})`);
  }
  equal(outside.canary, 0);
  equal(outside.got.length, 0);
  ok(socks.sessions.every(({ host }) => host === undefined));
});

Deno.test("a name that leads inwards when it is connected to was looked up before, and leads to what was checked", async () => {
  await using outside = await Outside.start();
  const { port, got } = outside;
  const { fetchAll } = await fetcher(outside);
  const looks = new Map<string, number>();
  outside.names = (name) => {
    const look = (looks.get(name) ?? 0) + 1;
    looks.set(name, look);
    return { a: [look === 1 ? OPEN : "127.0.0.1"] };
  };
  const names = Array.from({ length: 20 }, (_, i) => `turn${i}.example`);
  const results = await fetchAll(...names.map((name) => `http://${name}:${port}/`));
  deepEqual(results.map(({ status }) => status), names.map(() => 200));
  equal(got.length, names.length);
  // The second time each of them leads inwards, and nowhere.
  const again = await fetchAll(...names.map((name) => `http://${name}:${port}/`));
  deepEqual(again.map(({ code }) => code), names.map(() => "EGRESS_ADDRESS_REFUSED"));
  equal(outside.canary, 0);
});

Deno.test("answers of a hostile DNS server lead nowhere: mixed, by other names, in circles", async () => {
  await using outside = await Outside.start();
  const { port } = outside;
  const { fetchAll } = await fetcher(outside);
  const names: Readonly<Record<string, DnsAnswer>> = {
    "mixed.example": { a: [OPEN, "127.0.0.1"] },
    "mixed2.example": { a: ["10.0.0.1", OPEN] },
    "six.example": { aaaa: ["::1"] },
    "mapped.example": { aaaa: ["::ffff:127.0.0.1"] },
    "link.example": { cname: "link2.example" },
    "link2.example": { cname: "link3.example" },
    "link3.example": { a: ["127.0.0.1"] },
    "local.example": { cname: "localhost" },
    "localhost": { a: ["127.0.0.1"] },
    "circle.example": { cname: "circle.example" },
    "zero.example": { a: ["0.0.0.0"] },
    "meta.example": { a: ["169.254.169.254"] },
    "all.example": { a: ["255.255.255.255"] },
    "refused.example": "refused",
  };
  outside.names = (name) => names[name];
  const urls = Object.keys(names).filter((name) => name !== "localhost").map((name) => `http://${name}:${port}/`);
  for (const [i, result] of (await fetchAll(...urls)).entries()) {
    ok(/^EGRESS_(ADDRESS_REFUSED|NAME_NOT_FOUND)$/.test(result.code ?? ""), `${urls[i]}: ${JSON.stringify(result)}`);
  }
  equal(outside.canary, 0);
  equal(outside.got.length, 0);
});

Deno.test("no redirect leads inwards, whatever its status and however it is written", async () => {
  await using outside = await Outside.start();
  const { port, got } = outside;
  const { fetchAll } = await fetcher(outside);
  outside.names = () => ({ a: [OPEN] });
  const locations = [
    `http://127.0.0.1:${port}/`,
    `//127.0.0.1:${port}/`,
    `http://localhost:${port}/`,
    `http://127.1:${port}/`,
    `http://0x7f000001:${port}/`,
    `http://[::ffff:127.0.0.1]:${port}/`,
    `http:\\\\127.0.0.1:${port}/`,
    `http://a@127.0.0.1:${port}/`,
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "data:text/plain,x",
  ];
  outside.answer = (request) => {
    const { searchParams } = new URL(request.url);
    const location = searchParams.get("to")!;
    return new Response(null, { status: Number(searchParams.get("status")), headers: { location } });
  };
  const urls = [301, 302, 303, 307, 308].flatMap((status) =>
    locations.map((to) => `http://a.example:${port}/?status=${status}&to=${encodeURIComponent(to)}`)
  );
  for (let at = 0; at < urls.length; at += 20) {
    for (const [i, result] of (await fetchAll(...urls.slice(at, at + 20))).entries()) {
      ok(result.status === 0 && result.code, `${urls[at + i]}: ${JSON.stringify(result)}`);
    }
  }
  equal(got.length, urls.length);
  equal(outside.canary, 0);
});

Deno.test("one who has as many requests under way as may be leaves others theirs", async () => {
  await using outside = await Outside.start();
  const { gateway, port } = outside;
  await using loud = await newOwner(gateway);
  await using quiet = await newOwner(gateway);
  const held = Promise.withResolvers<void>();
  outside.answer = async ({ url }) => {
    if (url.endsWith("/wait")) await held.promise;
    return new Response("done");
  };
  const ask = (key: string, path: string) =>
    gateway.call("POST", "/v1/proxy/anon", { key, body: { url: `http://a.example:${port}${path}` } });
  const crowd = Array.from({ length: 200 }, () => ask(loud.apiKey, "/wait"));
  const all = Promise.all(crowd.map(async (one) => (await one).status));
  await until("as many wait as may", () => outside.got.length === 64);
  for (let i = 0; i < 5; i++) (await ask(quiet.apiKey, "/")).expect(200);
  held.resolve();
  const statuses = Map.groupBy(await all, (status) => status);
  deepEqual([statuses.get(200)?.length, statuses.get(429)?.length], [64, 136]);
  (await ask(loud.apiKey, "/")).expect(200);
});

Deno.test("a response beyond the limit is told as such, and one without an end takes no more time than it may", async () => {
  await using outside = await Outside.start();
  const { gateway, port } = outside;
  const key = await gateway.defaultKey();
  const endless = () =>
    new Response(
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) }, { highWaterMark: 0 }),
    );
  outside.answer = endless;
  const url = `http://a.example:${port}/`;
  const large = (await gateway.call("POST", "/v1/proxy/anon", { key, body: { url } })).expect(422);
  equal(large.get("code"), "EGRESS_RESPONSE_TOO_LARGE");
  // What is packed is passed on as it is: nothing here grows.
  const bomb = await gzipped(new Uint8Array(50_000_000));
  outside.answer = () => new Response(bomb, { headers: { "content-encoding": "gzip" } });
  const packed = (await gateway.call("POST", "/v1/proxy/anon", { key, body: { url } })).expect(200);
  deepEqual(Uint8Array.fromBase64(packed.string("body")), bomb);
  equal(packed.get("headers.Content-Encoding"), "gzip");
});

Deno.test("answers that are held have so much memory and no more, and what they had is there again", async () => {
  await using outside = await Outside.start();
  const { gateway, port } = outside;
  await using loud = await newOwner(gateway);
  await using quiet = await newOwner(gateway);
  const held = Promise.withResolvers<void>();
  const part = new Uint8Array(5_000_000).fill(1);
  let halves = 0;
  // Half of each is held by the gateway before any can end.
  outside.answer = ({ url }) => {
    if (url.endsWith("/small")) return new Response("small");
    let parts = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          if (parts === 1) {
            halves++;
            await held.promise;
          }
          if (parts++ === 2) controller.close();
          else controller.enqueue(part);
        },
      }, { highWaterMark: 0 }),
    );
  };
  const ask = (key: string, path: string) =>
    gateway.call("POST", "/v1/proxy/anon", { key, body: { url: `http://a.example:${port}${path}` } });
  const count = 12;
  const crowd = Promise.all(Array.from({ length: count }, () => ask(loud.apiKey, "/large")));
  await until("all have sent a half", () => halves === count);
  held.resolve();
  (await ask(quiet.apiKey, "/small")).expect(200);
  const answers = Map.groupBy(await crowd, ({ status }) => status);
  const whole = answers.get(200) ?? [], refused = answers.get(422) ?? [];
  equal(whole.length + refused.length, count, `${[...answers.keys()]}`);
  // Seven of 13.3 MB fill the 96 MiB that one namespace may hold; the others make room for them.
  ok(whole.length >= 5 && refused.length >= 1, `${whole.length} came, ${refused.length} did not`);
  for (const answer of whole) equal(answer.string("body").length, Math.ceil(10_000_000 / 3) * 4);
  for (const answer of refused) equal(answer.get("code"), "EGRESS_RESPONSE_TOO_LARGE");
  for (let round = 0; round < 3; round++) {
    const some = await Promise.all(Array.from({ length: 5 }, () => ask(loud.apiKey, "/large")));
    deepEqual(some.map(({ status }) => status), [200, 200, 200, 200, 200]);
  }
});

Deno.test("a server that makes the proxy break off takes it away from nobody", async () => {
  await using outside = await Outside.start();
  const { gateway, socks, port } = outside;
  await using loud = await newOwner(gateway);
  await using quiet = await newOwner(gateway);
  const ask = (key: string) =>
    gateway.call("POST", "/v1/proxy/anon", { key, body: { url: `http://a.example:${port}/` } });
  const proxies = async () => (await gateway.call("GET", "/v1/status")).get("services.egress.details.proxies");
  await until("the proxy answers", async () => await proxies() === 1);
  // No reply, one that is none, and one with an address of no kind.
  for (const reply of ["close", [4, 0, 0, 1], [5, 0, 0, 9]] as const) {
    socks.manner = { reply };
    for (let i = 0; i < 5; i++) {
      match((await ask(loud.apiKey)).string("code"), /^EGRESS_(UNREACHABLE|PROXY_UNAVAILABLE)$/);
      equal(await proxies(), 1, `${reply}`);
    }
  }
  socks.manner = {};
  (await ask(quiet.apiKey)).expect(200);
});

const gzipped = async (bytes: Uint8Array<ArrayBuffer>) =>
  await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
