import { deepEqual } from "node:assert/strict";
import { FUNCTIONS_HOSTILE_SCENARIOS } from "../../support/client/functions_hostile_scenarios.ts";
import { behavingServer, testHostileServers } from "./support/hostile_servers.ts";
import { answer, failure, type Script, type ScriptedServer } from "./support/scripted_server.ts";

const MOMENT = "2026-01-18T10:00:00Z";
const FUNCTION = { id: "0c0f3d5e", name: "f", namespace: "ns", version: 3, wasm_cid: "bafkrei", created_at: MOMENT };
const HEAD = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n";
const lineEvent = (id: string) =>
  `event: line\nid: ${id}\ndata: ${JSON.stringify({ id, level: "info", message: "m", timestamp: MOMENT })}\n\n`;
const silent = () => new Promise<string>(() => {});

const behaviours: Readonly<Record<string, Script>> = {
  "cut-call": () => "",
  "cut-answer": () => answer(200, "0123456789", { "content-type": "application/octet-stream" }).slice(0, -5),
  "silent-call": silent,
  "cut-deploy": () => "",
  "busy-then-function": (_request, _connection, count) =>
    count === 1 ? failure(503, "UNAVAILABLE", { "retry-after": "0" }) : answer(200, FUNCTION),
  html: () => answer(404, "<html></html>", { "content-type": "text/html" }),
  "cut-log": ({ headers }) => {
    const from = Number(headers.get("last-event-id") ?? 0);
    return `${HEAD}${lineEvent(String(from + 1))}${lineEvent(String(from + 2)).slice(0, -9)}`;
  },
};

function checkRequests({ requests }: ScriptedServer): void {
  const counts = Map.groupBy(requests, ({ path }) => path.split("/")[1]!);
  const told = Object.fromEntries([...counts].map(([behaviour, all]) => [behaviour, all.length]));
  deepEqual(told, {
    "cut-call": 1,
    "cut-answer": 1,
    "silent-call": 1,
    "cut-deploy": 1,
    "busy-then-function": 2,
    html: 1,
    "cut-log": 3,
  });
}

testHostileServers({
  who: "functions stand",
  and: ", and call nothing twice",
  set: "functions_hostile",
  scenarios: FUNCTIONS_HOSTILE_SCENARIOS,
  server: () => behavingServer((name) => behaviours[name]!),
  check: checkRequests,
});
