import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Hop, HopResponse } from "../../../services/egress/parts.ts";
import { Permission } from "../../../services/egress/permission.ts";
import { Proxies } from "../../../services/egress/proxies.ts";
import { type EgressEvent, EgressService } from "../../../services/egress/service.ts";
import { AddressRules } from "../../../services/egress/targets/addresses.ts";
import { TargetRules } from "../../../services/egress/targets/hosts.ts";
import { EgressFailure, type EgressOptions, type EgressRequest } from "../../../src/contracts/egress.ts";
import type { EgressRules } from "../../../src/contracts/settings.ts";

const RULES: EgressRules = {
  allowHosts: undefined,
  denyHosts: [],
  ports: ["80", "443"],
  methods: undefined,
  maxInFlight: 4,
  maxRequestBytes: 1_000,
  maxResponseBytes: 1_000,
  maxStreamBytes: 10_000,
  maxDuration: 60_000,
  maxStreamDuration: 600_000,
  maxRedirects: 3,
};
const GOOD = "93.184.215.14", OTHER = "93.184.215.15";
const CONFIGURED = { way: "configured" } as const, ANONYMOUS = { way: "anonymous" } as const;

type Answer = { readonly status?: number; readonly location?: string; readonly body?: string };

interface World {
  readonly names?: Readonly<Record<string, readonly (readonly string[])[]>>;
  readonly answers?: Readonly<Record<string, Answer>>;
  readonly driver?: "off" | "direct" | "socks5";
  readonly rules?: Partial<EgressRules>;
}

/** A service with a world around it: what names lead to, look after look, and what servers answer. */
function world({ names = {}, answers = {}, driver = "direct", rules = {} }: World = {}) {
  const sent: { readonly by: string; readonly hop: Hop }[] = [];
  const looked: string[] = [];
  const events: EgressEvent[] = [];
  const looks = new Map<string, number>();
  const timers: (() => void)[] = [];
  const hops = (by: string) => ({
    confined: true,
    close: () => Promise.resolve(),
    probe: () => Promise.resolve(1),
    send(hop: Hop): Promise<HopResponse> {
      sent.push({ by, hop });
      const { scheme, host, path } = hop.target;
      const { status = 200, location, body = "" } = answers[`${scheme}://${host}${path}`] ?? {};
      return Promise.resolve({
        status,
        headers: location === undefined ? [] : [["Location", location]],
        body: new Response(body).body ?? new Blob([]).stream(),
      });
    },
  });
  const anonymous = hops("anonymous");
  const service = new EgressService({
    driver,
    direct: driver === "direct" ? hops("direct") : undefined,
    anonymous,
    proxies: new Proxies({
      proxies: [{ host: "127.0.0.1", port: 9050, name: "proxy" }],
      hops: anonymous,
      key: new Uint8Array(32),
      interval: 60_000,
      onChange: () => {},
    }),
    resolver: {
      addresses(name) {
        looked.push(name);
        const all = names[name] ?? [];
        const at = looks.get(name) ?? 0;
        looks.set(name, at + 1);
        const found = all[Math.min(at, all.length - 1)];
        return found ? Promise.resolve(found) : Promise.reject(new EgressFailure("EGRESS_NAME_NOT_FOUND", "none"));
      },
    },
    permission: new Permission({
      addresses: new AddressRules({ own: ["203.0.114.9"], denied: [], allowed: [], ipv6: false }),
      targets: new TargetRules({ allow_hosts: null, deny_hosts: ["bad.test"], ports: ["80", "443"], methods: null }),
    }),
    rulesOf: () => ({ ...RULES, ...rules }),
    bounds: { connect: 1, head: 1, idle: 1, headBytes: 1 },
    maxInFlight: 10,
    clock: {
      monotonic: () => 0,
      after(_ms, run) {
        timers.push(run);
        return () => void timers.splice(timers.indexOf(run), 1);
      },
    },
    observe: (event) => events.push(event),
  });
  const fetch = (url: string, options: EgressOptions = CONFIGURED, request: Partial<EgressRequest> = {}) =>
    service.fetch("shop", { method: "GET", headers: [], body: undefined, ...request, url }, options, {
      requestId: "r",
      signal: new AbortController().signal,
    });
  return { service, sent, looked, events, timers, fetch };
}

