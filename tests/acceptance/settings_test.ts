import { deepEqual, equal, match, ok } from "node:assert/strict";
import { SCOPES } from "../../src/contracts/identity.ts";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner, uniqueName } from "../support/accounts.ts";
import type { CallOptions } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver, startTestDatabase } from "../support/test_database.ts";
import { SqlCaller } from "../support/sql.ts";

const suite = gatewaySuite();
const { test } = suite;
type Part = "settings" | "limits";
const pathOf = (namespace: string, part: Part) => `/v1/namespaces/${namespace}/${part}`;
const read = (namespace: string, part: Part, credential: CallOptions) =>
  suite.gateway.call("GET", pathOf(namespace, part), credential);
const change = (namespace: string, part: Part, credential: CallOptions, body: unknown, method = "PATCH") =>
  suite.gateway.call(method, pathOf(namespace, part), { ...credential, body });
let made: Promise<string> | undefined;
/** An operator's key, for all tests. */
const operator = async () => ({ key: await (made ??= suite.gateway.makeKey("--operator").then(({ key }) => key)) });

const NOTHING_SET = {
  read_level: null,
  freshness: null,
  statement_timeout: null,
  retained_changes: null,
  change_retention: null,
};
const NO_PUBSUB = { history_size: null, history_ttl: null, slow_readers: null, origins: null };
const NO_FUNCTIONS = { log_retention: null };
const DEFAULT_FUNCTIONS = { log_retention: 259_200_000 };
const NO_EGRESS = { allow_hosts: null, deny_hosts: null, ports: null, methods: null };
const DEFAULT_EGRESS = { ...NO_EGRESS, deny_hosts: [], ports: ["80", "443", "8080", "8443"] };
const DEFAULT_PUBSUB = { history_size: 100, history_ttl: 300_000, slow_readers: "drop", origins: null };

test("an owner sets what it names, reads what holds, and gives it back", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const before = (await read(namespace, "settings", { token })).expect(200);
  deepEqual(before.body, {
    settings: {
      sql: NOTHING_SET,
      cache: { near: null },
      storage: { encrypt: null },
      pubsub: NO_PUBSUB,
      functions: NO_FUNCTIONS,
      egress: NO_EGRESS,
    },
    effective: {
      sql: { ...NOTHING_SET, statement_timeout: 10_000, retained_changes: 100_000, change_retention: 86_400_000 },
      cache: { near: [] },
      storage: { encrypt: false },
      pubsub: DEFAULT_PUBSUB,
      functions: DEFAULT_FUNCTIONS,
      egress: DEFAULT_EGRESS,
    },
    version: 0,
  });
  const sql = {
    read_level: "linearizable",
    freshness: 250,
    statement_timeout: 30_000,
    retained_changes: 1_000_000,
    change_retention: 604_800_000,
  };
  const after = (await change(namespace, "settings", { token }, { sql })).expect(200);
  deepEqual(after.body, {
    settings: {
      sql,
      cache: { near: null },
      storage: { encrypt: null },
      pubsub: NO_PUBSUB,
      functions: NO_FUNCTIONS,
      egress: NO_EGRESS,
    },
    effective: {
      sql,
      cache: { near: [] },
      storage: { encrypt: false },
      pubsub: DEFAULT_PUBSUB,
      functions: DEFAULT_FUNCTIONS,
      egress: DEFAULT_EGRESS,
    },
    version: 1,
  });
  deepEqual((await read(namespace, "settings", { token })).expect(200).body, after.body);
  const back = { sql: NOTHING_SET };
  const end = (await change(namespace, "settings", { token }, back)).expect(200);
  deepEqual(end.body, { ...before.body, version: 2 });
  for (const nothing of [{}, { sql: {} }]) {
    equal((await change(namespace, "settings", { token }, nothing)).expect(200).get("version"), 2);
  }
});

