import { deepEqual, equal, ok } from "node:assert/strict";
import { routes } from "../../routes/index.ts";
import type { OpenApiDocument } from "../../src/http/openapi.ts";
import type { Route } from "../../src/http/route.ts";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { at, DocumentedApi, escaped } from "../support/openapi.ts";
import { isPublic, jsonBodyOf, nameOf, openApiPath, pathOf } from "../support/route_calls.ts";
import { TestGateway } from "../support/gateway.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

const PROOF = {
  wallet: "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
  nonce: "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw",
  signature: "0x" + "1".repeat(130),
  message: "m",
  namespace: "some-name",
  chain_type: "ETH",
  purpose: "authentication",
};
const PARTS = {
  select: ["id"],
  joins: [{ kind: "LEFT", table: "u", on: "u.id = t.id" }],
  group_by: ["id"],
  order_by: ["id DESC"],
  limit: 1,
  offset: 0,
  after: "",
};
const READ = { level: "weak", freshness: "1s", timeout: "5s" };
const SQL = { sql: "SELECT ? AS x", args: [1], integers: "number", timeout: 5_000 };
const LIMITS = {
  statement_timeout: 1,
  database_bytes: 0,
  rows_per_answer: 1,
  bytes_per_answer: 1,
  statements_in_flight: 1,
  bulk_rows: 1,
  retained_changes: 1,
  change_retention: 60_000,
};
const CACHE_LIMITS = { value_bytes: 1, bytes: 0, scan_keys: 1, lock_waiters: 0 };
const STORAGE_LIMITS = { object_bytes: 1, bytes: 0, objects: 0, uploads_in_flight: 1, entries: 1 };
const PUBSUB_LIMITS = {
  message_bytes: 1,
  history_messages: 0,
  history_ttl: 1_000,
  history_bytes: 0,
  publish_rate: 0,
  sockets: 1,
  topics: 1,
  topics_per_socket: 1,
  credential_share: 1,
  guest_share: 1,
  queue_bytes: 1_024,
};
const FUNCTION_LIMITS = {
  functions: 0,
  versions: 1,
  module_bytes: 8,
  memory: 2 ** 20,
  timeout: 1,
  concurrency: 1,
  waiting: 0,
  input_bytes: 0,
  output_bytes: 0,
  log_bytes: 0,
  host_calls: 0,
  triggers: 0,
  secrets: 0,
  log_retention: 1_000,
};
const WEBHOOK_LIMITS = {
  endpoints: 0,
  event_bytes: 1_024,
  waiting: 1,
  waiting_bytes: 1_024,
  requests_in_flight: 1,
  remembered: 0,
  delivered_retention: 60_000,
  dead_retention: 60_000,
};
const EGRESS_LIMITS = {
  requests_in_flight: 1,
  request_bytes: 0,
  response_bytes: 0,
  stream_bytes: 0,
  duration: 1,
  stream_duration: 1,
  redirects: 0,
};
const NAMESPACE_LIMITS = {
  sql: LIMITS,
  cache: CACHE_LIMITS,
  storage: STORAGE_LIMITS,
  pubsub: PUBSUB_LIMITS,
  functions: FUNCTION_LIMITS,
  egress: EGRESS_LIMITS,
  webhooks: WEBHOOK_LIMITS,
};
const ENTRY = { dmap: "m", key: "k" };
const KEYS = { dmap: "m", keys: ["k"] };
const TOKEN = "0".repeat(32);
const CID = "bafkreieq5jui4j25lacwomsqgjeswwl3y5zcdrresptwgmfylxo2depppq";
const PIN = {
  cid: CID,
  name: "a.txt",
  origins: ["/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm"],
  meta: { app: "x" },
};
const PEER = "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm";
const FIND = { table: "t", criteria: { id: 1 }, options: PARTS, ...PARTS, integers: "number", ...READ };
const S256 = { code_challenge: "A".repeat(43), code_challenge_method: "S256" };

