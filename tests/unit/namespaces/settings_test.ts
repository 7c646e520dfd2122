import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { NamespaceRules, NearMap } from "../../../src/contracts/settings.ts";
import { until } from "../../engines/support/wait.ts";
import { ALICE, BOB, code, Node, principal } from "../auth/support/node.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { DEFAULTS, settingsOn } from "./support/settings.ts";

const alice = principal({ wallet: ALICE, role: "owner" });
const operator = principal({ namespace: "", operator: true, subject: "key:operator" });
const NOTHING_SET = {
  read_level: null,
  freshness: null,
  statement_timeout: null,
  retained_changes: null,
  change_retention: null,
};
const DEFAULTS_OF_SETTINGS = {
  ...NOTHING_SET,
  statement_timeout: 10_000,
  retained_changes: 500,
  change_retention: 3_600_000,
};
const NO_LIMITS = {
  statement_timeout: null,
  database_bytes: null,
  rows_per_answer: null,
  bytes_per_answer: null,
  statements_in_flight: null,
  bulk_rows: null,
  retained_changes: null,
  change_retention: null,
};
const NO_CACHE_LIMITS = { value_bytes: null, bytes: null, scan_keys: null, lock_waiters: null };
const NO_STORAGE_LIMITS = { object_bytes: null, bytes: null, objects: null, uploads_in_flight: null, entries: null };
const NO_PUBSUB_SETTINGS = { history_size: null, history_ttl: null, slow_readers: null, origins: null };
const NO_PUBSUB_LIMITS = {
  message_bytes: null,
  history_messages: null,
  history_ttl: null,
  history_bytes: null,
  publish_rate: null,
  sockets: null,
  topics: null,
  topics_per_socket: null,
  credential_share: null,
  guest_share: null,
  queue_bytes: null,
};
const NO_FUNCTION_SETTINGS = { log_retention: null };
const NO_FUNCTION_LIMITS = {
  functions: null,
  versions: null,
  module_bytes: null,
  memory: null,
  timeout: null,
  concurrency: null,
  waiting: null,
  input_bytes: null,
  output_bytes: null,
  log_bytes: null,
  host_calls: null,
  triggers: null,
  secrets: null,
  log_retention: null,
};
const NO_EGRESS_SETTINGS = { allow_hosts: null, deny_hosts: null, ports: null, methods: null };
const NO_EGRESS_LIMITS = {
  requests_in_flight: null,
  request_bytes: null,
  response_bytes: null,
  stream_bytes: null,
  duration: null,
  stream_duration: null,
  redirects: null,
};
const NO_WEBHOOK_LIMITS = {
  endpoints: null,
  event_bytes: null,
  waiting: null,
  waiting_bytes: null,
  requests_in_flight: null,
  remembered: null,
  delivered_retention: null,
  dead_retention: null,
};
const DEFAULT_RULES: NamespaceRules = {
  sql: {
    level: undefined,
    freshness: undefined,
    timeout: 10_000,
    maxTimeout: 30_000,
    maxDatabaseBytes: 0,
    maxRows: 100,
    maxAnswerBytes: 2_000,
    maxInFlight: 30,
    maxBulkRows: 4_000,
    retainedChanges: 500,
    changeRetention: 3_600_000,
  },
  cache: { maxValueBytes: 21, maxBytes: 22, maxScanKeys: 23, maxLockWaiters: 24, near: new Map() },
  storage: { maxObjectBytes: 31, maxBytes: 32, maxObjects: 33, maxUploads: 34, maxEntries: 35, encrypt: false },
  pubsub: {
    historySize: 40,
    historyTtl: 41_000,
    maxMessageBytes: 42,
    maxHistoryBytes: 45,
    publishRate: 46,
    maxSockets: 47,
    maxTopics: 48,
    maxTopicsPerSocket: 49,
    credentialShare: 51,
    guestShare: 52,
    maxQueueBytes: 50,
    slowPolicy: "close",
    maxMetaBytes: 4_096,
    origins: undefined,
  },
  functions: {
    maxFunctions: 61,
    maxVersions: 62,
    maxModuleBytes: 63,
    maxMemory: 64,
    maxTimeout: 65,
    maxConcurrency: 66,
    maxWaiting: 67,
    maxInputBytes: 68,
    maxOutputBytes: 69,
    maxLogBytes: 70,
    maxHostCalls: 71,
    maxTriggers: 72,
    maxSecrets: 73,
    logRetention: 60_000,
  },
  egress: {
    allowHosts: undefined,
    denyHosts: [],
    ports: ["80", "8000-8999"],
    methods: undefined,
    maxInFlight: 81,
    maxRequestBytes: 82,
    maxResponseBytes: 83,
    maxStreamBytes: 84,
    maxDuration: 85,
    maxStreamDuration: 86,
    maxRedirects: 87,
  },
  webhooks: {
    maxEndpoints: 91,
    maxEventBytes: 92,
    maxWaiting: 93,
    maxWaitingBytes: 194,
    maxInFlight: 95,
    maxRemembered: 96,
    deliveredRetention: 97,
    deadRetention: 98,
  },
};