test("admins read settings and change none; members, viewers and keys do neither", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace } = owner;
  const body = { sql: { freshness: 1 } };
  for (const role of ["admin", "member", "viewer"]) {
    const { accessToken: token, apiKey: key } = await newMember(suite.gateway, owner, role);
    equal((await read(namespace, "settings", { token })).status, role === "admin" ? 200 : 403, role);
    equal((await change(namespace, "settings", { token }, body)).status, 403, role);
    equal((await read(namespace, "limits", { token })).status, 403, role);
    equal((await read(namespace, "settings", { key })).status, 403, `${role}'s key`);
    equal((await change(namespace, "settings", { key }, body)).status, 403, `${role}'s key`);
  }
  const named = (await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "all", scopes: SCOPES },
  })).expect(201).string("api_key");
  for (const part of ["settings", "limits"] as const) {
    equal((await read(namespace, part, { key: named })).expect(403).get("code"), "FORBIDDEN", "it has no role");
    equal((await read(namespace, part, { key: owner.apiKey })).expect(403).get("code"), "INSUFFICIENT_SCOPE");
    for (const method of ["PATCH", ...(part === "limits" ? ["PUT"] : [])]) {
      for (const key of [named, owner.apiKey]) {
        equal((await change(namespace, part, { key }, {}, method)).status, 403, `${method} ${part}`);
      }
    }
  }
  equal((await read(namespace, "settings", { token: owner.accessToken })).get("version"), 0);
});

test("nobody touches another tenant's settings or limits, whether that tenant exists or not", async () => {
  await using owner = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const { accessToken: token } = other;
  for (const namespace of [owner.namespace, owner.namespace.toUpperCase(), uniqueName(), "__proto__", "default"]) {
    for (const part of ["settings", "limits"] as const) {
      equal((await read(namespace, part, { token })).expect(403).get("code"), "NAMESPACE_MISMATCH");
      equal((await change(namespace, part, { token }, { sql: { bulk_rows: 1 } })).status, 403);
    }
  }
  equal((await change(owner.namespace, "settings", await operator(), {})).expect(403).get("code"), "FORBIDDEN");
  equal((await read(owner.namespace, "settings", { token: owner.accessToken })).get("version"), 0);
}, { namespaces: 2 });