/** A body for each route that takes one, with every member that there is: each of them is then made wrong, one at a time. */
const SAMPLES: Readonly<Record<string, Record<string, unknown>>> = {
  "POST /v1/auth/challenge": { ...without(PROOF, "nonce", "signature", "message"), chain_id: 1 },
  "POST /v1/auth/verify": PROOF,
  "POST /v1/auth/api-key": { ...PROOF, plan: "free" },
  "POST /v1/auth/simple-key": { wallet: PROOF.wallet, namespace: "some-name" },
  "POST /v1/auth/register": { ...PROOF, name: "app" },
  "POST /v1/auth/refresh": { refresh_token: "unknown", namespace: "some-name" },
  "POST /v1/auth/logout": { refresh_token: "unknown", namespace: "some-name", all: false },
  "POST /v1/auth/login/code": { ...PROOF, callback: "https://app.example/", ...S256 },
  "POST /v1/auth/login/token": { code: "c", code_verifier: "v".repeat(43), callback: "https://app.example/" },
  "POST /v1/auth/keys": {
    name: "key",
    scopes: ["cache:read", "pubsub:publish:a*"],
    expires_at: "2099-01-01T00:00:00Z",
  },
  "POST /v1/namespaces": { name: "some-name", owner: PROOF.wallet },
  "PUT /v1/namespaces/:ns/members/:wallet": { role: "viewer" },
  "PATCH /v1/namespaces/:ns/settings": {
    sql: { read_level: "weak", freshness: 1, statement_timeout: 1, retained_changes: 1, change_retention: 60_000 },
    cache: { near: [{ dmap: "m", ttl: "1s" }, { dmap: "n", ttl: 1_000 }] },
    storage: { encrypt: false },
    pubsub: { history_size: 1, history_ttl: 1_000, slow_readers: "drop", origins: ["https://app.example"] },
    functions: { log_retention: 1_000 },
    egress: {
      allow_hosts: ["*.example.com"],
      deny_hosts: ["203.0.113.0/24"],
      ports: [443, "8000-8999"],
      methods: ["GET"],
    },
  },
  "PATCH /v1/namespaces/:ns/limits": NAMESPACE_LIMITS,
  "PUT /v1/namespaces/:ns/limits": NAMESPACE_LIMITS,
  "POST /v1/pubsub/token": {
    topics: { publish: ["a"], subscribe: ["a*", "b"], presence: ["*"] },
    ttl: "5m",
    member_id: "m",
  },
  "POST /v1/cache/put": {
    ...ENTRY,
    value: { a: [1] },
    ttl: "5m",
    nx: false,
    xx: false,
    if_version: "1",
    versioned: true,
  },
  "POST /v1/cache/get": ENTRY,
  "POST /v1/cache/mget": KEYS,
  "POST /v1/cache/delete": { ...ENTRY, if_version: "1" },
  "POST /v1/cache/scan": { dmap: "m", match: "^k", pattern: "^k", cursor: "x", limit: 1 },
  "POST /v1/cache/incr": { ...ENTRY, by: 1, initial: 0, ttl: "5m" },
  "POST /v1/cache/expire": { ...ENTRY, ttl: "5m" },
  "POST /v1/cache/touch": KEYS,
  "POST /v1/cache/ttl": ENTRY,
  "POST /v1/cache/getset": { ...ENTRY, value: "v", ttl: "5m" },
  "POST /v1/cache/mput": { dmap: "m", entries: [{ key: "k", value: 1 }], ttl: "5m" },
  "POST /v1/cache/mdelete": KEYS,
  "POST /v1/cache/lock": { ...ENTRY, lease: "5s", wait: "1ms" },
  "POST /v1/cache/renew": { ...ENTRY, token: TOKEN, lease: "100ms" },
  "POST /v1/cache/unlock": { ...ENTRY, token: TOKEN },
  "POST /v1/storage/upload": {
    name: "a.txt",
    data: "aGk=",
    pin: true,
    visibility: "private",
    encrypt: false,
    replication_min: 1,
    replication_max: 2,
  },
  "POST /v1/storage/pin": {
    cid: CID,
    name: "a.txt",
    replication_min: 1,
    replication_max: 2,
    origins: ["/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm"],
  },
  "PATCH /v1/storage/objects/:cid": {
    name: "a.txt",
    visibility: "public",
    pin: false,
    replication_min: 1,
    replication_max: 2,
  },
  "POST /v1/pins": PIN,
  "POST /v1/pins/:requestid": PIN,
  "POST /v1/network/connect": { multiaddr: PEER, peer_addr: PEER },
  "POST /v1/network/disconnect": { peer_id: PEER.split("/").at(-1) },
  "POST /v1/storage/links": { cid: CID, expires_in: "1h" },
  "POST /v1/pubsub/publish": { topic: "t", data_base64: "aGk=", data: { a: [1] } },
  "POST /v1/pubsub/publish-batch": {
    messages: [{ topic: "t", data: { a: [1] } }, { topic: "u", data_base64: "aGk=" }],
  },
  "POST /v1/rqlite/query": { ...SQL, ...READ },
  "POST /v1/rqlite/exec": SQL,
  "POST /v1/rqlite/find": FIND,
  "POST /v1/rqlite/find-one": FIND,
  "POST /v1/rqlite/select": {
    table: "t",
    alias: "a",
    ...PARTS,
    where: [{ conj: "OR", expr: "id = ?", args: [1] }],
    one: false,
    integers: "number",
    ...READ,
  },
  "POST /v1/rqlite/transaction": {
    ops: [
      { kind: "query", sql: SQL.sql, args: [1], expect: { rows: 1 } },
      { kind: "query", sql: SQL.sql, args: [1], expect: { values: [[1]] } },
    ],
    statements: ["SELECT 1"],
    return_results: true,
    integers: "number",
    level: "weak",
    timeout: "5s",
  },
  "POST /v1/rqlite/bulk": { table: "t", columns: ["id"], on_conflict: "ignore", rows: [[1], { id: 2 }] },
  "POST /v1/rqlite/changes/tables": { table: "no_such_table", columns: ["id"] },
  "POST /v1/rqlite/create-table": { schema: "CREATE TABLE IF NOT EXISTS sample (id INTEGER)", timeout: 5_000 },
  "POST /v1/rqlite/drop-table": { table: "no_such_table", timeout: 5_000 },
  "POST /v1/functions/:name/rollback": { version: 1 },
  "PUT /v1/functions/:name/aliases/:alias": { targets: [{ version: 1, weight: 40 }, { version: 2, weight: 60 }] },
  "POST /v1/functions/:name/triggers": {
    kind: "route",
    reference: "prod",
    enabled: true,
    expression: "*/5 * * * *",
    timezone: "UTC",
    topic: "t",
    table: "t",
    operations: ["insert", "delete"],
    method: "GET",
    path: "/a/:id",
    is_public: false,
  },
  "PATCH /v1/functions/:name/triggers/:trigger": { enabled: false },
  "PUT /v1/functions/secrets/:secret": { value: "hush" },
  "POST /v1/webhooks": {
    url: "https://app.example/hook",
    events: ["function.*", "storage.pinned"],
    description: "d",
    enabled: true,
    algorithm: "ed25519",
  },
  "PATCH /v1/webhooks/:id": { url: "https://app.example/hook", events: ["*"], description: "d", enabled: false },
  "POST /v1/proxy/anon": { url: "http://127.0.0.1/", method: "GET", headers: { accept: "text/html" }, body: "x" },
  "POST /v1/rqlite/migrations": {
    migrations: [
      { version: 1, name: "one", statements: ["SELECT 1"] },
      { version: 2, name: "two", sql: "SELECT 2" },
    ],
    dry_run: true,
    target: 2,
    timeout: 5_000,
  },
};

