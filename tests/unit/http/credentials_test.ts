import { deepEqual, equal } from "node:assert/strict";
import { credentialsOf } from "../../../src/http/credentials.ts";

const JWT = "aaa.bbb.ccc";
const KEY = "ak_0123456789abcdefghijklmn:shop";
const NONE = { token: undefined, key: undefined };

type Sent = Readonly<{ authorization?: string; "x-api-key"?: string; query?: string }>;

const found = ({ query = "", ...headers }: Sent) =>
  credentialsOf(new Headers(headers), `http://gateway.example/v1/x${query && `?${query}`}`);

/** The order of the wire format, row by row. */
const table: [what: string, sent: Sent, expected: { token?: string; key?: string }][] = [
  ["nothing", {}, {}],
  ["a token", { authorization: `Bearer ${JWT}` }, { token: JWT }],
  ["a token, the scheme in any case", { authorization: `bEARER ${JWT}` }, { token: JWT }],
  ["a token after several blanks", { authorization: `Bearer   ${JWT}` }, { token: JWT }],
  ["a token beside a key: both, because a bad token gives way", { authorization: `Bearer ${JWT}`, "x-api-key": KEY }, {
    token: JWT,
    key: KEY,
  }],
  ["X-API-Key", { "x-api-key": KEY }, { key: KEY }],
  ["X-API-Key with blanks around it", { "x-api-key": `  ${KEY}\t` }, { key: KEY }],
  ["X-API-Key before any Authorization that is no token", { authorization: "Bearer ak_other", "x-api-key": KEY }, {
    key: KEY,
  }],
  ["X-API-Key before an empty Bearer", { authorization: "Bearer", "x-api-key": KEY }, { key: KEY }],
  ["a blank X-API-Key is none", { authorization: `Bearer ${KEY}`, "x-api-key": "  " }, { key: KEY }],
  ["a token in X-API-Key is taken for a key", { "x-api-key": JWT }, { key: JWT }],
  ["Bearer with a key", { authorization: `Bearer ${KEY}` }, { key: KEY }],
  ["Bearer with one dot", { authorization: "Bearer a.b" }, { key: "a.b" }],
  ["Bearer with three dots", { authorization: "Bearer a.b.c.d" }, { key: "a.b.c.d" }],
  ["an empty Bearer ends the search", { authorization: "Bearer", query: `api_key=${KEY}` }, {}],
  ["an empty bearer in any case ends it too", { authorization: "bearer", query: `token=${JWT}` }, {}],
  ["ApiKey", { authorization: `ApiKey ${KEY}` }, { key: KEY }],
  ["ApiKey in any case", { authorization: `apikey ${KEY}` }, { key: KEY }],
  ["ApiKey with what looks like a token", { authorization: `ApiKey ${JWT}` }, { key: JWT }],
  ["a bare key", { authorization: KEY }, { key: KEY }],
  ["a bare token is neither", { authorization: JWT }, {}],
  ["another scheme is neither", { authorization: "Basic dXNlcjpwYXNz" }, {}],
  [
    "another scheme leaves the query to be looked at",
    { authorization: "Basic dXNlcjpwYXNz", query: `api_key=${KEY}` },
    { key: KEY },
  ],
  ["a bare token leaves the query to be looked at", { authorization: JWT, query: `api_key=${KEY}` }, { key: KEY }],
  ["api_key in the query", { query: `api_key=${KEY}` }, { key: KEY }],
  ["api_key, percent-encoded", { query: `a=1&api_key=${encodeURIComponent(KEY)}&b=2` }, { key: KEY }],
  ["token in the query", { query: `token=${KEY}` }, { key: KEY }],
  ["a JWT as token in the query is a token", { query: `token=${JWT}` }, { token: JWT }],
  ["a JWT as jwt in the query", { query: `jwt=${JWT}` }, { token: JWT }],
  ["api_key before token", { query: `token=${JWT}&api_key=${KEY}` }, { key: KEY }],
  ["a blank api_key is none", { query: `api_key=&token=${JWT}` }, { token: JWT }],
  ["a blank token is none", { query: `token=&jwt=${JWT}` }, { token: JWT }],
  ["a JWT as api_key is taken for a key", { query: `api_key=${JWT}` }, { key: JWT }],
  ["a header before the query", { "x-api-key": KEY, query: `api_key=other&token=${JWT}` }, { key: KEY }],
  ["a token in the header and a key in the query: both", { authorization: `Bearer ${JWT}`, query: `api_key=${KEY}` }, {
    token: JWT,
    key: KEY,
  }],
  ["names of the query are compared exactly", { query: `API_KEY=${KEY}&Token=${JWT}` }, {}],
  ["the first of several counts", { query: `api_key=${KEY}&api_key=other` }, { key: KEY }],
];

for (const [what, sent, expected] of table) {
  Deno.test(`credentials: ${what}`, () => deepEqual(found(sent), { ...NONE, ...expected }));
}

Deno.test("only the query of a URL is looked at, whatever stands before it", () => {
  const urls = [
    [`http://api_key=${KEY}/v1/x`, undefined],
    [`http://host/v1/api_key=${KEY}`, undefined],
    [`http://a b<>/x?api_key=${KEY}`, KEY],
    [`http://[bad/x?api_key=${KEY}?`, `${KEY}?`],
    ["http://host/x?", undefined],
    ["http://host/x?%", undefined],
    ["http://host/x?api_key=%", "%"],
    ["http://host/x?api_key=%00", "\0"],
  ] as const;
  for (const [url, key] of urls) equal(credentialsOf(new Headers(), url).key, key, url);
});

Deno.test("absurd headers are looked through in no time", () => {
  const start = performance.now();
  for (
    const text of [
      ".".repeat(60_000),
      "Bearer " + ".".repeat(60_000),
      " ".repeat(60_000) + "x",
      "Bearer " + "a.".repeat(30_000),
    ]
  ) {
    credentialsOf({ get: (name: string) => name === "authorization" ? text : null } as Headers, "http://x/");
  }
  equal(performance.now() - start < 2_000, true);
});