test("an operator limits a namespace, its owner reads the limits and changes none", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const key = await operator();
  const defaults = (await read(namespace, "limits", { token })).expect(200);
  equal(defaults.get("effective.sql.rows_per_answer"), 100_000);
  equal(defaults.get("limits.sql.rows_per_answer"), null);
  deepEqual(defaults.get("limits.cache"), { value_bytes: null, bytes: null, scan_keys: null, lock_waiters: null });
  deepEqual(defaults.get("effective.cache"), {
    value_bytes: 512_000,
    bytes: 33_554_432,
    scan_keys: 1_000,
    lock_waiters: 1_000,
  });
  deepEqual(defaults.get("effective.storage"), {
    object_bytes: 2 ** 30,
    bytes: 10 * 2 ** 30,
    objects: 100_000,
    uploads_in_flight: 20,
    entries: 10_000,
  });
  deepEqual(defaults.get("effective.pubsub"), {
    message_bytes: 1_048_576,
    history_messages: 10_000,
    history_ttl: 86_400_000,
    history_bytes: 16_777_216,
    publish_rate: 5_000,
    sockets: 20_000,
    topics: 10_000,
    topics_per_socket: 1_000,
    credential_share: 80,
    guest_share: 5,
    queue_bytes: 1_048_576,
  });
  // How many run at once hangs on the machine, because no namespace may have all of its processes.
  const { concurrency, ...functions } = defaults.get("effective.functions") as Record<string, number>;
  equal(concurrency! >= 1 && concurrency! <= 64, true);
  deepEqual(functions, {
    functions: 100,
    versions: 20,
    module_bytes: 16_777_216,
    memory: 268_435_456,
    timeout: 60_000,
    waiting: 256,
    input_bytes: 1_048_576,
    output_bytes: 4_194_304,
    log_bytes: 65_536,
    host_calls: 1_000,
    triggers: 100,
    secrets: 100,
    log_retention: 604_800_000,
  });
  deepEqual(defaults.get("effective.egress"), {
    requests_in_flight: 64,
    request_bytes: 10_485_760,
    response_bytes: 10_485_760,
    stream_bytes: 0,
    duration: 60_000,
    stream_duration: 3_600_000,
    redirects: 10,
  });
  deepEqual(defaults.get("effective.webhooks"), {
    endpoints: 20,
    event_bytes: 65_536,
    waiting: 1_000,
    waiting_bytes: 16_777_216,
    requests_in_flight: 4,
    remembered: 100,
    delivered_retention: 259_200_000,
    dead_retention: 2_592_000_000,
  });
  (await change(namespace, "limits", key, { sql: { rows_per_answer: 5, bulk_rows: 6 } })).expect(200);
  const put = (await change(namespace, "limits", key, { sql: { rows_per_answer: 7 } }, "PUT")).expect(200);
  deepEqual([put.get("limits.sql.rows_per_answer"), put.get("limits.sql.bulk_rows")], [7, null]);
  deepEqual((await read(namespace, "limits", { token })).body, put.body);
  deepEqual((await read(namespace, "limits", key)).body, put.body);
  for (const method of ["PATCH", "PUT"]) {
    equal((await change(namespace, "limits", { token }, {}, method)).expect(403).get("code"), "FORBIDDEN");
  }
  deepEqual((await change(namespace, "limits", key, {}, "PUT")).get("limits"), defaults.get("limits"));
  for (const name of [uniqueName(), "_operator", "__proto__"]) {
    equal((await read(name, "limits", key)).expect(404).get("code"), "NOT_FOUND");
    equal((await change(name, "limits", key, {})).expect(404).get("code"), "NOT_FOUND");
  }
});

test("a setting beyond its limit is refused by name; a limit that is lowered later holds", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const set = (statement_timeout: number) =>
    change(namespace, "settings", { token }, { sql: { freshness: 1, statement_timeout } });
  const refused = (await set(30_001)).expect(400);
  deepEqual([refused.get("code"), refused.get("details.0.field")], ["INVALID_REQUEST", "sql.statement_timeout"]);
  match(refused.string("error"), /at most 30000 ms/);
  equal((await read(namespace, "settings", { token })).get("version"), 0, "nothing of it is set");
  (await set(20_000)).expect(200);
  (await change(namespace, "limits", await operator(), { sql: { statement_timeout: 1_000 } })).expect(200);
  const now = await read(namespace, "settings", { token });
  deepEqual(
    [now.get("settings.sql.statement_timeout"), now.get("effective.sql.statement_timeout")],
    [20_000, 1_000],
  );
});

test("names that are unknown are told with the nearest that there is, and nothing of the change is made", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  for (
    const [body, field, problem] of [
      [{ sql: { freshness: 1, statment_timeout: 5 } }, "sql.statment_timeout", /did you mean statement_timeout\?/],
      [{ sql: { freshness: 1 }, sqll: {} }, "sqll", /did you mean sql\?/],
      [{ cache: { ttl: 1 } }, "cache.ttl", /one of near/],
      [{ freshness: 1 }, "freshness", /one of sql, cache, storage, pubsub/],
      [{ sql: { rows_per_answer: 1 } }, "sql.rows_per_answer", /one of read_level, freshness, statement_timeout/],
      [{ settings: { sql: { freshness: 1 } } }, "settings", /unknown/],
    ] as const
  ) {
    const answer = (await change(namespace, "settings", { token }, body)).expect(400);
    equal(answer.get("details.0.field"), field);
    match(answer.string("details.0.problem"), problem);
    match(answer.string("error"), problem);
  }
  for (
    const raw of [
      '{"__proto__":{"sql":{"freshness":1}}}',
      '{"sql":{"__proto__":{"freshness":1}}}',
      '{"sql":{"constructor":{"prototype":{}}}}',
      '{"sql":{"toString":1}}',
    ]
  ) {
    for (const [part, credential] of [["settings", { token }], ["limits", await operator()]] as const) {
      const answer = await suite.gateway.call("PATCH", pathOf(namespace, part), { ...credential, raw });
      match(answer.expect(400).string("details.0.field"), /__proto__|constructor|toString/);
    }
  }
  const huge = JSON.stringify({ sql: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`x${i}`, i])) });
  const answer = await suite.gateway.call("PATCH", pathOf(namespace, "settings"), { token, raw: huge });
  equal(answer.expect(400).list("details").length, 20);
  ok(answer.text.length < 10_000, String(answer.text.length));
  equal((await read(namespace, "settings", { token })).get("version"), 0);
});

