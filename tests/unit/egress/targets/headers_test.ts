import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { redirectHeaders, requestHeaders, responseHeaders } from "../../../../services/egress/targets/headers.ts";
import { methodOf } from "../../../../services/egress/targets/method.ts";
import { EgressFailure, type HeaderPairs } from "../../../../src/contracts/egress.ts";

const DEFAULTS: HeaderPairs = [["user-agent", "orama-gateway"], ["accept", "*/*"], ["accept-encoding", "identity"]];
const sent = (pairs: HeaderPairs, anonymous = false) =>
  requestHeaders(pairs, { anonymous }).filter((pair) =>
    !DEFAULTS.some(([name, value]) => pair[0] === name && pair[1] === value)
  );
const refused = (pairs: HeaderPairs, sentence: RegExp) =>
  throws(() => requestHeaders(pairs, { anonymous: false }), (error) => {
    ok(error instanceof EgressFailure);
    equal(error.code, "EGRESS_REQUEST_INVALID");
    ok(sentence.test(error.message), error.message);
    return true;
  });

Deno.test("a name or value that could begin another header or request is refused, and its value is not told", () => {
  for (const name of ["", "a b", "a:", "a\r\nb", "a\0", "é", "a(b)", " a", "a\t", "ａ", "a".repeat(257)]) {
    refused([[name, "1"]], /is not the name of a header/);
  }
  for (
    const value of [
      "a\r\nHost: b",
      "a\nb",
      "a\rb",
      "a\0",
      "\x7f",
      "\x01",
      "\u0100",
      "日",
      "\u010a",
      "\u010d",
      "\ud800",
      "\u2028",
    ]
  ) {
    refused([["x-a", value]], /^the header x-a must have no line breaks/);
    refused([["X-Forwarded-For", value]], /^the header X-Forwarded-For must/);
    refused([["Connection", value]], /^the header Connection must/);
  }
  throws(
    () => requestHeaders([["authorization", "secret\n"]], { anonymous: false }),
    (error) => error instanceof EgressFailure && !error.message.includes("secret"),
  );
});

Deno.test("too many headers are refused, and too large ones", () => {
  const many = Array.from({ length: 100 }, (_, i) => [`x-${i}`, "1"] as const);
  equal(sent(many).length, 100);
  refused([...many, ["x-100", "1"]], /no more than 100 headers/);
  equal(sent([["x-a", "a".repeat(32_768 - 7)]]).length, 1);
  refused([["x-a", "a".repeat(32_768 - 6)]], /32768 bytes/);
});

Deno.test("what concerns the connection or frames the request is left out, in any letter case", () => {
  for (
    const name of [
      ...["Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer"],
      ...["Trailers", "Transfer-Encoding", "Upgrade", "HTTP2-Settings", "Host", "Content-Length", "Expect"],
    ]
  ) {
    for (const written of [name, name.toLowerCase(), name.toUpperCase()]) {
      deepEqual(sent([[written, "chunked"], ["x-a", "1"]]), [["x-a", "1"]], written);
    }
  }
});

Deno.test("what a Connection field names is left out, however it names it, and the defaults come back", () => {
  deepEqual(
    requestHeaders([
      ["X-A", "1"],
      ["connection", "close, X-a"],
      ["Connection", "x-B ,, user-agent"],
      ["x-b", "2"],
      ["X-C", "3"],
      ["User-Agent", "mine"],
      ["Proxy-Connection", "x-d"],
      ["x-d", "4"],
    ], { anonymous: false }),
    [["X-C", "3"], ...DEFAULTS],
  );
});

Deno.test("what tells for whom a request is sent is left out, what is meant for the server stays", () => {
  for (
    const name of [
      ...[
        "Forwarded",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "X-Real-IP",
      ],
      ...["True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Orama-Namespace", "x-orama-a"],
    ]
  ) {
    deepEqual(sent([[name, "10.0.0.1"]]), [], name);
    deepEqual(sent([[name.toLowerCase(), "10.0.0.1"]], true), [], name);
  }
  const kept: HeaderPairs = [
    ["X-API-Key", "a"],
    ["Authorization", "Bearer a"],
    ["Cookie", "a=b"],
    ["Referer", "https://a.example/"],
    ["Content-Type", "text/plain"],
    ["CF-Access-Client-Id", "a"],
    ["X-Forward", "a"],
    ["Range", "bytes=0-1"],
  ];
  deepEqual(sent(kept), kept);
  deepEqual(sent(kept, true), kept);
});

Deno.test("an anonymous request leaves out as well what joins the requests of one caller", () => {
  const pairs: HeaderPairs = [
    ["traceparent", "00-a-b-01"],
    ["TraceState", "a=b"],
    ["baggage", "a=b"],
    ["X-B3-TraceId", "a"],
    ["X-Request-Id", "a"],
    ["From", "a@example.com"],
    ["x-a", "1"],
  ];
  deepEqual(sent(pairs), pairs);
  deepEqual(sent(pairs, true), [["x-a", "1"]]);
});

Deno.test("more names are left out where one is told to", () => {
  deepEqual(
    requestHeaders([["X-API-Key", "a"], ["Authorization", "b"]], { anonymous: false, drop: ["x-api-key"] }),
    [["Authorization", "b"], ...DEFAULTS],
  );
});

Deno.test("what a request does not say is said in the same way for all, what it says stays", () => {
  deepEqual(requestHeaders([], { anonymous: true }), DEFAULTS);
  deepEqual(requestHeaders([], { anonymous: false }), DEFAULTS);
  deepEqual(
    requestHeaders([["Accept", "text/html"], ["USER-AGENT", "a"], ["Accept-Encoding", "gzip"]], { anonymous: true }),
    [
      ["Accept", "text/html"],
      ["USER-AGENT", "a"],
      ["Accept-Encoding", "gzip"],
    ],
  );
  deepEqual(sent([["user-agent", ""]]), [["user-agent", ""]], "none at all is a choice");
});