async function shop() {
  const node = await Node.start();
  await node.namespace("shop", ALICE);
  await node.namespace("cafe", BOB);
  return Object.assign(settingsOn(node), { node, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() });
}

/** What holds at once: nobody may wait for rules that are known. */
function nowOf(rules: NamespaceRules | Promise<NamespaceRules>): NamespaceRules {
  ok(!(rules instanceof Promise), "they are known");
  return rules;
}

const stored = async (node: Node) =>
  (await node.database.run<{ namespace: string; settings: string; limits: string; version: number }>(
    node.database.db.selectFrom("namespace_settings").selectAll().orderBy("namespace"),
  )).rows;

Deno.test("a namespace for which nobody set anything has the defaults, and no row", async () => {
  await using t = await shop();
  deepEqual(await t.settings.rulesOf("shop"), DEFAULT_RULES);
  deepEqual(await t.settings.settings("shop", CONTEXT), {
    values: {
      sql: NOTHING_SET,
      cache: { near: null },
      storage: { encrypt: null },
      pubsub: NO_PUBSUB_SETTINGS,
      functions: NO_FUNCTION_SETTINGS,
      egress: NO_EGRESS_SETTINGS,
    },
    effective: {
      sql: DEFAULTS_OF_SETTINGS,
      cache: { near: [] },
      storage: { encrypt: false },
      pubsub: { history_size: 40, history_ttl: 41_000, slow_readers: "close", origins: null },
      functions: { log_retention: 60_000 },
      egress: { allow_hosts: null, deny_hosts: [], ports: ["80", "8000-8999"], methods: null },
    },
    version: 0,
  });
  deepEqual(await t.settings.limits("shop", CONTEXT), {
    values: {
      sql: NO_LIMITS,
      cache: NO_CACHE_LIMITS,
      storage: NO_STORAGE_LIMITS,
      pubsub: NO_PUBSUB_LIMITS,
      functions: NO_FUNCTION_LIMITS,
      egress: NO_EGRESS_LIMITS,
      webhooks: NO_WEBHOOK_LIMITS,
    },
    effective: {
      sql: DEFAULTS.sql.limits,
      cache: DEFAULTS.cache.limits,
      storage: DEFAULTS.storage.limits,
      pubsub: DEFAULTS.pubsub.limits,
      functions: DEFAULTS.functions.limits,
      egress: DEFAULTS.egress.limits,
      webhooks: DEFAULTS.webhooks.limits,
    },
    version: 0,
  });
  deepEqual(await stored(t.node), []);
});

Deno.test("a change names what it changes, the rest stays, and null gives it back", async () => {
  await using t = await shop();
  const change = (sql: Parameters<typeof t.settings.changeSettings>[1]["sql"]) =>
    t.settings.changeSettings("shop", { sql }, alice, CONTEXT);
  await change({ read_level: "strong", freshness: 0 });
  const second = await change({ statement_timeout: 5, read_level: undefined });
  deepEqual(second.values.sql, { ...NOTHING_SET, read_level: "strong", freshness: 0, statement_timeout: 5 });
  equal(second.version, 2);
  const third = await change({ read_level: null });
  deepEqual(third.values.sql, { ...NOTHING_SET, freshness: 0, statement_timeout: 5 });
  const { sql } = nowOf(await t.settings.rulesOf("shop"));
  deepEqual([sql.level, sql.freshness, sql.timeout, sql.maxTimeout], [undefined, 0, 5, 30_000]);
  deepEqual(await t.settings.rulesOf("cafe"), DEFAULT_RULES, "another namespace has its own");
});