test("a value that does not fit is refused by the name of its field", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const numbers = [-1, 1.5, 1e300, "5", "10s", true, [], {}, 9_007_199_254_740_993];
  const settings: Record<string, readonly unknown[]> = {
    read_level: ["", "Weak", "weak ", "leader", 1, true, [], {}, ["weak"]],
    freshness: [...numbers, 86_400_001],
    statement_timeout: [...numbers, 0, 86_400_001],
    retained_changes: [...numbers, 0, 1_000_001],
    change_retention: [...numbers, 0, 59_999, 604_800_001],
  };
  const limits: Record<string, readonly unknown[]> = {
    statement_timeout: [...numbers, 0, 86_400_001],
    database_bytes: numbers,
    rows_per_answer: [...numbers, 0],
    bytes_per_answer: [...numbers, 0],
    statements_in_flight: [...numbers, 0],
    bulk_rows: [...numbers, 0],
    retained_changes: [...numbers, 0],
    change_retention: [...numbers, 0, 59_999, 366 * 86_400_000],
  };
  const ofCache: Record<string, readonly unknown[]> = {
    value_bytes: [...numbers, 0, 64 * 2 ** 20 + 1],
    bytes: numbers,
    scan_keys: [...numbers, 0, 100_001],
    lock_waiters: [...numbers, 1_000_001],
  };
  const ofStorage: Record<string, readonly unknown[]> = {
    object_bytes: [...numbers, 0, 2 ** 50 + 1],
    bytes: [...numbers, 2 ** 50 + 1],
    objects: numbers,
    uploads_in_flight: [...numbers, 0, 100_001],
    entries: [...numbers, 0, 1_000_001],
  };
  const bytes = [...numbers, 0, 2 ** 20 + 1];
  const ofPubSub: Record<string, readonly unknown[]> = {
    message_bytes: bytes,
    history_messages: [...numbers, 1_000_001],
    history_ttl: [...numbers, 999, 86_400_001],
    history_bytes: [...numbers, 2 ** 40 + 1],
    publish_rate: [...numbers, 10_000_001],
    sockets: [...numbers, 0, 10_000_001],
    topics: [...numbers, 0, 10_000_001],
    topics_per_socket: [...numbers, 0, 100_001],
    credential_share: [...numbers, 0, 101],
    guest_share: [...numbers, 0, 101],
    queue_bytes: [...numbers, 1_023, 64 * 2 ** 20 + 1],
  };
  const mebibytes = 2 ** 20;
  const ofFunctions: Record<string, readonly unknown[]> = {
    functions: [...numbers, 1_000_001],
    versions: [...numbers, 0, 10_001],
    module_bytes: [...numbers, 7, 1_024 * mebibytes + 1],
    memory: [...numbers, 0, mebibytes - 1, 4_096 * mebibytes + 1],
    timeout: [...numbers, 0, 3_600_001],
    concurrency: [...numbers, 0, 100_001],
    waiting: [...numbers, 1_000_001],
    input_bytes: [...numbers, 64 * mebibytes + 1],
    output_bytes: [...numbers, 64 * mebibytes + 1],
    log_bytes: [...numbers, 64 * mebibytes + 1],
    host_calls: [...numbers, 1_000_000_001],
    triggers: [...numbers, 1_000_001],
    secrets: [...numbers, 1_000_001],
    log_retention: [...numbers, 0, 999, 366 * 86_400_000],
  };
  const ofEgress: Record<string, readonly unknown[]> = {
    requests_in_flight: [...numbers, 0, 100_001],
    request_bytes: [...numbers, 64 * mebibytes + 1],
    response_bytes: [...numbers, 64 * mebibytes + 1],
    stream_bytes: [...numbers, 2 ** 50 + 1],
    duration: [...numbers, 0, 3_600_001],
    stream_duration: [...numbers, 0, 86_400_001],
    redirects: [...numbers, 51],
  };
  const year = 365 * 86_400_000;
  const ofWebhooks: Record<string, readonly unknown[]> = {
    endpoints: [...numbers, 10_001],
    event_bytes: [...numbers, 0, 1_023, mebibytes + 1],
    waiting: [...numbers, 0, 1_000_001],
    waiting_bytes: [...numbers, 0, 1_023, 2 ** 40 + 1],
    requests_in_flight: [...numbers, 0, 100_001],
    remembered: [...numbers, 100_001],
    delivered_retention: [...numbers, 59_999, year + 1],
    dead_retention: [...numbers, 59_999, year + 1],
  };
  const pubsub: Record<string, readonly unknown[]> = {
    history_size: [...numbers, 10_001],
    history_ttl: [...numbers, 0, 999, 86_400_001],
    slow_readers: ["", "wait", "Drop", 1, true, [], {}],
  };
  for (
    const [part, domain, fields, credential] of [
      ["settings", "sql", settings, { token }],
      ["settings", "storage", { encrypt: [0, 1, "true", [], {}] }, { token }],
      ["settings", "pubsub", pubsub, { token }],
      ["settings", "functions", { log_retention: [...numbers, 0, 999, 604_800_001] }, { token }],
      ["limits", "pubsub", ofPubSub, await operator()],
      ["limits", "functions", ofFunctions, await operator()],
      ["limits", "egress", ofEgress, await operator()],
      ["limits", "webhooks", ofWebhooks, await operator()],
      ["limits", "sql", limits, await operator()],
      ["limits", "cache", ofCache, await operator()],
      ["limits", "storage", ofStorage, await operator()],
    ] as const
  ) {
    for (const [name, values] of Object.entries(fields)) {
      for (const value of values) {
        const answer = await change(namespace, part, credential, { [domain]: { [name]: value } });
        equal(answer.status, 400, `${part} ${name} = ${JSON.stringify(value)}: ${answer.text}`);
        equal(answer.get("details.0.field"), `${domain}.${name}`);
      }
    }
    for (const values of [null, 1, "x", [], true]) {
      equal(
        (await change(namespace, part, credential, { [domain]: values })).expect(400).get("details.0.field"),
        domain,
      );
    }
    for (const body of [[], "x", 1]) (await change(namespace, part, credential, body)).expect(400);
    equal((await read(namespace, part, { token })).get("version"), 0);
  }
});