const HUGE = "x".repeat(100_000);
const WRONG: readonly unknown[] = [
  7,
  -1.5,
  1e308,
  12345678901234567890n,
  "text",
  "",
  " ",
  "\u0000",
  "\ud800",
  HUGE,
  true,
  null,
  [],
  [null],
  [[[]]],
  {},
  { type: "integer", value: "x" },
  { __proto__: 1, constructor: 1 },
];

function without<T extends object, K extends keyof T>(value: T, ...names: K[]): Omit<T, K> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name as K))) as Omit<T, K>;
}

type Path = readonly (string | number)[];

/** Every place in a value, the value itself last. */
function* placesIn(value: unknown, path: Path = []): Generator<Path> {
  if (Array.isArray(value)) { for (const [i, item] of value.entries()) yield* placesIn(item, [...path, i]); }
  else if (typeof value === "object" && value !== null) {
    for (const [name, item] of Object.entries(value)) yield* placesIn(item, [...path, name]);
  }
  yield path;
}

function replaced(value: unknown, [first, ...rest]: Path, by: unknown): unknown {
  if (first === undefined) return by;
  if (Array.isArray(value)) return value.map((item, i) => i === first ? replaced(item, rest, by) : item);
  return { ...value as object, [first]: replaced((value as Record<string, unknown>)[first], rest, by) };
}