Deno.test("what changes nothing is neither written, counted nor audited", async () => {
  await using t = await shop();
  await t.settings.changeSettings("shop", { sql: { freshness: 7 } }, alice, CONTEXT);
  const events = (await t.node.audit.list("shop", { limit: 100 }, CONTEXT)).length;
  for (
    const change of [{}, { sql: {} }, { sql: { freshness: 7 } }, { sql: { read_level: null } }, { sql: undefined }]
  ) {
    equal((await t.settings.changeSettings("shop", change, alice, CONTEXT)).version, 1);
  }
  equal((await t.node.audit.list("shop", { limit: 100 }, CONTEXT)).length, events);
});

Deno.test("a change that another gateway made already is in force here when it is answered", async () => {
  await using t = await shop();
  const { settings: other } = settingsOn(t.node);
  equal((await t.settings.rulesOf("shop")).sql.level, undefined);
  await other.changeSettings("shop", { sql: { read_level: "none" } }, alice, CONTEXT);
  equal(nowOf(await t.settings.rulesOf("shop")).sql.level, undefined, "nobody told this one");
  await t.settings.changeSettings("shop", { sql: { read_level: "none" } }, alice, CONTEXT);
  equal(nowOf(await t.settings.rulesOf("shop")).sql.level, "none");
});

Deno.test("a change is in the audit log with what was there before", async () => {
  await using t = await shop();
  await t.settings.changeSettings("shop", { sql: { read_level: "none" } }, alice, CONTEXT);
  await t.settings.changeLimits("shop", { sql: { bulk_rows: 9, database_bytes: 0 } }, operator, CONTEXT, false);
  const [limits, settings] = await t.node.audit.list("shop", { limit: 2 }, CONTEXT);
  deepEqual([settings!.actor, settings!.action, settings!.resource, settings!.details], [
    ALICE,
    "settings.changed",
    "shop",
    { changes: { "sql.read_level": { before: null, after: "none" } } },
  ]);
  deepEqual([limits!.actor, limits!.action, limits!.details], ["key:operator", "limits.changed", {
    changes: { "sql.bulk_rows": { before: null, after: 9 }, "sql.database_bytes": { before: null, after: 0 } },
  }]);
});

Deno.test("a setting beyond its limit is refused with its name, whoever set the limit", async () => {
  await using t = await shop();
  const set = (statement_timeout: number) =>
    t.settings.changeSettings("shop", { sql: { statement_timeout } }, alice, CONTEXT);
  await rejects(set(30_001), (error: GatewayError) => {
    deepEqual([error.code, error.extra.details], ["INVALID_REQUEST", [{
      field: "sql.statement_timeout",
      problem: "at most 30000 ms, which is the limit of this namespace",
    }]]);
    return true;
  });
  await set(30_000);
  await t.settings.changeLimits("shop", { sql: { statement_timeout: 60_000 } }, operator, CONTEXT, false);
  await set(60_000);
  await t.settings.changeLimits("shop", { sql: { statement_timeout: 100 } }, operator, CONTEXT, false);
  const now = await t.settings.settings("shop", CONTEXT);
  deepEqual([now.values.sql.statement_timeout, now.effective.sql.statement_timeout], [60_000, 100]);
  const { sql } = nowOf(await t.settings.rulesOf("shop"));
  deepEqual([sql.timeout, sql.maxTimeout], [100, 100]);
  await t.settings.changeSettings("shop", { sql: { read_level: "weak" } }, alice, CONTEXT);
});

Deno.test("the gateway's default is cut off at the limit too", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  const { settings } = settingsOn(node, { ...DEFAULTS, sql: { ...DEFAULTS.sql, statement_timeout: 99_000 } });
  equal((await settings.rulesOf("shop")).sql.timeout, 30_000);
});

Deno.test("how much of the changes is kept the owner says, within what the operator allows", async () => {
  await using t = await shop();
  const { settings } = t;
  const kept = async () => {
    const { retainedChanges, changeRetention } = (await settings.rulesOf("shop")).sql;
    return [retainedChanges, changeRetention];
  };
  const set = (retained_changes: number | null, change_retention: number | null) =>
    settings.changeSettings("shop", { sql: { retained_changes, change_retention } }, alice, CONTEXT);
  deepEqual(await kept(), [500, 3_600_000]);
  const { effective } = await set(6_000, 60_000);
  deepEqual([effective.sql.retained_changes, effective.sql.change_retention], [6_000, 60_000]);
  deepEqual(await kept(), [6_000, 60_000]);
  await rejects(set(6_001, 7_200_001), (error: GatewayError) => {
    deepEqual(error.extra.details, [
      { field: "sql.retained_changes", problem: "at most 6000, which is the limit of this namespace" },
      { field: "sql.change_retention", problem: "at most 7200000 ms, which is the limit of this namespace" },
    ]);
    return true;
  });
  const limits = { retained_changes: 100, change_retention: 30_000 };
  await settings.changeLimits("shop", { sql: limits }, operator, CONTEXT, false);
  deepEqual(await kept(), [100, 30_000], "a limit cuts off what was set before, and the defaults");
  await settings.changeLimits("shop", { sql: { ...limits, retained_changes: 10_000 } }, operator, CONTEXT, false);
  await set(null, null);
  deepEqual(await kept(), [500, 30_000], "a limit is no wish");
});