test("origins of pages are told as browsers send them, and what is none is refused by its place", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const set = (origins: unknown) => change(namespace, "settings", { token }, { pubsub: { origins } });
  for (
    const wrong of [
      "app.example",
      "https://app.example/",
      "https://app.example/path",
      "https://user@app.example",
      "https://*.app.example",
      "https://app.example?x",
      "https://a b",
      "https://",
      "https://app.example:99999",
      "null",
      "*",
      "",
      7,
      null,
      `https://${"a".repeat(300)}`,
    ]
  ) {
    const refused = (await set(["https://good.example", wrong])).expect(400);
    equal(refused.get("details.0.field"), "pubsub.origins.1", JSON.stringify(wrong));
  }
  for (const wrong of ["https://app.example", {}, [], Array(65).fill("https://app.example")]) {
    match((await set(wrong)).expect(400).string("details.0.field"), /^pubsub\.origins/, JSON.stringify(wrong));
  }
  const twice = (await set(["https://app.example", "HTTPS://App.Example:443"])).expect(400);
  deepEqual([twice.get("details.0.field"), twice.get("details.0.problem")], [
    "pubsub.origins.1",
    "is in the list already",
  ]);
  const given = ["HTTPS://App.Example:443", "http://localhost:3000", "http://[::1]:80", "Capacitor://localhost"];
  const taken = (await set(given)).expect(200);
  deepEqual(taken.get("effective.pubsub.origins"), [
    "https://app.example",
    "http://localhost:3000",
    "http://[::1]",
    "capacitor://localhost",
  ]);
  equal((await set(null)).expect(200).get("effective.pubsub.origins"), null);
});

