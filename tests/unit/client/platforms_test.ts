import { deepEqual, equal } from "node:assert/strict";
import { HOSTILE_SCENARIOS } from "../../support/client/hostile_scenarios.ts";
import { behavingServer, testHostileServers } from "./support/hostile_servers.ts";
import { answer, failure, type Script, type ScriptedServer } from "./support/scripted_server.ts";

const ROWS = answer(200, '{"items":[{"n":9007199254740993}],"count":1}');
const DONE = { rows_affected: 1, last_insert_id: 1, execution_state: "ok" };
const NDJSON = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n";
const COLUMNS = '{"columns":["a"],"types":["integer"]}\n';
const silent = () => new Promise<string>(() => {});
/** The first write is done, on a connection that the second one finds ending. */
const cutLater: Script = (_request, _connection, count) =>
  count === 1 ? answer(200, { status: "ok" }, { connection: "keep-alive" }) : "";

const BEHAVIOURS: Readonly<Record<string, Script>> = {
  html: () => answer(200, "<html></html>", { "content-type": "text/html" }),
  truncated: () => answer(200, '{"items":[{"n":1'),
  redirect: () => answer(307, "", { location: "http://127.0.0.1:1/" }),
  "cut-before": () => "",
  "cut-head": () => "HTTP/1.1 200 OK\r\ncont",
  "cut-body": () => answer(200, DONE).slice(0, -5),
  "cut-chunk": () => 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{"rows',
  "cut-later": (_request, _connection, count) => count === 1 ? answer(200, DONE, { connection: "keep-alive" }) : "",
  "cut-later-without-body": cutLater,
  "cut-later-put": cutLater,
  "cut-later-bytes": cutLater,
  "cut-later-drop": cutLater,
  "cut-then-rows": (_request, _connection, count) => count === 1 ? "" : ROWS,
  "busy-then-rows": (_request, _connection, count) =>
    count === 1 ? failure(503, "UNAVAILABLE", { "retry-after": "0" }) : ROWS,
  busy: () => failure(503, "UNAVAILABLE", { "retry-after": "0" }),
  silent,
  stream: () => `${NDJSON}connection: close\r\n\r\n${COLUMNS}[1]\n[9007199254740993]\n{"end":true,"rows":2}\n`,
  "stream-cut": () => `${NDJSON}connection: close\r\n\r\n${COLUMNS}[1]\n[2`,
  "stream-reset": () => {
    const text = `${COLUMNS}[1]\n`;
    return `${NDJSON}transfer-encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n9\r\n[2`;
  },
  "stream-open": async (_request, connection) => {
    await connection.write(new TextEncoder().encode(`${NDJSON}connection: close\r\n\r\n${COLUMNS}[1]\n`));
    return await silent();
  },
};

/** How many writes each behaviour was asked for: what the scenarios sent, and nothing that anybody repeated. */
const WRITES = {
  html: 1,
  truncated: 1,
  redirect: 1,
  "cut-before": 1,
  "cut-head": 1,
  "cut-body": 1,
  "cut-chunk": 1,
  "cut-later": 2,
  "cut-later-without-body": 2,
  "cut-later-put": 2,
  "cut-later-bytes": 2,
  "cut-later-drop": 2,
  busy: 1,
  silent: 2,
};

function checkWrites({ requests }: ScriptedServer): void {
  const paths = requests.map(({ path }) => path).filter((path) => !path.endsWith("/query"));
  const counts = Map.groupBy(paths, (path) => path.split("/")[1]!);
  deepEqual(Object.fromEntries([...counts].map(([behaviour, all]) => [behaviour, all.length])), WRITES);
}

testHostileServers({
  who: "the client stands",
  and: ", and sends no write twice",
  set: "hostile",
  scenarios: HOSTILE_SCENARIOS,
  server: () => behavingServer((name) => BEHAVIOURS[name]!),
  check(server) {
    checkWrites(server);
    equal(server.requests.every(({ headers }) => headers.get("x-api-key") === "ak_test:test"), true);
  },
});
