import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner, type SignedIn, uniqueName } from "../support/accounts.ts";
import { EventReader } from "../support/event_reader.ts";
import { TestGateway } from "../support/gateway.ts";
import { RawConnection } from "../support/raw_http.ts";
import { SqlCaller } from "../support/sql.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver, startTestDatabase } from "../support/test_database.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite();
const { test } = suite;

/** One credential's way to SQL and its feed, on one gateway. */
class Changes extends SqlCaller {
  constructor(readonly gateway: TestGateway, readonly key: string) {
    super(gateway, { key });
  }
  on(table: string, columns?: string[]) {
    return this.gateway.call("POST", "/v1/rqlite/changes/tables", { key: this.key, body: { table, columns } });
  }
  off(table: string) {
    return this.gateway.call("DELETE", `/v1/rqlite/changes/tables/${encodeURIComponent(table)}`, { key: this.key });
  }
  log(query = "") {
    return this.gateway.call("GET", `/v1/rqlite/changes/log${query}`, { key: this.key });
  }
  open(tables: string, headers: Record<string, string> = {}, more = "") {
    const url = `${this.gateway.url}/v1/rqlite/changes?tables=${encodeURIComponent(tables)}${more}`;
    return EventReader.open(url, { "x-api-key": this.key, ...headers });
  }
  /** Listens, once the stream says that it does. */
  async listen(tables: string, headers: Record<string, string> = {}, more = ""): Promise<EventReader> {
    const reader = await this.open(tables, headers, more);
    equal(reader.response.status, 200, reader.response.statusText);
    await reader.take(1, ["ready"]);
    return reader;
  }
}

const changesOf = ({ apiKey }: Pick<SignedIn, "apiKey">, gateway = suite.gateway) => new Changes(gateway, apiKey);

async function prepared(owner: SignedIn, gateway = suite.gateway): Promise<Changes> {
  const db = changesOf(owner, gateway);
  await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
  (await db.on("t")).expect(200);
  return db;
}

test("changes come as events, and the log has the same", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  await using reader = await db.listen("T");
  equal(reader.response.headers.get("content-type"), "text/event-stream");
  match(reader.response.headers.get("cache-control")!, /no-store/);
  await db.run("INSERT INTO t VALUES (1, 9007199254740993)", "UPDATE t SET a = 'é\n😀'", "DELETE FROM t");
  const events = await reader.take(3);
  deepEqual(events.map(({ event }) => event), ["insert", "update", "delete"]);
  match(events[0]!.data, /"key":{"id":1},"before":null,"after":{"id":1,"a":9007199254740993}}$/);
  equal(JSON.parse(events[1]!.data).after.a, "é\n😀");
  const { text } = (await db.log("?tables=t")).expect(200);
  equal(
    text.startsWith(`{"changes":[${events.map(({ data }) => data).join(",")}],"count":3,"next":"${events[2]!.id}"`),
    true,
  );
  const page = (await db.log(`?since=${events[0]!.id}&limit=1&integers=string`)).expect(200);
  deepEqual([page.get("changes.0.event"), page.get("changes.0.before.a"), page.get("more")], [
    "update",
    "9007199254740993",
    true,
  ]);
});

test("a listener that comes back misses nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const first = await db.listen("t");
  const { lastId: ready } = first;
  await first[Symbol.asyncDispose]();
  await db.run("INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (2, 2)");
  await using again = await db.listen("t", { "last-event-id": ready! }, "&since=now");
  const [one] = await again.take(2);
  await using later = await db.listen("t", {}, `&since=${one!.id}`);
  deepEqual((await later.take(1)).map(({ data }) => JSON.parse(data).key.id), [2]);
});