test("what may be reached outside is written in one way, and what is none is refused by its place", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const set = (egress: unknown) => change(namespace, "settings", { token }, { egress });
  const wrong = {
    allow_hosts: ["", "*", "https://a.example", "a.example:443", "a.example.", "127.1", "10.0.0.1/8", 7, null],
    deny_hosts: ["[::1]", "a..b", `${"a".repeat(250)}.example`, {}],
    ports: [0, 65_536, 1.5, "https", "9-8", "1-65536", "", null],
    methods: ["", "GET POST", "GET\r\n", "G".repeat(33), 1, null],
  };
  for (const [name, values] of Object.entries(wrong)) {
    const good = { ports: 443, methods: "GET" }[name] ?? "good.example";
    for (const value of values) {
      const refused = (await set({ [name]: [good, value] })).expect(400);
      equal(refused.get("details.0.field"), `egress.${name}.1`, JSON.stringify(value));
    }
    for (const list of [good, {}, 5, true]) {
      equal((await set({ [name]: list })).expect(400).get("details.0.field"), `egress.${name}`, JSON.stringify(list));
    }
    const twice = (await set({ [name]: [good, good] })).expect(400);
    equal(twice.get("details.0.problem"), "is in the list already", name);
  }
  const hosts = Array.from({ length: 101 }, (_, i) => `h${i}.example`);
  const ports = Array.from({ length: 51 }, (_, i) => i + 1);
  const methods = Array.from({ length: 21 }, (_, i) => `M${i}`);
  for (const tooMany of [{ allow_hosts: hosts }, { deny_hosts: hosts }, { ports }, { methods }]) {
    equal((await set(tooMany)).expect(400).get("details.0.field"), `egress.${Object.keys(tooMany)[0]}`);
  }
  equal((await read(namespace, "settings", { token })).get("version"), 0);
  const taken = (await set({
    allow_hosts: ["*.Example.com", "2001:DB8::1"],
    deny_hosts: ["203.0.113.0/24"],
    ports: [443, "5001", "8000-8080"],
    methods: ["get"],
  })).expect(200);
  const written = {
    allow_hosts: ["*.example.com", "2001:db8::1"],
    deny_hosts: ["203.0.113.0/24"],
    ports: ["443", "5001", "8000-8080"],
    methods: ["GET"],
  };
  deepEqual(taken.get("settings.egress"), written);
  deepEqual(
    taken.get("effective.egress"),
    { ...written, ports: ["443", "8080"] },
    "none that the gateway does not allow",
  );
  equal(
    (await set({ allow_hosts: hosts.slice(1), deny_hosts: [] })).expect(200).list("settings.egress.allow_hosts").length,
    100,
  );
});

test("of many changes at once none is lost", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const key = await operator();
  const names = ["database_bytes", "rows_per_answer", "bytes_per_answer", "bulk_rows"];
  const answers = await Promise.all([
    ...names.map((name) => change(namespace, "limits", key, { sql: { [name]: 5 } })),
    change(namespace, "settings", { token }, { sql: { freshness: 5 } }),
  ]);
  for (const answer of answers) ok([200, 409].includes(answer.status), answer.text);
  const made = answers.filter(({ status }) => status === 200).length;
  const after = await read(namespace, "limits", { token });
  equal(after.get("version"), made);
  for (const [i, name] of names.entries()) {
    if (answers[i]!.status === 200) equal(after.get(`limits.sql.${name}`), 5, name);
  }
});