const codeOf = (code: string) => (error: unknown) => {
  ok(error instanceof EgressFailure, String(error));
  equal(error.code, code, error.message);
  return true;
};

Deno.test("a request goes to the addresses that were checked, with the name that was asked for", async () => {
  const { fetch, sent, events } = world({
    names: { "shop.test": [[GOOD, OTHER]] },
    answers: { "https://shop.test/a?b": { body: "hello" } },
  });
  const response = await fetch("https://shop.test/a?b#c");
  equal(await new Response(response.body).text(), "hello");
  const [{ by, hop } = {}] = sent as [{ by: string; hop: Hop }];
  equal(by, "direct");
  deepEqual(hop!.way, { kind: "direct", addresses: [GOOD, OTHER] });
  deepEqual(hop!.target, { scheme: "https", host: "shop.test", kind: "name", port: 443, path: "/a?b" });
  deepEqual(events.map(({ outcome }) => outcome), ["response"]);
});

Deno.test("a name with one address that nobody may reach is refused whole, and nothing is sent", async () => {
  for (
    const bad of ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "203.0.114.9", "2606:2800::1"]
  ) {
    const { fetch, sent } = world({ names: { "mixed.test": [[GOOD, bad]] } });
    await rejects(fetch("http://mixed.test/"), codeOf("EGRESS_ADDRESS_REFUSED"), bad);
    deepEqual(sent, []);
  }
});

Deno.test("what is refused is not told with the address that it has", async () => {
  const { fetch } = world({ names: { "inner.test": [["10.11.12.13"]] } });
  await rejects(fetch("http://inner.test/"), ({ message }: Error) => !message.includes("10.11.12.13"));
});

Deno.test("a name that leads inwards at the second look leads nowhere: each step is looked up and checked anew", async () => {
  const { fetch, sent, looked } = world({
    names: { "turn.test": [[GOOD], ["127.0.0.1"]] },
    answers: { "http://turn.test/": { status: 302, location: "/again" } },
  });
  await rejects(fetch("http://turn.test/"), codeOf("EGRESS_ADDRESS_REFUSED"));
  deepEqual(looked, ["turn.test", "turn.test"]);
  equal(sent.length, 1);
});

Deno.test("a redirect to an inner address is refused, by whichever status and spelling", async () => {
  const inner = [
    "http://127.0.0.1/",
    "//127.1/",
    "http://2130706433/",
    "http://[::1]/",
    "http://[::ffff:7f00:1]/",
    "http://localhost/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0x7f.1/",
    "http://127.0.0.1./",
    "http://metadata.google.internal/",
  ];
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of inner) {
      const { fetch, sent } = world({
        names: { "a.test": [[GOOD]] },
        answers: { "http://a.test/": { status, location } },
      });
      await rejects(fetch("http://a.test/"), codeOf("EGRESS_ADDRESS_REFUSED"), `${status} ${location}`);
      equal(sent.length, 1);
    }
  }
});

Deno.test("a redirect elsewhere takes no secrets along, and no body where its method is gone", async () => {
  const { fetch, sent } = world({
    names: { "a.test": [[GOOD]], "b.test": [[OTHER]] },
    answers: { "http://a.test/": { status: 302, location: "http://b.test/" }, "http://b.test/": { body: "done" } },
  });
  const response = await fetch("http://a.test/", CONFIGURED, {
    method: "POST",
    headers: [["Authorization", "Bearer x"], ["Cookie", "a=b"], ["X-API-Key", "k"], ["Content-Type", "text/plain"], [
      "X-Mine",
      "1",
    ]],
    body: new Uint8Array(3),
  });
  await response.body.cancel();
  const [, second] = sent;
  equal(second!.hop.method, "GET");
  equal(second!.hop.body, undefined);
  const names = second!.hop.headers.map(([name]) => name.toLowerCase());
  for (const secret of ["authorization", "cookie", "x-api-key", "content-type"]) ok(!names.includes(secret), secret);
  ok(names.includes("x-mine"));
});