test("nobody hears of another namespace's changes, nor without the scope", async () => {
  await using one = await newOwner(suite.gateway);
  const db = await prepared(one);
  await using two = await newOwner(suite.gateway, uniqueName(), ethereumWallet());
  const other = await prepared(two);
  await using reader = await db.listen("t");
  const otherEpoch = (await other.log("?since=now")).string("next");
  await other.run("INSERT INTO t VALUES (1, 'secret of two')");
  await db.run("INSERT INTO t VALUES (1, 'of one')");
  const [event] = await reader.take(1);
  match(event!.data, /of one/);
  equal(reader.events.some(({ data }) => data.includes("secret")), false);
  equal((await db.log(`?since=${otherEpoch}`)).expect(410).string("code"), "POSITION_GONE");
  const key = async (scopes: string[]) => {
    const body = { name: "narrow", scopes };
    const answer = await suite.gateway.call("POST", "/v1/auth/keys", { token: one.accessToken, body });
    return new Changes(suite.gateway, answer.expect(201).string("api_key"));
  };
  const [reading, writing] = [await key(["sql:read"]), await key(["sql:write", "sql:admin"])];
  equal((await reading.on("t")).expect(403).string("code"), "INSUFFICIENT_SCOPE");
  equal((await reading.off("t")).status, 403);
  equal((await writing.log()).status, 403);
  await using refused = await writing.open("t");
  equal(refused.response.status, 403);
  await using stranger = await EventReader.open(`${suite.gateway.url}/v1/rqlite/changes?tables=t`, {});
  equal(stranger.response.status, 401);
}, { namespaces: 2 });

test("a listener whose key is revoked is cut off within a second", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const made = (await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "to go", scopes: ["sql:read"] },
  })).expect(201);
  await using reader = await new Changes(suite.gateway, made.string("api_key")).listen("t");
  const start = performance.now();
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token: owner.accessToken })).expect(200);
  await until("the stream has ended", () => reader.ended);
  ok(performance.now() - start < 1_500, `${performance.now() - start} ms`);
  match((await reader.take(1, ["failure"]))[0]!.data, /INVALID_CREDENTIAL/);
  await db.run("INSERT INTO t VALUES (1, 'after')");
  equal(reader.events.some(({ data }) => data.includes("after")), false);
});

test("a member that is removed hears no more", async () => {
  await using owner = await newOwner(suite.gateway);
  await prepared(owner);
  const member = await newMember(suite.gateway, owner, "viewer");
  await using reader = await changesOf(member).listen("t");
  const path = `/v1/namespaces/${owner.namespace}/members/${member.wallet.address}`;
  (await suite.gateway.call("DELETE", path, { token: owner.accessToken })).expect(200);
  await until("the stream has ended", () => reader.ended);
});

test("a thousand rows of one transaction come in order, and those of a failed one not at all", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  await using reader = await db.listen("t");
  const rows = Array.from({ length: 1_000 }, (_, i) => `INSERT INTO t VALUES (${i}, 'x')`);
  equal((await db.call("transaction", { statements: [...rows.slice(1), rows[1]] })).status, 409);
  (await db.call("transaction", { statements: rows })).expect(200);
  const events = await reader.take(1_000);
  deepEqual(events.map(({ data }) => JSON.parse(data).key.id), [...rows.keys()]);
});

test("who never reads keeps nobody waiting and fills no memory", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const silent = await RawConnection.open(suite.gateway.url);
  await silent.send(`GET /v1/rqlite/changes?tables=t HTTP/1.1\r\nHost: x\r\nX-API-Key: ${owner.apiKey}\r\n\r\n`);
  await using reader = await db.listen("t");
  const before = suite.gateway.memory();
  const rows = 400;
  for (let i = 0; i < rows; i++) (await db.exec("INSERT INTO t VALUES (?, ?)", i, "x".repeat(200_000))).expect(200);
  await reader.take(rows);
  const grown = (suite.gateway.memory() - before) / 2 ** 20;
  ok(grown < 200, `${grown} MiB for ${rows * 0.2} MB of changes`);
  await silent.close();
});

