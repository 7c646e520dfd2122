import { equal, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { RawConnection, rawRequest } from "../support/raw_http.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;

/** Sends a request whose target and host are as given, byte for byte. */
const ask = (target: string, { host = "localhost", method = "GET", headers = "" } = {}) =>
  rawRequest(
    suite.gateway.url,
    Uint8Array.from(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${headers}Connection: close\r\n\r\n`, (char) =>
      char.charCodeAt(0)),
  );

test("a path that is not in normal form leads to the one that is", async () => {
  const leads: readonly [string, string][] = [
    ["//health", "/health"],
    ["/v1//auth/whoami", "/v1/auth/whoami"],
    ["/v1/./auth/whoami", "/v1/auth/whoami"],
    ["/v1/auth/../auth/whoami", "/v1/auth/whoami"],
    ["/../../health", "/health"],
    ["/%2e%2e/health", "/health"],
    ["/v1/auth/%2E%2e/version", "/v1/version"],
    ["///", "/"],
    ["//health?a=1&b=//c/../d", "/health?a=1&b=//c/../d"],
  ];
  for (const [target, location] of leads) {
    const answer = await ask(target);
    equal(answer.status, 301, target);
    equal(answer.headers.get("location"), location, target);
    equal(answer.body, "");
  }
});

test("a redirection keeps method and body of what is no read", async () => {
  const answer = await ask("//v1/auth/challenge", { method: "POST", headers: "Content-Length: 0\r\n" });
  equal(answer.status, 308);
  equal(answer.headers.get("location"), "/v1/auth/challenge");
});

test("no path leads out of the gateway", async () => {
  const targets = [
    "//evil.example",
    "//evil.example/",
    "///evil.example/%2e%2e",
    "/a/..//evil.example/",
    "/./\\evil.example/",
    "//\\evil.example/",
    "//\\\\evil.example/",
    "/\\/evil.example/..",
    "//%5cevil.example",
    "//%2fevil.example",
    "//@evil.example/",
    "//evil.example:80/../..//evil.example",
    "//%0d%0aLocation:%20https://evil.example/",
    "//%0aevil",
    "//%09/evil.example",
    "//%e2%82%ac.example/",
    "//%00/",
    "//javascript:alert(1)",
  ];
  for (const target of targets) {
    const { status, headers, body } = await ask(target);
    ok([301, 401].includes(status), `${target}: ${status} ${body}`);
    if (status !== 301) continue;
    const location = headers.get("location")!;
    const leads = new URL(location, "https://gateway.example/some/page");
    equal(leads.origin, "https://gateway.example", `${target} leads to ${location}`);
  }
});

test("a target with a scheme and a host is read for its path alone", async () => {
  await using owner = await newOwner(suite.gateway);
  const key = `X-API-Key: ${owner.apiKey}\r\n`;
  for (
    const origin of [
      "http://evil.example",
      "https://evil.example:1",
      "http://user:password@evil.example",
      "http://127.0.0.1:1",
    ]
  ) {
    equal((await ask(`${origin}/v1/auth/whoami`, { headers: key })).status, 200, origin);
    equal((await ask(`${origin}/v1/auth/whoami`)).status, 401, origin);
    const redirected = await ask(`${origin}//health`);
    equal(redirected.headers.get("location"), "/health");
  }
});

test("a host decides nothing, whatever it is", async () => {
  const address = ethereumWallet().address;
  const body = JSON.stringify({ wallet: address });
  const headers = `Content-Length: ${body.length}\r\n`;
  const request = (host: string) =>
    `POST /v1/auth/challenge HTTP/1.1\r\n${host}${headers}Connection: close\r\n\r\n${body}`;
  for (
    const host of [
      "",
      "Host: \r\n",
      "Host: evil.example\r\n",
      "Host: evil.example:99\r\n",
      "Host: [::1]:80\r\n",
      "Host: [::\r\n",
      "Host: %%\r\n",
    ]
  ) {
    const answer = await rawRequest(suite.gateway.url, request(host));
    equal(answer.status, 200, `${host}: ${answer.body}`);
    equal(answer.body.includes("evil"), false);
  }
});

test("a host that would make another path of the target is refused", async () => {
  for (
    const host of [
      "x/health?",
      "x/health#",
      "x/v1/version?a=",
      "x?api_key=",
      "x#",
      "x\\health?",
      "a b",
      "a@b",
      "\xff",
      "x/../..",
    ]
  ) {
    for (const target of ["/metrics", "/v1/auth/whoami", "//health", "/nothing"]) {
      const answer = await ask(target, { host });
      equal(answer.status, 400, `${host} ${target}: ${answer.status} ${answer.headers.get("location")}`);
      equal(JSON.parse(answer.body).code, "INVALID_REQUEST");
    }
  }
});

test("a credential is not taken from the host", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const host of [`x?api_key=${owner.apiKey}&`, `x/v1/auth/whoami?api_key=${owner.apiKey}#`]) {
    equal((await ask("/v1/auth/whoami", { host })).status, 400);
  }
});

test("what is no HTTP request is 400, and the gateway lives on", async () => {
  const broken = [
    "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET health HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /health HTTP/9.9\r\nHost: a\r\n\r\n",
    "GET /a\u0001b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: a\r\nX-Bad : a\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
    `GET /${"a".repeat(70_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    "\u0000\u0001\u0002\r\n\r\n",
    "POST /v1/auth/challenge HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/auth/challenge HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "POST /v1/auth/challenge HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
  ];
  for (const request of broken) {
    const bytes = Uint8Array.from(request, (char) => char.charCodeAt(0));
    equal((await rawRequest(suite.gateway.url, bytes)).status, 400, JSON.stringify(request.slice(0, 80)));
  }
  (await suite.gateway.call("GET", "/health")).expect(200);
});

test("methods of other protocols are methods like any other", async () => {
  for (const method of ["TRACE", "CONNECT", "PROPFIND", "M-SEARCH", "get"]) {
    const answer = await ask(method === "CONNECT" ? "evil.example:80" : "/v1/auth/whoami", { method });
    equal(answer.status, 401, `${method}: ${answer.body}`);
  }
});

test("paths with odd bytes are paths that are not there", async () => {
  for (
    const target of [
      "/v1/%ff",
      "/v1/%zz",
      "/%",
      "/%00",
      "/v1/auth/whoami%2f",
      "/v1/auth/whoami;a=b",
      "/V1/AUTH/WHOAMI",
      "/v1/auth/whoami%20",
    ]
  ) {
    equal((await ask(target)).status, 401, target);
  }
});

test("a head without end is cut off", async () => {
  for (
    const [start, more] of [["GET /health HTTP/1.1\r\nHost: x\r\n", `X: ${"a".repeat(60_000)}\r\n`], [
      "GET /",
      "a".repeat(60_000),
    ]] as const
  ) {
    const connection = await RawConnection.open(suite.gateway.url);
    await connection.send(start);
    let sent = 0;
    while (sent < 32_000_000 && await connection.send(more)) sent += more.length;
    await connection.closed();
    await connection.close();
    ok(sent < 32_000_000, `the gateway took ${sent} bytes`);
  }
});