Deno.test("setting all limits gives those back that are not named; the owner's settings stay", async () => {
  await using t = await shop();
  const { settings } = t;
  await settings.changeSettings("shop", { sql: { freshness: 3 } }, alice, CONTEXT);
  await settings.changeLimits("shop", { sql: { bulk_rows: 5, rows_per_answer: 6 } }, operator, CONTEXT, false);
  const after = await settings.changeLimits("shop", { sql: { bulk_rows: 8 } }, operator, CONTEXT, true);
  deepEqual(after.values.sql, { ...NO_LIMITS, bulk_rows: 8 });
  deepEqual((await settings.changeLimits("shop", {}, operator, CONTEXT, true)).values.sql, NO_LIMITS);
  equal((await settings.settings("shop", CONTEXT)).values.sql.freshness, 3);
});

Deno.test("every limit reaches the rules under its own name", async () => {
  await using t = await shop();
  const sql = {
    statement_timeout: 1,
    database_bytes: 2,
    rows_per_answer: 3,
    bytes_per_answer: 4,
    statements_in_flight: 5,
    bulk_rows: 6,
    retained_changes: 7,
    change_retention: 8,
  };
  const cache = { value_bytes: 1, bytes: 0, scan_keys: 3, lock_waiters: 4 };
  const storage = { object_bytes: 1, bytes: 2, objects: 0, uploads_in_flight: 4, entries: 5 };
  const pubsub = {
    message_bytes: 1,
    history_messages: 2,
    history_ttl: 3,
    history_bytes: 4,
    publish_rate: 0,
    sockets: 6,
    topics: 7,
    topics_per_socket: 8,
    credential_share: 10,
    guest_share: 11,
    queue_bytes: 9,
  };
  const functions = {
    functions: 1,
    versions: 2,
    module_bytes: 3,
    memory: 4 * 2 ** 20,
    timeout: 5,
    concurrency: 6,
    waiting: 7,
    input_bytes: 8,
    output_bytes: 9,
    log_bytes: 10,
    host_calls: 11,
    triggers: 12,
    secrets: 13,
    log_retention: 14,
  };
  const egress = {
    requests_in_flight: 1,
    request_bytes: 2,
    response_bytes: 3,
    stream_bytes: 0,
    duration: 5,
    stream_duration: 6,
    redirects: 7,
  };
  const webhooks = {
    endpoints: 0,
    event_bytes: 2,
    waiting: 3,
    waiting_bytes: 4,
    requests_in_flight: 5,
    remembered: 6,
    delivered_retention: 7,
    dead_retention: 8,
  };
  const all = { sql, cache, storage, pubsub, functions, egress, webhooks };
  const { values, effective } = await t.settings.changeLimits("shop", all, operator, CONTEXT, false);
  deepEqual([values, effective], [all, all]);
  const rules = await t.settings.rulesOf("shop");
  deepEqual(rules.sql, {
    level: undefined,
    freshness: undefined,
    timeout: 1,
    maxTimeout: 1,
    maxDatabaseBytes: 2,
    maxRows: 3,
    maxAnswerBytes: 4,
    maxInFlight: 5,
    maxBulkRows: 6,
    retainedChanges: 7,
    changeRetention: 8,
  });
  deepEqual(rules.cache, { maxValueBytes: 1, maxBytes: 0, maxScanKeys: 3, maxLockWaiters: 4, near: new Map() });
  deepEqual(rules.storage, {
    maxObjectBytes: 1,
    maxBytes: 2,
    maxObjects: 0,
    maxUploads: 4,
    maxEntries: 5,
    encrypt: false,
  });
  deepEqual(rules.pubsub, {
    maxMessageBytes: 1,
    historySize: 2,
    historyTtl: 3,
    maxHistoryBytes: 4,
    publishRate: 0,
    maxSockets: 6,
    maxTopics: 7,
    maxTopicsPerSocket: 8,
    credentialShare: 10,
    guestShare: 11,
    maxQueueBytes: 9,
    slowPolicy: "close",
    maxMetaBytes: 4_096,
    origins: undefined,
  });
  deepEqual(rules.functions, {
    maxFunctions: 1,
    maxVersions: 2,
    maxModuleBytes: 3,
    maxMemory: 4,
    maxTimeout: 5,
    maxConcurrency: 6,
    maxWaiting: 7,
    maxInputBytes: 8,
    maxOutputBytes: 9,
    maxLogBytes: 10,
    maxHostCalls: 11,
    maxTriggers: 12,
    maxSecrets: 13,
    logRetention: 14,
  });
  deepEqual(rules.egress, {
    allowHosts: undefined,
    denyHosts: [],
    ports: ["80", "8000-8999"],
    methods: undefined,
    maxInFlight: 1,
    maxRequestBytes: 2,
    maxResponseBytes: 3,
    maxStreamBytes: 0,
    maxDuration: 5,
    maxStreamDuration: 6,
    maxRedirects: 7,
  });
  deepEqual(rules.webhooks, {
    maxEndpoints: 0,
    maxEventBytes: 2,
    maxWaiting: 3,
    maxWaitingBytes: 4,
    maxInFlight: 5,
    maxRemembered: 6,
    deliveredRetention: 7,
    deadRetention: 8,
  });
});