test("so many listen as may; whoever leaves, or only asks for the head, leaves room", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  for (let i = 0; i < 70; i++) {
    (await suite.gateway.call("HEAD", "/v1/rqlite/changes?tables=t", { key: owner.apiKey })).expect(200);
  }
  const readers = await Promise.all(Array.from({ length: 64 }, () => db.listen("t")));
  const refused = await suite.gateway.call("GET", "/v1/rqlite/changes?tables=t", { key: owner.apiKey });
  equal(refused.expect(429).string("code"), "TOO_MANY_LISTENERS");
  match(refused.headers.get("retry-after")!, /^\d+$/);
  await db.run("INSERT INTO t VALUES (1, 'to all')");
  for (const reader of readers) await reader.take(1);
  const { key } = await suite.gateway.makeKey("--operator");
  const metrics = async () => (await suite.gateway.call("GET", "/metrics", { key })).expect(200).text;
  const text = await metrics();
  match(text, /^sql_change_listeners \d{2,}$/m);
  match(text, /^sql_change_events_total \d{2,}$/m);
  await Promise.all(readers.map((reader) => reader[Symbol.asyncDispose]()));
  await until("nobody listens", async () => /^sql_change_listeners 0$/m.test(await metrics()));
});

test("mistakes are refused with a sentence that names them", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const bad = [
    "",
    "?tables=",
    "?tables=,",
    "?tables=t&since=yesterday",
    "?tables=t&since=-1",
    "?tables=t&since=1",
    `?tables=t&since=${"0".repeat(16)}-99999999999999999999`,
    "?tables=t&since=' OR 1",
    "?tables=t&integers=x",
  ];
  for (const query of bad) {
    const answer = await suite.gateway.call("GET", `/v1/rqlite/changes${query}`, { key: owner.apiKey });
    equal(answer.expect(400).string("code"), "INVALID_REQUEST", query);
  }
  await using reader = await db.open("t", { "last-event-id": "x\u00ff" });
  equal(reader.response.status, 400);
  await using foreign = await db.listen("t", { "last-event-id": `${"0".repeat(16)}-5` });
  equal((await foreign.take(1))[0]!.event, "truncated");
  for (const query of ["?limit=0", "?limit=1001", "?limit=-1", "?limit=x", "?since=x"]) {
    (await db.log(query)).expect(400);
  }
  for (const table of ["nothing", "_orama_changes", "sqlite_schema", "t; DROP TABLE t"]) {
    (await db.on(table)).expect(404);
    (await db.off(table)).expect(404);
  }
  equal((await db.on("t", ["nothing"])).expect(400).get("details.0.field"), "columns.0");
  for (const body of [{}, { table: 1 }, { table: "" }, { table: "t", columns: "a" }]) {
    (await suite.gateway.call("POST", "/v1/rqlite/changes/tables", { key: owner.apiKey, body })).expect(400);
  }
});

test("tables may have any name, and a list of them too", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = changesOf(owner);
  const names = ['a,"b"', "c.d/e", "é 😀", "%2e"];
  for (const name of names) {
    await db.run(`CREATE TABLE "${name.replaceAll('"', '""')}" (x)`);
    (await db.on(name)).expect(200);
  }
  const list = names.map((name) => `"${name.replaceAll('"', '""')}"`).join(",");
  await using reader = await db.listen(list);
  for (const name of names) await db.run(`INSERT INTO "${name.replaceAll('"', '""')}" VALUES (1)`);
  deepEqual((await reader.take(4)).map(({ data }) => JSON.parse(data).table), names);
  const listed = (await suite.gateway.call("GET", "/v1/rqlite/changes/tables", { key: owner.apiKey })).expect(200);
  deepEqual(listed.list("tables").map(({ table }) => table), names.toSorted());
  for (const name of names) (await db.off(name)).expect(200);
  equal((await reader.take(8)).filter(({ event }) => event === "dropped").length, 4);
});

test("a definition of the table is followed, and its end told", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  await using reader = await db.listen("t");
  await db.run("ALTER TABLE t ADD COLUMN b DEFAULT 2", "ALTER TABLE t RENAME TO u", "ALTER TABLE u DROP COLUMN a");
  await db.run("INSERT INTO u (id) VALUES (7)");
  (await db.call("drop-table", { table: "u" })).expect(200);
  const [insert, dropped] = await reader.take(2);
  match(insert!.data, /"table":"u","key":{"id":7},"before":null,"after":{"id":7,"b":2}}$/);
  match(dropped!.data, /"event":"dropped","table":"u"/);
});