test("changes are in the audit log, with what was there before", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  (await change(namespace, "settings", { token }, { sql: { read_level: "none" } })).expect(200);
  (await change(namespace, "limits", await operator(), { sql: { bulk_rows: 5 } })).expect(200);
  const events = (await suite.gateway.call("GET", `/v1/namespaces/${namespace}/audit?limit=2`, { token })).expect(200);
  deepEqual(events.list("events").map(({ action, details }) => [action, details]), [
    ["limits.changed", { changes: { "sql.bulk_rows": { before: null, after: 5 } } }],
    ["settings.changed", { changes: { "sql.read_level": { before: null, after: "none" } } }],
  ]);
  equal(events.list("events")[1]!.actor, owner.wallet.address);
});

test("a limit holds from the moment it is set, and no longer than until it is given back", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = new SqlCaller(suite.gateway, { key: owner.apiKey });
  const ask = () => db.query("SELECT 1 AS n UNION ALL SELECT 2");
  (await ask()).expect(200);
  const key = await operator();
  (await change(owner.namespace, "limits", key, { sql: { rows_per_answer: 1 } })).expect(200);
  equal((await ask()).expect(413).get("code"), "RESULT_TOO_LARGE");
  (await change(owner.namespace, "limits", key, { sql: { rows_per_answer: null } })).expect(200);
  (await ask()).expect(200);
});

Deno.test({
  name: "a limit that one gateway sets holds on another within a second",
  ignore: chosenDriver() === "sqlite" || Deno.env.has("TEST_BASE_URL"),
  async fn() {
    await using second = await suite.gateway.twin();
    await using owner = await newOwner(suite.gateway);
    const db = new SqlCaller(second, { key: owner.apiKey });
    const ask = () => db.query("SELECT 1 AS n UNION ALL SELECT 2");
    (await ask()).expect(200);
    const key = await operator();
    (await change(owner.namespace, "limits", key, { sql: { rows_per_answer: 1 } })).expect(200);
    await until("the other gateway limits it", async () => (await ask()).status === 413, 1_000);
    (await change(owner.namespace, "limits", key, {}, "PUT")).expect(200);
    await until("the other gateway does so no more", async () => (await ask()).status === 200, 1_000);
  },
});

Deno.test({
  name: "without its control plane a gateway goes on with the rules that it knows, and changes none",
  ignore: chosenDriver() === "sqlite" || Deno.env.has("TEST_BASE_URL"),
  async fn() {
    await using database = await startTestDatabase("rqlite");
    await using gateway = await TestGateway.start({ database });
    await using owner = await newOwner(gateway);
    const { key } = await gateway.makeKey("--operator");
    const path = pathOf(owner.namespace, "limits");
    const db = new SqlCaller(gateway, { key: owner.apiKey });
    const ask = () => db.query("SELECT 1 AS n UNION ALL SELECT 2");
    const body = { sql: { rows_per_answer: 1 } };
    (await gateway.call("PATCH", path, { key, body })).expect(200);
    (await ask()).expect(413);
    for (const node of database.control!.nodes) node.pause();
    try {
      (await ask()).expect(413);
      const [reading, changing] = await Promise.all([
        gateway.call("GET", path, { key }),
        gateway.call("PATCH", path, { key, body: { sql: { rows_per_answer: null } } }),
      ]);
      equal(reading.expect(503).get("code"), "UNAVAILABLE");
      ok([503, 409].includes(changing.status), changing.text);
      (await ask()).expect(413);
    } finally {
      for (const node of database.control!.nodes) node.resume();
    }
    await until(
      "it can be changed again",
      async () => (await gateway.call("PUT", path, { key, body: {} })).status === 200,
    );
    (await ask()).expect(200);
  },
});