Deno.test("no namespace is given more for its functions than the processes are, and are started with", async () => {
  await using t = await shop();
  const limits = { functions: { memory: 300 * 2 ** 20, concurrency: 90, output_bytes: 60_000_000 } };
  const { values, effective } = await t.settings.changeLimits("shop", limits, operator, CONTEXT, false);
  deepEqual([values.functions.memory, effective.functions.memory], [300 * 2 ** 20, 100 * 2 ** 20]);
  deepEqual([values.functions.concurrency, effective.functions.concurrency], [90, 80]);
  deepEqual([values.functions.output_bytes, effective.functions.output_bytes], [60_000_000, 50_000_000]);
  const { maxMemory, maxConcurrency } = (await t.settings.rulesOf("shop")).functions;
  deepEqual([maxMemory, maxConcurrency], [100, 80]);
});

Deno.test("no namespace sends more at once to its webhooks than its gateway, nor events that find no room", async () => {
  await using t = await shop();
  const limits = { webhooks: { requests_in_flight: 100, event_bytes: 2_000, waiting_bytes: 1_500 } };
  const { values, effective } = await t.settings.changeLimits("shop", limits, operator, CONTEXT, false);
  deepEqual([values.webhooks.requests_in_flight, effective.webhooks.requests_in_flight], [100, 99]);
  deepEqual([values.webhooks.event_bytes, effective.webhooks.event_bytes], [2_000, 1_500]);
  const { maxInFlight, maxEventBytes } = (await t.settings.rulesOf("shop")).webhooks;
  deepEqual([maxInFlight, maxEventBytes], [99, 1_500]);
  deepEqual((await t.settings.rulesOf("cafe")).webhooks, DEFAULT_RULES.webhooks, "another namespace's are its own");
});

Deno.test("how long functions' logs are kept is the owner's to say, within the limit", async () => {
  await using t = await shop();
  const change = (log_retention: number | null) =>
    t.settings.changeSettings("shop", { functions: { log_retention } }, alice, CONTEXT);
  const retention = async () => (await t.settings.rulesOf("shop")).functions.logRetention;
  await change(70_000);
  equal(await retention(), 70_000);
  await rejects(change(74_001), (error: GatewayError) => {
    deepEqual(error.extra.details, [{
      field: "functions.log_retention",
      problem: "at most 74000 ms, which is the limit of this namespace",
    }]);
    return error.code === "INVALID_REQUEST";
  });
  await t.settings.changeLimits("shop", { functions: { log_retention: 5_000 } }, operator, CONTEXT, false);
  equal(await retention(), 5_000);
  await change(null);
  equal(await retention(), 5_000);
});

Deno.test("an owner has uploads encrypted that do not say", async () => {
  await using t = await shop();
  const { effective } = await t.settings.changeSettings("shop", { storage: { encrypt: true } }, alice, CONTEXT);
  deepEqual([effective.storage, (await t.settings.rulesOf("shop")).storage.encrypt], [{ encrypt: true }, true]);
});

