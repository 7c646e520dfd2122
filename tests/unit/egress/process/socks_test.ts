import { deepEqual, equal } from "node:assert/strict";
import type { Hop, HopFailureCode } from "../../../../services/egress/parts.ts";
import { until } from "../../../engines/support/wait.ts";
import { answering, HostileHttp } from "../../../support/hostile_http.ts";
import { type SocksManner, SocksServer } from "../../../support/socks_server.ts";
import { CERTIFICATES } from "./support/certificates/index.ts";
import { HERE, type HopChanges, hopTo, NEVER, Sender } from "./support/sender.ts";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const CREDENTIALS = { username: "tenant", password: "s\xe9cret" };

/** The anonymous process, which reaches this proxy and nothing else. */
const startFor = (socks: SocksServer) =>
  Sender.start({
    kind: "anonymous",
    ca: [CERTIFICATES.authority],
    net: { allow: [`${socks.address.host}:${socks.address.port}`], deny: [] },
  });

const through = (socks: SocksServer, port: number, changes: HopChanges = {}): Hop =>
  hopTo(port, { way: { kind: "socks", proxy: socks.address, ...CREDENTIALS }, ...changes });

Deno.test("a proxy is told the name, never an address that was found for it, and whose stream it is", async () => {
  await using server = new HostileHttp(answering(ANSWER));
  await using secure = new HostileHttp(answering(ANSWER), {
    tls: { cert: CERTIFICATES.server, key: CERTIFICATES.key },
  });
  await using socks = new SocksServer();
  await using sender = await startFor(socks);
  for (const [target, host] of [[server, "egress.test"], [server, "192.0.2.7"], [secure, "egress.test"]] as const) {
    socks.target = { hostname: HERE, port: target.port };
    const scheme = target === secure ? "https" : "http";
    equal((await sender.text(through(socks, target.port, { host, scheme }))).text, "hi");
    const { received: _, ended: __, ...told } = socks.sessions.pop()!;
    deepEqual(told, { methods: [2, 0], ...CREDENTIALS, host, port: target.port, addressKind: 3 });
  }
  socks.target = { hostname: HERE, port: secure.port };
  const wrong = through(socks, secure.port, { host: "other.test", scheme: "https" });
  await sender.fails(wrong, "EGRESS_TLS_FAILED", /another name/, "TLS ends at the server, not at the proxy");
});

Deno.test("a proxy may answer as slowly as it likes, without a password, and with any kind of address", async () => {
  await using server = new HostileHttp(answering(ANSWER));
  await using socks = new SocksServer();
  await using sender = await startFor(socks);
  socks.target = { hostname: HERE, port: server.port };
  const manners: readonly SocksManner[] = [{ slowly: true }, { open: true }, { bound: "ipv6" }, {
    bound: "name",
    slowly: true,
  }];
  for (const manner of manners) {
    socks.manner = manner;
    equal((await sender.text(through(socks, server.port))).text, "hi", JSON.stringify(manner));
  }
});

Deno.test("what follows a proxy's reply in the same packet is the server's", async () => {
  await using socks = new SocksServer();
  await using sender = await startFor(socks);
  socks.manner = { ahead: ANSWER };
  equal((await sender.text(through(socks, 80))).text, "hi");
  // Before TLS nobody has anything to say.
  const secure = through(socks, 443, { scheme: "https" });
  await sender.fails(secure, "EGRESS_TLS_FAILED", /does not speak TLS/, "words ahead of TLS");
});