/** JSON with integers of any size. */
const toJson = (value: unknown) =>
  JSON.stringify(value, (_, item) => typeof item === "bigint" ? `BIG${item}` : item).replaceAll(/"BIG(\d+)"/g, "$1");

let fetched: Promise<DocumentedApi> | undefined;
const documented = () =>
  fetched ??= suite.gateway.call("GET", "/openapi.json")
    .then((answer) => new DocumentedApi(JSON.parse(answer.expect(200).text) as OpenApiDocument));

/** A key for what operators alone may call; none on a gateway that is not the tests' own. */
async function operatorKey(): Promise<string | undefined> {
  return suite.gateway instanceof TestGateway ? (await suite.gateway.makeKey("--operator")).key : undefined;
}

async function namedKey({ accessToken: token }: SignedIn): Promise<string> {
  return (await suite.gateway.call("POST", "/v1/auth/keys", { token, body: { name: "x" } })).expect(201).string(
    "api_key",
  );
}

/** Never our fault; and where it is the client's, the field is named, with a problem, and no stack or engine text comes along. */
function isFair(answer: Answer, what: string): void {
  if (answer.status === 503 && answer.get("code") === "NO_CAPACITY") return;
  ok(answer.status < 500, `${what}: ${answer.status} ${answer.text}`);
  if (answer.status < 400) return;
  ok(!/\bat [A-Za-z#.]+ \(|file:\/\/|node:/.test(answer.text), `${what}: ${answer.text}`);
  // Words of the library that checks: about types of a language that clients need not know.
  ok(
    !/Invalid (input|option|string|ISO)|Too (big|small): |Unrecognized key/.test(answer.text),
    `${what}: ${answer.text}`,
  );
}

function namesField(answer: Answer, path: Path, what: string): void {
  equal(answer.status, 400, `${what}: ${answer.text.slice(0, 300)}`);
  const field = path.join(".") || "body";
  const named = answer.list("details").map((detail) => String(detail.field));
  const isNamed = (name: string) => path.length === 0 || name === field || name.startsWith(field + ".");
  ok(named.some(isNamed), `${what}: names ${named}`);
  for (const { problem } of answer.list("details")) ok(typeof problem === "string" && problem.length > 0, what);
  ok(answer.text.length < 20_000, `${what}: ${answer.text.length} characters`);
}

const show = (value: unknown) => toJson(value)?.slice(0, 40);

for (const route of routes.filter((one) => jsonBodyOf(one) !== undefined)) {
  test(`${nameOf(route)}: each field with each wrong type`, async () => {
    const api = await documented();
    await using owner = await newOwner(suite.gateway);
    const sample = SAMPLES[nameOf(route)];
    ok(sample, `a sample body of ${nameOf(route)} is missing in this test`);
    const pointer = `/paths/${
      escaped(openApiPath(route))
    }/${route.method.toLowerCase()}/requestBody/content/application~1json/schema`;
    deepEqual(api.problems(pointer, sample), []);
    deepEqual(missingIn(sample, at(api.document, pointer), api.document), [], "members that the sample lacks");
    // Nothing comes of a creation by a key that no wallet stands behind: one namespace is enough.
    const key = route.access.kind === "operator"
      ? await operatorKey()
      : route.path === "/v1/namespaces"
      ? await namedKey(owner)
      : undefined;
    if (route.access.kind === "operator" && key === undefined) return;
    const credential = key === undefined ? { token: owner.accessToken } : { key };
    const send = (body: unknown) =>
      suite.gateway.call(route.method, pathOf(route, owner.namespace), {
        ...(!isPublic(route) && credential),
        raw: toJson(body),
      });
    for (const path of placesIn(sample)) {
      for (const value of WRONG) {
        const what = `${path.join(".") || "body"} = ${show(value)}`;
        const body = replaced(sample, path, value);
        const answer = await send(body);
        isFair(answer, what);
        const place = path.map((name) => "/" + name).join("") || "/";
        const wrong = api.problems(pointer, typeof value === "bigint" ? replaced(sample, path, Number(value)) : body)
          .some((problem) => problem.split(" ")[0] === place);
        // A literal null is an empty object on this wire, so it lacks what is required instead.
        if (wrong && !(path.length === 0 && value === null)) namesField(answer, path, what);
      }
    }
  });
}

for (const route of routes.filter(({ query }) => query !== undefined)) {
  test(`${nameOf(route)}: each parameter of the query with each wrong text`, async () => {
    const api = await documented();
    await using owner = await newOwner(suite.gateway);
    const operation = at(api.document, `/paths/${escaped(openApiPath(route))}/${route.method.toLowerCase()}`);
    const { method, body, rawBody } = route;
    const [type] = Object.keys(rawBody?.types ?? {});
    const send = (path: string) =>
      suite.gateway.call(method, path, {
        token: owner.accessToken,
        ...(body && { body: {} }),
        ...(type !== undefined && method !== "GET" && { raw: "", headers: { "content-type": type } }),
      });
    const { parameters } = operation as { parameters: { name: string; in: string; schema: Record<string, unknown> }[] };
    for (const { name, schema } of parameters.filter((parameter) => parameter.in === "query")) {
      for (
        const text of [
          "x",
          "",
          "-1",
          "1.5",
          "1e309",
          "NaN",
          "null",
          "[]",
          "%00",
          "%ff",
          "%ed%a0%80",
          "9".repeat(30),
          HUGE.slice(0, 6000),
        ]
      ) {
        const path = pathOf(route, owner.namespace);
        const answer = await send(`${path}?${name}=${text}`);
        isFair(answer, `${name}=${text.slice(0, 30)}`);
        const isTaken = /^\d{1,15}$/.test(text) || text === "-1" && schema.minimum === -1;
        if (schema.type === "integer" && !isTaken) {
          namesField(answer, [name], `${name}=${text.slice(0, 30)}`);
        }
      }
      isFair(await send(`${pathOf(route, owner.namespace)}?${name}=1&${name}=2`), `${name} twice`);
    }
  });
}

/** One item with the members of all of them: some exclude each other. */
function together(items: readonly unknown[]): unknown {
  const isObject = (item: unknown) => typeof item === "object" && item !== null && !Array.isArray(item);
  if (!items.every(isObject)) return items[0];
  const members = Map.groupBy((items as object[]).flatMap((item) => Object.entries(item)), ([name]) => name);
  return Object.fromEntries([...members].map(([name, entries]) => [name, together(entries.map(([, item]) => item))]));
}

/** Members that a schema has and a value lacks, at any depth. */
function missingIn(value: unknown, schema: unknown, document: unknown, path = ""): string[] {
  const { $ref, properties, items, anyOf } = (schema ?? {}) as Record<string, unknown>;
  if (typeof $ref === "string") return missingIn(value, at(document, $ref.slice(1)), document, path);
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(anyOf)) return missingIn(value, anyOf.find((one) => one.properties ?? one.items), document, path);
  if (Array.isArray(value)) return missingIn(together(value), items, document, `${path}.0`);
  return Object.entries(properties ?? {}).flatMap(([name, inner]) => {
    const item = (value as Record<string, unknown> | undefined)?.[name];
    return item === undefined ? [`${path}.${name}`] : missingIn(item, inner, document, `${path}.${name}`);
  });
}

/** Kept for the compiler: every sample belongs to a route. */
test("every sample is of a route that there is", () => {
  const names = new Set(routes.map((route: Route) => nameOf(route)));
  deepEqual(Object.keys(SAMPLES).filter((name) => !names.has(name)), []);
});