Deno.test("maps with a near cache are set as a whole, live no longer than the gateway allows, and are given back", async () => {
  await using t = await shop();
  const change = (near: readonly NearMap[] | null) =>
    t.settings.changeSettings("shop", { cache: { near } }, alice, CONTEXT);
  const nearNow = async () => [...nowOf(await t.settings.rulesOf("shop")).cache.near];
  await t.settings.rulesOf("shop");
  const users = { dmap: "users", ttl: 3_000 }, odd = { dmap: "__proto__", ttl: 10 };
  const first = await change([users, odd]);
  deepEqual([first.values.cache, first.effective.cache], [{ near: [users, odd] }, { near: [users, odd] }]);
  deepEqual(await nearNow(), [["users", 3_000], ["__proto__", 10]]);
  equal((await change([{ ...users }, { ...odd }])).version, 1, "the same once more is no change");
  deepEqual((await change([odd])).values.cache.near, [odd]);
  deepEqual(await nearNow(), [["__proto__", 10]]);
  const beyond = change([odd, { ...users, ttl: 3_001 }]);
  await rejects(beyond, code("INVALID_REQUEST", /cache\.near\.1\.ttl: at most 3000 ms/));
  deepEqual((await change(null)).effective.cache.near, []);
  deepEqual(await nearNow(), []);
  const changes = (await t.node.audit.list("shop", { limit: 3 }, CONTEXT)).map(({ details }) => details);
  deepEqual(changes.toReversed(), [
    { changes: { "cache.near": { before: null, after: [users, odd] } } },
    { changes: { "cache.near": { before: [users, odd], after: [odd] } } },
    { changes: { "cache.near": { before: [odd], after: null } } },
  ]);
});

Deno.test("where a gateway allows less than another, or has no near cache, what was set stays and that holds", async () => {
  await using t = await shop();
  const near = [{ dmap: "users", ttl: 3_000 }];
  await t.settings.changeSettings("shop", { cache: { near } }, alice, CONTEXT);
  const gatewayWith = (rest: Partial<typeof DEFAULTS.cache.near>) =>
    settingsOn(t.node, { ...DEFAULTS, cache: { ...DEFAULTS.cache, near: { ...DEFAULTS.cache.near, ...rest } } });
  const { settings: shorter } = gatewayWith({ max_ttl: 500 });
  const seen = await shorter.settings("shop", CONTEXT);
  deepEqual([seen.values.cache.near, seen.effective.cache.near], [near, [{ dmap: "users", ttl: 500 }]]);
  deepEqual([...(await shorter.rulesOf("shop")).cache.near], [["users", 500]]);
  const { settings: without } = gatewayWith({ available: false });
  equal((await without.changeSettings("shop", { cache: { near } }, alice, CONTEXT)).version, 1, "it may be asked for");
  deepEqual((await without.settings("shop", CONTEXT)).effective.cache.near, []);
  deepEqual([...(await without.rulesOf("shop")).cache.near], []);
  const beyond = without.changeSettings("shop", { cache: { near: [{ dmap: "m", ttl: 3_001 }] } }, alice, CONTEXT);
  await rejects(beyond, code("INVALID_REQUEST"));
});

Deno.test("two changes at once are both made, in whatever order", async () => {
  const orders = await everySchedule(async (schedule) => {
    await using node = await Node.start();
    await node.namespace("shop", ALICE);
    const parts = { revocations: node.revocations, audit: node.audit, clock: node.clock };
    const on = () => settingsOn({ ...parts, control: schedule.client(node.database) }).settings;
    const [one, two] = [on(), on()];
    await schedule.run<unknown>([
      () => one.changeSettings("shop", { sql: { freshness: 1 } }, alice, CONTEXT),
      () => two.changeLimits("shop", { sql: { bulk_rows: 2 } }, operator, CONTEXT, false),
    ]);
    const [row] = await stored(node);
    deepEqual([JSON.parse(row!.settings).sql.freshness, JSON.parse(row!.limits).sql.bulk_rows, row!.version], [
      1,
      2,
      2,
    ]);
  });
  ok(orders > 2, String(orders));
});

Deno.test("who is never fast enough is told so", async () => {
  await using t = await shop();
  const rival = settingsOn(await t.node.another()).settings;
  let freshness = 0;
  t.node.control.before = async (sql) => {
    if (!sql.includes('insert into "audit_events"')) return;
    await rival.changeSettings("shop", { sql: { freshness: freshness++ } }, alice, CONTEXT);
  };
  const late = t.settings.changeSettings("shop", { sql: { read_level: "none" } }, alice, CONTEXT);
  await rejects(late, code("CONFLICT", /elsewhere/));
});

