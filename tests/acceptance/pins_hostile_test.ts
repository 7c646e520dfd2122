import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import type { Answer, CallOptions } from "../support/client.ts";
import { rawRequest } from "../support/raw_http.ts";
import { StorageCaller } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({ storageDriver: "local", config: { limits: { storage: { objects: 5 } } } });
const { test } = suite;

function callersOf({ apiKey }: Owner) {
  const storage = new StorageCaller(suite.gateway, { key: apiKey });
  const pins = (method: string, path = "", options: CallOptions = {}): Promise<Answer> =>
    suite.gateway.call(method, `/v1/pins${path}`, { token: apiKey, ...options });
  const add = (body: Readonly<Record<string, unknown>>) => pins("POST", "", { body });
  return { storage, pins, add };
}

/** A refusal in the form of the specification, which names the field. */
function isRefused(answer: Answer, field: string, what: string): void {
  equal(answer.status, 400, `${what}: ${answer.text.slice(0, 300)}`);
  equal(answer.get("error.reason"), "INVALID_REQUEST", what);
  ok(typeof answer.get("error.details") === "string", what);
  const named = answer.list("details").map((detail) => String(detail["field"]));
  ok(named.some((name) => name === field || name.startsWith(`${field}.`)), `${what}: names ${named}`);
}

test("a key that is revoked requests nothing any more, and sees nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const { storage, add } = callersOf(owner);
  const cid = await storage.put("x");
  const id = (await add({ cid })).expect(202).string("requestid");
  const made = (await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "kubo", scopes: ["storage:read", "storage:write"] },
  })).expect(201);
  const token = made.string("api_key");
  const call = (method: string, path: string, body?: unknown) =>
    suite.gateway.call(method, `/v1/pins${path}`, { token, ...(body !== undefined && { body }) });
  (await call("GET", `/${id}`)).expect(200);
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token: owner.accessToken })).expect(200);
  await until("the key is dead", async () => (await call("GET", "")).status === 401);
  for (
    const answer of [
      await call("GET", ""),
      await call("GET", `/${id}`),
      await call("POST", "", { cid }),
      await call("POST", `/${id}`, { cid }),
      await call("DELETE", `/${id}`),
      await suite.gateway.call("GET", "/v1/pins", { token: "garbage" }),
    ]
  ) {
    deepEqual(answer.expect(401).get("error"), { reason: "INVALID_CREDENTIAL", details: "invalid API key or token" });
    ok(answer.headers.has("www-authenticate"));
  }
  equal((await suite.gateway.call("GET", "/v1/pins")).expect(401).get("error.reason"), "UNAUTHENTICATED");
});

test("CIDs that are none, hold their content, or have another spelling are refused, and nothing is recorded", async () => {
  await using owner = await newOwner(suite.gateway);
  const { storage, pins, add } = callersOf(owner);
  const cid = await storage.put("asked for");
  const wrong = [
    "",
    " ",
    "bafkqaaa",
    "bafkqabtimvwgy3yk",
    "QmInvalidCID123456789",
    cid.slice(0, -1),
    `${cid}a`,
    `${cid}/a`,
    `${cid}\0`,
    `/ipfs/${cid}`,
    cid.toUpperCase(),
    "../../etc/passwd",
    "x".repeat(3_000),
    `${cid},${cid}`,
  ];
  for (const text of wrong) {
    isRefused(await add({ cid: text }), "cid", JSON.stringify(text.slice(0, 80)));
    if (text.includes(",")) continue;
    isRefused(await pins("GET", `?cid=${encodeURIComponent(text)}`), "cid", `a list of ${text.slice(0, 80)}`);
  }
  for (const value of [undefined, null, 7, [], {}, [cid]]) isRefused(await add({ cid: value }), "cid", String(value));
  // Another codec: nobody has it.
  equal((await add({ cid: "baguqeerasords4njcts6vs7qvdjfcvgnume4hqohf65zsfguprqphs3icwea" })).status, 404);
  const eleven = Array.from({ length: 11 }, (_, i) => `bafkrei${"a".repeat(i)}`).join(",");
  isRefused(await pins("GET", `?cid=${eleven}`), "cid", "eleven CIDs");
  isRefused(await pins("GET", `?${eleven.split(",").map((one) => `cid=${one}`).join("&")}`), "cid", "one by one");
  equal((await pins("GET", "?status=queued,pinning,pinned,failed")).expect(200).get("count"), 0);
});

test("names, notes and addresses that are more than may be, or cannot be kept, are refused", async () => {
  await using owner = await newOwner(suite.gateway);
  const { storage, pins, add } = callersOf(owner);
  const cid = await storage.put("x");
  const names = ["a\0b", "\0", "line\nbreak", "\ud800", "x".repeat(256), 7, [], {}];
  for (const name of names) isRefused(await add({ cid, name }), "name", JSON.stringify(name));
  const notes = [
    "text",
    [],
    7,
    { a: 1 },
    { a: null },
    { a: { b: "c" } },
    { a: ["b"] },
    { a: "x\0" },
    { "\0": "x" },
    { a: "\udc00" },
    { a: "x".repeat(1_024) },
    Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`key${i}`, "v"])),
  ];
  for (const meta of notes) isRefused(await add({ cid, meta }), "meta", JSON.stringify(meta).slice(0, 60));
  const good = "/ip4/9.9.9.9/tcp/4001/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm";
  const origins = [
    "text",
    {},
    [7],
    [null],
    [""],
    ["x"],
    ["/"],
    ["http://192.0.2.1/"],
    ["/ip4//tcp"],
    [`${good}\n`],
    ["/a b"],
    ["/a\0"],
    ["/\ud800"],
    [`/${"x".repeat(2_000)}`],
    Array(101).fill(good),
  ];
  for (const one of origins) isRefused(await add({ cid, origins: one }), "origins", JSON.stringify(one).slice(0, 60));
  equal((await pins("GET", "?status=queued,pinning,pinned,failed")).expect(200).get("count"), 0);

  const most = (await add({
    cid,
    name: "é/\"'%_`😀".padEnd(255, "n"),
    meta: { "": "", "a'\"\\": "\u2028", long: "x".repeat(900) },
    origins: [
      ...Array.from({ length: 60 }, (_, i) => `/ip4/10.0.0.${i}/tcp/1${good.slice(good.indexOf("/p2p"))}`),
      good,
    ],
  })).expect(202);
  equal(most.list("pin.origins").length, 20);
  equal(most.get("pin.origins.0"), good, "those that can be reached go first");
  const read = (await pins("GET", `/${most.string("requestid")}`)).expect(200);
  deepEqual(read.get("pin"), most.get("pin"));
});