Deno.test("a proxy that lies, hangs or answers partly is at fault itself until it has the request", async () => {
  await using socks = new SocksServer();
  await using sender = await startFor(socks);
  const proxy = "EGRESS_PROXY_UNAVAILABLE", unreachable = "EGRESS_UNREACHABLE";
  const cases: readonly [SocksManner, HopFailureCode, RegExp, HopChanges?][] = [
    [{ greeting: [4, 0] }, proxy, /no SOCKS5/],
    [{ greeting: [...new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")] }, proxy, /no SOCKS5/],
    [{ greeting: [5, 0xff] }, proxy, /neither a password nor none/],
    [{ greeting: [5, 1] }, proxy, /not offered/],
    [{ greeting: [5] }, proxy, /does not answer/, { bounds: { connect: 150 } }],
    [{ greeting: "hang" }, proxy, /does not answer/, { bounds: { connect: 150 } }],
    [{ greeting: "close" }, proxy, /ended the handshake/],
    [{ login: [1, 1] }, proxy, /password/],
    [{ login: [5, 0] }, proxy, /no SOCKS5/],
    [{ login: "hang" }, proxy, /does not answer/, { bounds: { connect: 150 } }],
    [{ login: "close" }, proxy, /ended the handshake/],
    [{ reply: [4, 0, 0, 1] }, proxy, /no SOCKS5/],
    [{ reply: [5, 0, 0, 9, 0, 0, 0] }, proxy, /no kind of address/],
    [{ reply: "close" }, unreachable, /ended the connection/],
    [{ reply: "close", open: true }, unreachable, /ended the connection/],
    [{ reply: [5, 0, 0, 1, 0, 0] }, "EGRESS_TIMEOUT", /in time/, { bounds: { connect: 150 } }],
    [{ reply: [5, 0, 0, 3, 200, 1, 2] }, "EGRESS_TIMEOUT", /in time/, { bounds: { connect: 150 } }],
    [{ reply: "hang" }, "EGRESS_TIMEOUT", /in time/, { bounds: { connect: 150 } }],
    [{ reply: [5, 1, 0, 1, 0, 0, 0, 0, 0, 0] }, unreachable, /could not reach/],
    [{ reply: [5, 2, 0, 1, 0, 0, 0, 0, 0, 0] }, unreachable, /does not allow/],
    [{ reply: [5, 4, 0, 1] }, unreachable, /cannot find/],
    [{ reply: [5, 5, 0, 1] }, unreachable, /refuses/],
    [{ reply: [5, 8, 0, 1] }, unreachable, /kind of address/],
    [{ reply: [5, 0xf4, 0, 1] }, unreachable, /could not reach/],
    [
      { reply: [5, 0, 0, 3, 0, 0, 0, ...new TextEncoder().encode("no HTTP at all")] },
      "EGRESS_RESPONSE_INVALID",
      /no HTTP/,
    ],
  ];
  for (const [manner, code, sentence, changes] of cases) {
    socks.manner = manner;
    await sender.fails(through(socks, 80, changes), code, sentence, JSON.stringify(manner).slice(0, 200));
  }
  await until("every connection to the proxy is closed", () => socks.sessions.every(({ ended }) => ended));
  equal(socks.sessions.length, cases.length);
  const tooLong = through(socks, 80, { host: "a".repeat(256) });
  await sender.fails(tooLong, unreachable, /name/, "a name that is too long for the protocol");
  equal(socks.sessions.length, cases.length, "nobody was bothered with it");
});

Deno.test("a proxy may be known by its name", async () => {
  await using server = new HostileHttp(answering(ANSWER));
  await using socks = new SocksServer("127.0.0.1");
  socks.target = { hostname: HERE, port: server.port };
  const proxy = { host: "localhost", port: socks.address.port };
  await using sender = await Sender.start({
    kind: "anonymous",
    net: { allow: [`localhost:${proxy.port}`], deny: [] },
  });
  const hop = hopTo(server.port, { way: { kind: "socks", proxy, ...CREDENTIALS } });
  equal((await sender.text(hop)).text, "hi");
});

Deno.test("a proxy that is not there is told apart from a server that is not there", async () => {
  const socks = new SocksServer();
  await using sender = await startFor(socks);
  await socks[Symbol.asyncDispose]();
  await sender.fails(through(socks, 80), "EGRESS_PROXY_UNAVAILABLE", /cannot be reached/, "no proxy");
});

Deno.test("a look at a proxy shakes hands, measures, and goes", async () => {
  await using socks = new SocksServer();
  await using sender = await startFor(socks);
  const latency = await sender.process.probe(socks.address, CREDENTIALS, NEVER);
  equal(latency > 0 && latency < 20_000, true, String(latency));
  await until("it has gone", () => socks.session.ended);
  const { received: _, ended: __, ...told } = socks.session;
  deepEqual(told, { methods: [2, 0], ...CREDENTIALS });
  socks.manner = { login: [1, 1] };
  let code: unknown;
  await sender.process.probe(socks.address, CREDENTIALS, NEVER).catch((error) => code = error.code);
  equal(code, "EGRESS_PROXY_UNAVAILABLE");
  socks.manner = { greeting: "hang" };
  const leaving = new AbortController();
  const probing = sender.process.probe(socks.address, CREDENTIALS, leaving.signal).catch((error) => code = error);
  await until("the proxy is asked", () => socks.sessions.length === 3);
  leaving.abort("enough");
  equal(await probing, "enough");
  await until("and left", () => socks.sessions[2]!.ended);
});