Deno.test("a change does not reach a namespace that took the name meanwhile", async () => {
  await using t = await shop();
  const { database, clock } = t.node;
  const other = await t.node.another();
  t.node.control.before = async (sql) => {
    if (!sql.includes('insert into "audit_events"')) return;
    t.node.control.before = () => {};
    await database.run(database.db.deleteFrom("namespaces").where("name", "=", "shop"));
    clock.advance(1);
    await other.namespace("shop", BOB);
  };
  const late = t.settings.changeSettings("shop", { sql: { freshness: 4 } }, alice, CONTEXT);
  await rejects(late, code("CONFLICT"));
  deepEqual(await stored(t.node), []);
});

Deno.test("a namespace that does not exist, or is being deleted, has neither settings nor limits", async () => {
  await using t = await shop();
  await t.node.namespaces.delete("shop", alice, CONTEXT);
  for (const name of ["shop", "nothing", "", "__proto__", "constructor"]) {
    await rejects(t.settings.settings(name, CONTEXT), code("NOT_FOUND"));
    await rejects(t.settings.limits(name, CONTEXT), code("NOT_FOUND"));
    await rejects(t.settings.changeSettings(name, { sql: { freshness: 1 } }, alice, CONTEXT), code("NOT_FOUND"));
    await rejects(t.settings.changeLimits(name, {}, operator, CONTEXT, true), code("NOT_FOUND"));
    deepEqual(await t.settings.rulesOf(name), DEFAULT_RULES);
  }
  deepEqual(await stored(t.node), []);
});

Deno.test("values of a newer gateway outlive a change by an older one", async () => {
  await using t = await shop();
  const { database } = t.node;
  const settings = JSON.stringify({ sql: { freshness: 1, colour: "red" }, cache: { ttl: 5 }, later: { ttl: 5 } });
  await database.run(
    database.db.insertInto("namespace_settings").values({ namespace: "shop", settings, limits: "{}", version: 3 }),
  );
  const before = await t.settings.settings("shop", CONTEXT);
  deepEqual([before.values, before.version], [{
    sql: { ...NOTHING_SET, freshness: 1 },
    cache: { near: null },
    storage: { encrypt: null },
    pubsub: NO_PUBSUB_SETTINGS,
    functions: NO_FUNCTION_SETTINGS,
    egress: NO_EGRESS_SETTINGS,
  }, 3]);
  await t.settings.changeSettings("shop", { sql: { freshness: 2 } }, alice, CONTEXT);
  const [row] = await stored(t.node);
  const after = { sql: { freshness: 2, colour: "red" }, cache: { ttl: 5 }, later: { ttl: 5 } };
  deepEqual(JSON.parse(row!.settings), after);
});

Deno.test("a change holds here when its call ends, and on another gateway once it heard of it", async () => {
  await using t = await shop();
  const other = await t.node.another();
  const { settings: remote } = settingsOn(other);
  for (const one of [t.settings, remote]) equal((await one.rulesOf("shop")).sql.maxRows, 100);
  await t.settings.changeLimits("shop", { sql: { rows_per_answer: 1 } }, operator, CONTEXT, false);
  equal(nowOf(t.settings.rulesOf("shop")).sql.maxRows, 1);
  equal(nowOf(remote.rulesOf("shop")).sql.maxRows, 100);
  await other.revocations.pull();
  await until("the other gateway has read them", () => nowOf(remote.rulesOf("shop")).sql.maxRows === 1);
});

Deno.test("a gateway that looks twice a second knows a change within a second", async () => {
  await using t = await shop();
  const other = await t.node.another();
  const { settings: remote } = settingsOn(other);
  await remote.rulesOf("shop");
  await other.revocations.start();
  await t.settings.changeLimits("shop", { sql: { rows_per_answer: 1 } }, operator, CONTEXT, false);
  const start = performance.now();
  await until("the change is known", () => nowOf(remote.rulesOf("shop")).sql.maxRows === 1);
  ok(performance.now() - start < 1_000, `${performance.now() - start} ms`);
  other.revocations.stop();
});