test("a body that is too large, no JSON, or not an object is refused in the form of the specification", async () => {
  await using owner = await newOwner(suite.gateway);
  const { pins } = callersOf(owner);
  const refusals: readonly [string | Uint8Array<ArrayBuffer>, number, string][] = [
    [`{"cid":"${"x".repeat(12_000_000)}"}`, 413, "BODY_TOO_LARGE"],
    ["{", 400, "INVALID_JSON"],
    [Uint8Array.of(0xff), 400, "INVALID_JSON"],
    ["[]", 400, "INVALID_REQUEST"],
    ["7", 400, "INVALID_REQUEST"],
    ["", 400, "INVALID_JSON"],
    ["null", 400, "INVALID_REQUEST"],
    ["[".repeat(10_000), 400, "INVALID_JSON"],
  ];
  for (const [raw, status, reason] of refusals) {
    for (const path of ["", "/pin_0"]) {
      const answer = (await pins("POST", path, { raw })).expect(status);
      equal(answer.get("error.reason"), reason);
    }
  }
});

test("parameters of a list that are not in order are refused, each by its name", async () => {
  await using owner = await newOwner(suite.gateway);
  const { pins } = callersOf(owner);
  const wrong: Readonly<Record<string, readonly string[]>> = {
    limit: ["0", "1001", "-1", "1.5", "x", "", "1e9", "9".repeat(30)],
    before: ["x", "", "0", "2026-01-01", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "1700000000"],
    after: ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+9"],
    status: ["x", "", "pinned,", "PINNED", "pinned;queued"],
    match: ["x", "", "regex"],
    name: ["x".repeat(256)],
    meta: [
      JSON.stringify(Object.fromEntries(Array.from({ length: 6 }, (_, i) => [i, "v"]))),
      "x",
      "",
      "7",
      "[]",
      '{"a":1}',
      '{"a":{}}',
      "null",
      "{",
      '"a"',
      "[".repeat(5_000),
    ],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      isRefused(await pins("GET", `?${name}=${encodeURIComponent(value)}`), name, `${name}=${value.slice(0, 40)}`);
    }
  }
  for (
    const query of ["?name=%00", "?name='%20OR%201=1--", "?name=a%22", "?meta=%7B%22%5Cu0000%22:%22%22%7D"]
  ) {
    equal((await pins("GET", query)).expect(200).get("count"), 0, query);
  }
  isRefused(await pins("GET", "?name=%ff"), "name", "bytes that are no UTF-8");
});

test("an id that is none is not found, whatever it looks like", async () => {
  await using owner = await newOwner(suite.gateway);
  const { pins } = callersOf(owner);
  for (const id of ["x", "%00", "'%20OR%20'1'='1", "%F0%9F%98%80", "x".repeat(4_000), "a%2Fb", ".%2e"]) {
    for (const method of ["GET", "DELETE"]) {
      const answer = await pins(method, `/${id}`);
      ok([400, 404].includes(answer.status), `${id.slice(0, 40)}: ${answer.status} ${answer.text.slice(0, 200)}`);
    }
  }
  const head =
    `GET /v1/pins?cid=x HTTP/1.1\r\nHost: %%%\r\nAuthorization: Bearer ${owner.apiKey}\r\nConnection: close\r\n\r\n`;
  equal((await rawRequest(suite.gateway.url, head)).status, 400);
});

test("a namespace has as many requests as objects, whatever many clients do at once", async () => {
  await using owner = await newOwner(suite.gateway);
  const { storage, pins, add } = callersOf(owner);
  const cid = await storage.put("x");
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => add({ cid, name: `${i}` })));
  equal(answers.filter(({ status }) => status === 202).length, 5);
  for (const answer of answers.filter(({ status }) => status !== 202)) {
    deepEqual([answer.expect(403).get("error.reason"), answer.get("details")], ["QUOTA_EXCEEDED", {
      quota: "pin_requests",
      limit: 5,
    }]);
  }
  const [{ requestid } = {}] = (await pins("GET")).list("results");
  const replaced = (await pins("POST", `/${requestid}`, { body: { cid, name: "instead" } })).expect(202);
  equal(replaced.get("pin.name"), "instead", "replacing takes no more room");
  const times = (await pins("GET")).list("results").map(({ created }) => created);
  equal(new Set(times).size, 5, "no two have the same moment");
});

test("quotas of objects and bytes hold for what is requested", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const { storage, add } = callersOf(other);
  const cid = await callersOf(one).storage.put("public", "a", { visibility: "public" });
  for (let i = 0; i < 5; i++) await storage.put(`object ${i}`);
  const refused = (await add({ cid })).expect(403);
  match(String(refused.get("error.details")), /may have 5 objects/);
  equal((await callersOf(other).pins("GET", "?status=queued,pinning,pinned,failed")).get("count"), 0);
}, { namespaces: 2 });