Deno.test("so many redirects are followed and no more", async () => {
  const { fetch, sent } = world({
    names: { "a.test": [[GOOD]] },
    answers: { "http://a.test/": { status: 301, location: "/" } },
  });
  await rejects(fetch("http://a.test/"), codeOf("EGRESS_TOO_MANY_REDIRECTS"));
  equal(sent.length, RULES.maxRedirects + 1);
});

Deno.test("where no redirect is to be followed the response that has it is the answer", async () => {
  const { fetch, sent } = world({
    names: { "a.test": [[GOOD]] },
    answers: { "http://a.test/": { status: 302, location: "/next" } },
  });
  const response = await fetch("http://a.test/", { ...CONFIGURED, maxRedirects: 0 });
  equal(response.status, 302);
  await response.body.cancel();
  equal(sent.length, 1);
});

Deno.test("a redirect of a stream that is gone is answered as it is", async () => {
  const { fetch } = world({
    names: { "a.test": [[GOOD]] },
    answers: { "http://a.test/": { status: 307, location: "/next" } },
  });
  const response = await fetch("http://a.test/", { ...CONFIGURED, streamed: true }, {
    method: "POST",
    body: new Blob(["x"]).stream(),
  });
  equal(response.status, 307);
  await response.body.cancel();
});

Deno.test("what is anonymous is looked up by nobody here, and goes to the proxy alone", async () => {
  const { fetch, sent, looked } = world({ names: {} });
  await (await fetch("https://secret.test/x", ANONYMOUS)).body.cancel();
  await (await fetch("http://hidden.onion/", ANONYMOUS)).body.cancel();
  deepEqual(looked, []);
  deepEqual(sent.map(({ by, hop }) => [by, hop.way.kind]), [["anonymous", "socks"], ["anonymous", "socks"]]);
  const ways = sent.map(({ hop }) => hop.way as { username: string });
  equal(ways[0]!.username, ways[1]!.username);
});

Deno.test("addresses and local names are never asked of a proxy", async () => {
  const { fetch, sent } = world();
  const urls = [
    "http://127.0.0.1/",
    "http://93.184.215.14/",
    "http://[2606:2800:21f::1]/",
    "http://localhost:80/",
    "http://db/",
    "http://printer.local/",
    "http://2130706433/",
    "http://localhost./",
  ];
  for (const url of urls) await rejects(fetch(url, ANONYMOUS), codeOf("EGRESS_ADDRESS_REFUSED"), url);
  deepEqual(sent, []);
});

Deno.test("a gateway whose requests all leave by proxies sends none directly, and one that sends none says so", async () => {
  const through = world({ driver: "socks5" });
  await (await through.fetch("http://a.test/")).body.cancel();
  deepEqual(through.sent.map(({ by }) => by), ["anonymous"]);
  const off = world({ driver: "off", names: { "a.test": [[GOOD]] } });
  await rejects(off.fetch("http://a.test/"), codeOf("EGRESS_NOT_AVAILABLE"));
  await (await off.fetch("http://a.test/", ANONYMOUS)).body.cancel();
});

Deno.test("ports, hosts and methods that the operator or the owner does not allow are refused before a name is looked up", async () => {
  const cases: readonly (readonly [url: string, rules: Partial<EgressRules>, request?: Partial<EgressRequest>])[] = [
    ...[22, 25, 5001, 6001].map((port) => [`http://a.test:${port}/`, {}] as const),
    ["http://bad.test/", {}],
    ["http://a.test/", { ports: ["443"] }],
    ["http://a.test/", { allowHosts: ["b.test"] }],
    ["http://a.test/", { denyHosts: ["a.test"] }],
    ["http://a.test/", { methods: ["POST"] }],
    ["http://a.test/", { methods: ["GET"] }, { method: "delete" }],
  ];
  for (const [url, rules, request] of cases) {
    const { fetch, sent, looked } = world({ names: { "a.test": [[GOOD]], "bad.test": [[GOOD]] }, rules });
    await rejects(fetch(url, CONFIGURED, request), codeOf("EGRESS_TARGET_REFUSED"), url);
    await rejects(fetch(url, ANONYMOUS, request), codeOf("EGRESS_TARGET_REFUSED"), url);
    deepEqual([sent, looked], [[], []]);
  }
});