Deno.test("a name that was deleted and taken again has nothing of the one before, on any gateway", async () => {
  await using t = await shop();
  const other = await t.node.another();
  const { settings: remote } = settingsOn(other);
  await t.settings.changeLimits("shop", { sql: { rows_per_answer: 1 } }, operator, CONTEXT, false);
  for (const one of [t.settings, remote]) equal((await one.rulesOf("shop")).sql.maxRows, 1);
  await t.node.namespaces.delete("shop", alice, CONTEXT);
  await other.revocations.pull();
  for (const one of [t.settings, remote]) equal((await one.rulesOf("shop")).sql.maxRows, 1, "it is still there");
  await t.node.database.run(t.node.database.db.deleteFrom("namespaces").where("name", "=", "shop"));
  deepEqual((await stored(t.node)).length, 0, "the row goes with its namespace");
  await t.node.namespace("shop", BOB);
  for (const one of [t.settings, remote]) deepEqual(await one.rulesOf("shop"), DEFAULT_RULES);
});

Deno.test("while the control plane is down, rules that are known hold, and others are the defaults", async () => {
  await using t = await shop();
  await t.settings.changeLimits("shop", { sql: { rows_per_answer: 1 } }, operator, CONTEXT, false);
  await t.settings.rulesOf("shop");
  t.node.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "down");
  };
  equal(nowOf(t.settings.rulesOf("shop")).sql.maxRows, 1);
  deepEqual(await t.settings.rulesOf("cafe"), {
    ...DEFAULT_RULES,
    sql: { ...DEFAULT_RULES.sql, retainedChanges: Infinity, changeRetention: Infinity },
    pubsub: { ...DEFAULT_RULES.pubsub, historySize: 430, historyTtl: 44_000 },
    functions: { ...DEFAULT_RULES.functions, logRetention: 74_000 },
    egress: { ...DEFAULT_RULES.egress, allowHosts: [], assumed: true },
    webhooks: {
      ...DEFAULT_RULES.webhooks,
      maxRemembered: Infinity,
      deliveredRetention: Infinity,
      deadRetention: Infinity,
    },
  }, "nothing that was to be kept is given up on a guess, and nothing reached that may be forbidden");
  equal(t.errors.length, 1);
  await rejects(t.settings.settings("shop", CONTEXT), code("UNAVAILABLE"));
  await rejects(t.settings.changeSettings("shop", { sql: { freshness: 1 } }, alice, CONTEXT), code("UNAVAILABLE"));
  t.node.control.before = () => {};
  equal((await t.settings.rulesOf("shop")).sql.maxRows, 1);
});

Deno.test("a change whose answer was lost is told as such, and holds once it is heard of", async () => {
  await using t = await shop();
  await t.settings.rulesOf("shop");
  t.node.control.after = (sql) => {
    if (!sql.includes('insert into "audit_events"')) return;
    t.node.control.after = () => {};
    throw new GatewayError("OUTCOME_UNKNOWN", "lost");
  };
  const lost = t.settings.changeLimits("shop", { sql: { rows_per_answer: 1 } }, operator, CONTEXT, false);
  await rejects(lost, code("OUTCOME_UNKNOWN"));
  await t.node.revocations.pull();
  await until("it is known", () => nowOf(t.settings.rulesOf("shop")).sql.maxRows === 1);
});

Deno.test("what is stored in another form than this gateway's counts as not set", async () => {
  await using t = await shop();
  const { database } = t.node;
  const row = { namespace: "shop", settings: '{"sql":[],"x":1}', limits: '{"sql":null}', version: 1 };
  await database.run(database.db.insertInto("namespace_settings").values(row));
  deepEqual(await t.settings.rulesOf("shop"), DEFAULT_RULES);
  equal((await t.settings.changeSettings("shop", { sql: { freshness: 2 } }, alice, CONTEXT)).values.sql.freshness, 2);
  for (const near of [{ users: "1s" }, "users", [null], ["users"], [{ dmap: "users" }], [{ dmap: 1, ttl: 1 }], 5]) {
    const settings = JSON.stringify({ cache: { near } });
    await database.run(database.db.updateTable("namespace_settings").set({ settings }));
    const { settings: another } = settingsOn(t.node);
    deepEqual(await another.rulesOf("shop"), DEFAULT_RULES, settings);
  }
  for (const log_retention of ["1d", -1, 0.5, [1]]) {
    const settings = JSON.stringify({ functions: { log_retention } });
    await database.run(database.db.updateTable("namespace_settings").set({ settings }));
    deepEqual(await settingsOn(t.node).settings.rulesOf("shop"), DEFAULT_RULES, settings);
  }
});
