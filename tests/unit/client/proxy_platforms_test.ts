import { deepEqual, equal } from "node:assert/strict";
import { runOnNode, usableNode } from "../../support/client/node.ts";
import { behavingServer } from "./support/hostile_servers.ts";
import { PROXY_HOSTILE_SCENARIOS } from "./support/proxy_hostile_scenarios.ts";
import { answer, failure, type Script, type ScriptedServer } from "./support/scripted_server.ts";

const encoder = new TextEncoder();
const silent = () => new Promise<string>(() => {});
const told = (status: number, body: string, headers: Readonly<Record<string, string>> = {}) =>
  answer(status, body, { "content-type": "text/plain", "x-target-status": String(status), ...headers });
const apart = (headers: Readonly<Record<string, readonly string[]>>) => ({
  "x-target-headers": JSON.stringify(headers),
});
const done = told(200, "done");
const busy = failure(503, "EGRESS_PROXY_UNAVAILABLE", { "retry-after": "0" });
const busyBefore = answer(503, "<html></html>", { "retry-after": "0" });
const once = (first: string): Script => (_request, _connection, count) => count === 1 ? first : done;

const behaviours: Readonly<Record<string, Script>> = {
  "target-500": () => told(500, "out of order"),
  "target-liar": () =>
    told(503, JSON.stringify({ error: "no", code: "EGRESS_PROXY_UNAVAILABLE" }), {
      "x-request-id": "r-own",
      ...apart({ "retry-after": ["0"], "x-request-id": ["r-target"] }),
    }),
  "target-307": () => told(307, "", apart({ location: ["http://elsewhere.example/"], "set-cookie": ["a=1", "b=2"] })),
  refused: () => failure(403, "EGRESS_ADDRESS_REFUSED"),
  "busy-get": once(busy),
  "limited-put": once(failure(429, "EGRESS_BUSY", { "retry-after": "0" })),
  "busy-post": once(busy),
  "busy-stream": once(busy),
  "busy-for-ever": () => busy,
  "busy-before": once(busyBefore),
  "busy-before-put": once(busyBefore),
  unreachable: once(failure(502, "EGRESS_UNREACHABLE")),
  "cut-get": () => "",
  "cut-POST": () => "",
  "cut-PUT": () => "",
  "cut-DELETE": () => "",
  "cut-MKCOL": () => "",
  "cut-later": (_request, _connection, count) => count === 1 ? told(200, "done", { connection: "keep-alive" }) : "",
  html: () => answer(200, "<html></html>", { "content-type": "text/html" }),
  "other-status": () => told(404, "", { "x-target-status": "200" }),
  "other-headers": () => told(200, "", { "x-target-headers": '{"a":1}' }),
  redirect: () => answer(307, "", { location: "http://127.0.0.1:1/" }),
  "cut-body": () => told(200, "0123456789").slice(0, -5),
  "cut-chunk": () => "HTTP/1.1 200 X\r\nx-target-status: 200\r\ntransfer-encoding: chunked\r\n\r\n9\r\n0123",
  full: () => failure(422, "EGRESS_TIMEOUT", { connection: "close" }),
  "cut-stream": () => "",
  early: () => done,
  "silent-source": silent,
  silent,
  "silent-body": async (_request, connection) => {
    await connection.write(encoder.encode(told(200, "0123456789").slice(0, -5)));
    return await silent();
  },
};

/** How often each behaviour was asked: nothing was repeated but by what says so. */
const REQUESTS: Readonly<Record<string, number>> = {
  refused: 2,
  "busy-get": 2,
  "limited-put": 2,
  "busy-for-ever": 4,
  "cut-later": 2,
  html: 2,
  silent: 5,
  "silent-body": 2,
};

function checkRequests({ requests }: ScriptedServer): void {
  const counts = Map.groupBy(requests, ({ path }) => path.split("/")[1]!);
  for (const behaviour of Object.keys(behaviours)) {
    equal(counts.get(behaviour)?.length, REQUESTS[behaviour] ?? 1, behaviour);
  }
  for (const { method, path, headers } of requests) {
    deepEqual([method, path.slice(path.indexOf("/", 1))], ["POST", "/v1/proxy/anon/stream"]);
    deepEqual([headers.get("authorization"), headers.get("x-target-url")], [
      "Bearer ak_test:test",
      "http://shop.example/",
    ]);
  }
}

const hostileServer = () => behavingServer((name) => behaviours[name]!);
const sentence = (platform: string) =>
  `calls through the proxy stand hostile servers on ${platform}, and send nothing twice`;

Deno.test(sentence("Deno"), async () => {
  const server = hostileServer();
  for (const run of Object.values(PROXY_HOSTILE_SCENARIOS)) await run(server);
  checkRequests(server);
  void server[Symbol.asyncDispose]();
});

const node = usableNode();
Deno.test({
  name: `${sentence("Node")}${node ? "" : " [needs node 20 or later on PATH]"}`,
  ignore: node === undefined,
  async fn() {
    const server = hostileServer();
    const entry = "../../unit/client/support/proxy_on_node.ts";
    const results = await runOnNode(entry, { TARGET_URL: server.url });
    deepEqual(results, Object.keys(PROXY_HOSTILE_SCENARIOS).map((name) => ({ name, problem: null })));
    checkRequests(server);
    void server[Symbol.asyncDispose]();
  },
});