test("the description says that events come, and which", async () => {
  const document = (await suite.gateway.call("GET", "/openapi.json")).expect(200);
  const [operation] = [document.get("paths./v1/rqlite/changes.get") as Record<string, unknown>];
  ok(JSON.stringify(operation).includes("text/event-stream"));
  ok(String(operation!.description).includes("truncated"));
});

const alone = (name: string, fn: () => Promise<void>, ignore = false) =>
  Deno.test({ name, ignore: ignore || Deno.env.has("TEST_BASE_URL"), fn });

alone("a gateway has room for so many listeners in all, as it is configured, and says when to come back", async () => {
  await using gateway = await TestGateway.start({ driver: "sqlite", config: { database: { change_listeners: 3 } } });
  const [one, two] = [
    await prepared(await newOwner(gateway), gateway),
    await prepared(await newOwner(gateway), gateway),
  ];
  const readers = [await one.listen("t"), await one.listen("t"), await two.listen("t")];
  for (const { key } of [one, two]) {
    const refused = await gateway.call("GET", "/v1/rqlite/changes?tables=t", { key });
    deepEqual([refused.expect(429).string("code"), refused.headers.get("retry-after")], ["TOO_MANY_LISTENERS", "5"]);
    match(refused.string("error"), /^3 listen to this gateway already/);
    (await gateway.call("GET", "/v1/rqlite/changes/log", { key })).expect(200);
  }
  await readers[0]![Symbol.asyncDispose]();
  let again = await two.open("t");
  await until("there is room again", async () => {
    if (again.response.status === 200) return true;
    again = await two.open("t");
    return false;
  });
  await two.run("INSERT INTO t VALUES (1, 'heard')");
  for (const reader of [again, readers[2]!]) await reader.take(1);
  await Promise.all([again, ...readers.slice(1)].map((reader) => reader[Symbol.asyncDispose]()));
});

alone("a gateway that stops ends its streams at once, and one that is killed costs nothing", async () => {
  await using database = await startTestDatabase(chosenDriver());
  const folder = await Deno.makeTempDir({ prefix: "orama-changes-" });
  try {
    const started = () => TestGateway.start({ database, folder });
    const first = await started();
    const owner = await newOwner(first);
    const db = await prepared(owner, first);
    const reader = await db.listen("t");
    await db.run("INSERT INTO t VALUES (1, 'heard')");
    await reader.take(1);
    const start = performance.now();
    equal(await first.stop(), 0);
    ok(reader.ended, "the stream has ended");
    ok(performance.now() - start < 5_000, "nobody waited for it");
    const second = await started();
    const later = changesOf(owner, second);
    const again = await later.listen("t", { "last-event-id": reader.lastId! });
    await later.run("INSERT INTO t VALUES (2, 'heard')");
    await again.take(1);
    await later.run("INSERT INTO t VALUES (3, 'perhaps unheard')");
    second.signal("SIGKILL");
    await until("the stream has ended", () => again.ended);
    await second.stop().catch(() => {});
    await using third = await started();
    await using last = await changesOf(owner, third).listen("t", { "last-event-id": again.lastId! });
    await changesOf(owner, third).run("INSERT INTO t VALUES (4, 'heard')");
    const heard = () => [...again.events, ...last.events].filter(({ event }) => event === "insert");
    await until("all have come", () => heard().some(({ data }) => data.includes('"id":4}')));
    deepEqual([...new Set(heard().map(({ data }) => JSON.parse(data).key.id))], [2, 3, 4]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

alone("what one gateway writes is heard on another", async () => {
  await using second = await suite.gateway.twin();
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  await using reader = await changesOf(owner, second).listen("t");
  for (let i = 0; i < 20; i++) await db.run(`INSERT INTO t VALUES (${i}, 'x')`);
  deepEqual((await reader.take(20)).map(({ data }) => JSON.parse(data).key.id), [...Array(20).keys()]);
  await changesOf(owner, second).run("ALTER TABLE t ADD COLUMN b", "INSERT INTO t (id) VALUES (50)");
  match((await reader.take(21)).at(-1)!.data, /"b":null/);
}, chosenDriver() === "sqlite");