Deno.test("headers keep their order, their letters and their repetitions, and lose the blanks around them", () => {
  const pairs: HeaderPairs = [["B", "2"], ["a", " 1\t"], ["B", "3"], ["__proto__", "4"], ["c", ""], ["d", "é \t ü"]];
  deepEqual(sent(pairs), [["B", "2"], ["a", "1"], ["B", "3"], ["__proto__", "4"], ["c", ""], ["d", "é \t ü"]]);
});

Deno.test("a response loses what concerns the connection, and what its Connection field names, and nothing else", () => {
  deepEqual(
    responseHeaders([
      ["Connection", "keep-alive, X-A"],
      ["Keep-Alive", "timeout=5"],
      ["x-a", "1"],
      ["Transfer-Encoding", "chunked"],
      ["Trailer", "x-b"],
      ["Upgrade", "h2c"],
      ["Proxy-Authenticate", "Basic"],
      ["Content-Length", "5"],
      ["Content-Encoding", "gzip"],
      ["Set-Cookie", "a=b"],
      ["Set-Cookie", "c=d"],
      ["Via", "1.1 a"],
    ]),
    [["Content-Length", "5"], ["Content-Encoding", "gzip"], ["Set-Cookie", "a=b"], ["Set-Cookie", "c=d"], [
      "Via",
      "1.1 a",
    ]],
  );
});

Deno.test("another server gets nothing that proves who asks", () => {
  const secrets = [
    ...["Authorization", "Cookie", "Cookie2", "Proxy-Authorization", "X-API-Key", "api_key", "ApiKey", "X-Auth-Token"],
    ...[
      "Private-Token",
      "X-CSRF-Token",
      "X-Amz-Security-Token",
      "X-Goog-Api-Key",
      "CF-Access-Client-Secret",
      "Signature-Input",
    ],
    ...["X-AccessKey", "X-AccessKeyId", "AccessToken", "X-UserToken", "X-Authentication", "X-AuthKey", "X-Tokens"],
    ...["SessionId", "X-Passwd", "X-Pwd", "X-Functions-Key", "Ocp-Apim-Subscription-Key", "DPoP", "X-Client-Key-Id"],
    ...["X-Goog-IAP-JWT-Assertion", "X-Hub-Signature-256", "X-XSRF", "X-SessionCookie", "X-PrivateKey", "X-SID"],
    // Not secret, but it tells where the request was before.
    ...["Referer", "Origin"],
  ];
  const others: HeaderPairs = [
    ["Accept", "*/*"],
    ["User-Agent", "a"],
    ["Content-Type", "text/plain"],
    ["X-Author", "a"],
    ["X-Monkey", "a"],
    ["X-Keyword", "a"],
    ["X-Original-Name", "a"],
    ["Accept-Language", "de"],
  ];
  const pairs: HeaderPairs = [...secrets.map((name) => [name, "secret"] as const), ...others];
  deepEqual(redirectHeaders(pairs, { crossOrigin: true, dropBody: false }), others);
  deepEqual(redirectHeaders(pairs, { crossOrigin: false, dropBody: false }), pairs);
});

Deno.test("without its body a request loses what describes it", () => {
  const pairs: HeaderPairs = [
    ["Content-Type", "text/plain"],
    ["content-encoding", "gzip"],
    ["Content-Language", "de"],
    ["Content-Digest", "sha-256=:a:"],
    ["Digest", "a"],
    ["Repr-Digest", "a"],
    ["Authorization", "a"],
    ["x-content", "a"],
  ];
  deepEqual(redirectHeaders(pairs, { crossOrigin: false, dropBody: true }), [["Authorization", "a"], [
    "x-content",
    "a",
  ]]);
  deepEqual(redirectHeaders(pairs, { crossOrigin: true, dropBody: true }), [["x-content", "a"]]);
});

Deno.test("a method is a word that a proxy may send, in upper case", () => {
  equal(methodOf("get"), "GET");
  equal(methodOf("pAtCh"), "PATCH");
  equal(methodOf("M-SEARCH"), "M-SEARCH");
  for (const method of ["", "GET ", "G ET", "GET\r\n", "GET /", "gét", "ſ", "a".repeat(33), "G\0", "(GET)"]) {
    throws(() => methodOf(method), { name: "EgressFailure", code: "EGRESS_REQUEST_INVALID" }, JSON.stringify(method));
  }
  for (const method of ["CONNECT", "connect", "TRACE", "Track"]) {
    throws(() => methodOf(method), { code: "EGRESS_REQUEST_INVALID", message: /cannot be sent: use GET/ }, method);
  }
});

Deno.test("headers that are made to be looked at for long are not", () => {
  const blanks = `a${" \t".repeat(16_000)}a`;
  const start = performance.now();
  deepEqual(sent([["x-a", ` ${blanks} `]]), [["x-a", blanks]]);
  deepEqual(responseHeaders([["connection", `${",".repeat(60_000)}${" ".repeat(60_000)}a`], ["a", "1"]]), []);
  redirectHeaders([[`${"-key".repeat(20_000)}s`, "1"]], { crossOrigin: true, dropBody: true });
  const took = performance.now() - start;
  ok(took < 500, `${took} ms`);
  deepEqual(
    sent([["x-a", "\xc3\xa0"], ["x-b", " \t"]]),
    [["x-a", "\xc3\xa0"], ["x-b", ""]],
    "half of a character stays",
  );
});