Deno.test("an owner's ranges hold for what a name leads to", async () => {
  const { fetch, sent } = world({ names: { "a.test": [[GOOD]] }, rules: { denyHosts: ["93.184.215.0/24"] } });
  await rejects(fetch("http://a.test/"), codeOf("EGRESS_TARGET_REFUSED"));
  deepEqual(sent, []);
});

Deno.test("while nobody can say what an owner allowed, nothing is sent", async () => {
  const { fetch, sent } = world({ names: { "a.test": [[GOOD]] }, rules: { allowHosts: [], assumed: true } });
  await rejects(fetch("http://a.test/"), codeOf("EGRESS_UNAVAILABLE"));
  deepEqual(sent, []);
});

Deno.test("a namespace has as many requests under way as it may, counted until their bodies are read", async () => {
  const { fetch, service } = world({
    names: { "a.test": [[GOOD]] },
    rules: { maxInFlight: 1 },
    answers: { "http://a.test/": { body: "x" } },
  });
  const first = await fetch("http://a.test/");
  await rejects(fetch("http://a.test/"), codeOf("EGRESS_BUSY"));
  equal(service.figures().inFlight, 1);
  await new Response(first.body).text();
  equal(service.figures().inFlight, 0);
  await (await fetch("http://a.test/")).body.cancel();
});

Deno.test("the end of the time ends a request, and its place and timer are given back", async () => {
  const { fetch, service, timers } = world({
    names: { "a.test": [[GOOD]] },
    answers: { "http://a.test/": { body: "x" } },
  });
  const response = await fetch("http://a.test/");
  timers[0]!();
  await rejects(new Response(response.body).text(), codeOf("EGRESS_TIMEOUT"));
  equal(service.figures().inFlight, 0);
  await rejects(fetch("http://nothing.test/"), codeOf("EGRESS_NAME_NOT_FOUND"));
  equal(service.figures().inFlight, 0);
  equal(timers.length, 0);
});

Deno.test("what is no URL that can be sent is told so, and nothing is sent", async () => {
  const { fetch, sent } = world();
  for (
    const url of [
      "file:///etc/passwd",
      "ftp://a.test/",
      "data:,x",
      "http://u:p@a.test/",
      "http://",
      "gopher://a.test/",
      "javascript:1",
      "",
    ]
  ) {
    await rejects(fetch(url), codeOf("EGRESS_REQUEST_INVALID"), url);
    await rejects(fetch(url, ANONYMOUS), codeOf("EGRESS_REQUEST_INVALID"), url);
  }
  deepEqual(sent, []);
});

Deno.test("the length that a stream is said to have goes along with it, and nobody else's does", async () => {
  const { fetch, sent } = world({ names: { "a.test": [[GOOD]] } });
  const body = () => new Blob(["12345"]).stream();
  await (await fetch("http://a.test/", { ...CONFIGURED, streamed: true }, { method: "PUT", body: body(), length: 5 }))
    .body
    .cancel();
  await (await fetch("http://a.test/", { ...ANONYMOUS, streamed: true }, { method: "PUT", body: body() })).body
    .cancel();
  await (await fetch("http://a.test/", CONFIGURED, { method: "PUT", body: new Uint8Array(3), length: 5 })).body
    .cancel();
  deepEqual(sent.map(({ hop: { length } }) => length), [5, undefined, undefined]);
  await rejects(
    fetch("http://a.test/", { ...CONFIGURED, streamed: true }, { method: "PUT", body: body(), length: 10_001 }),
    codeOf("EGRESS_REQUEST_INVALID"),
  );
  equal(sent.length, 3);
});

Deno.test("a stream that was redirected without its body has no length", async () => {
  const { fetch, sent } = world({
    names: { "a.test": [[GOOD]] },
    answers: { "http://a.test/": { status: 303, location: "/next" } },
  });
  const body = new Blob(["12345"]).stream();
  await (await fetch("http://a.test/", { ...CONFIGURED, streamed: true }, { method: "POST", body, length: 5 })).body
    .cancel();
  deepEqual(sent.map(({ hop: { method, body, length } }) => [method, body !== undefined, length]), [
    ["POST", true, 5],
    ["GET", false, undefined],
  ]);
});
