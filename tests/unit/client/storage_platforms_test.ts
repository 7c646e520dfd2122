import { equal } from "node:assert/strict";
import { STORAGE_HOSTILE_SCENARIOS } from "../../support/client/storage_hostile_scenarios.ts";
import { behavingServer, testHostileServers } from "./support/hostile_servers.ts";
import { answer, failure, type Script, type ScriptedServer } from "./support/scripted_server.ts";

const TEXT = "0123456789";
const STORED = { cid: "bafy", name: "n", size: 10 };
const ETAG = { etag: '"bafy"', "content-type": "text/plain" };
const encoder = new TextEncoder();
const silent = () => new Promise<string>(() => {});
const file = answer(200, TEXT, ETAG);
const busy = failure(503, "UNAVAILABLE", { "retry-after": "0" });

/** The part that a request asks for, cut short. @param given how many of its bytes come */
const partOf = (header: string | undefined, given: number): string => {
  const [, from = "0", to = "9"] = /^bytes=(\d+)-(\d+)$/.exec(header ?? "") ?? [];
  const part = TEXT.slice(Number(from), Number(to) + 1);
  const range = header === undefined ? {} : { "content-range": `bytes ${from}-${to}/10` };
  const whole = answer(header === undefined ? 200 : 206, part, { ...ETAG, ...range });
  return whole.slice(0, whole.length - part.length + Math.min(given, part.length));
};

const UPLOAD = { id: "up-1", length: 10, expires_at: "2026-01-18T10:00:00Z" };
const begun = answer(201, { ...UPLOAD, offset: 0 });

/** An upload that takes half of its second part and is silent about it, and has its moods. */
function tus(): Script {
  let bytes = "";
  return ({ method, headers, body }, _connection, count) => {
    if (method === "POST") return begun;
    if (method === "GET") {
      return count === 4 ? busy : answer(200, { ...UPLOAD, offset: bytes.length, ...(bytes === TEXT && STORED) });
    }
    if (Number(headers.get("upload-offset")) !== bytes.length) {
      return failure(409, "CONFLICT", {}, { offset: bytes.length });
    }
    if (count === 3) {
      bytes += body.slice(0, 2);
      return "";
    }
    if (count === 6) return failure(423, "UPLOAD_LOCKED", { "retry-after": "0" });
    bytes += body;
    // Nobody was told of the last byte.
    return count === 8 ? "" : `HTTP/1.1 204 X\r\nupload-offset: ${bytes.length}\r\n\r\n`;
  };
}

const behaviours = (): Readonly<Record<string, Script>> => ({
  "cut-file": ({ headers }, _, count) => partOf(headers.get("range"), count === 3 ? 10 : 2),
  "cut-range": ({ headers }, _, count) => partOf(headers.get("range"), count === 2 ? 10 : 3),
  "stuck-file": ({ headers }) => partOf(headers.get("range"), headers.has("range") ? 0 : 2),
  "cut-tar": () =>
    `HTTP/1.1 200 OK\r\ncontent-type: application/x-tar\r\ntransfer-encoding: chunked\r\n\r\na\r\n${TEXT}\r\nff\r\n0`,
  "busy-file": (_request, _, count) => count === 1 ? busy : file,
  "busy-upload": () => busy,
  "cut-upload": () => "",
  "cut-once-upload": (_request, _, count) => count === 1 ? "" : answer(200, STORED),
  full: () => failure(413, "BODY_TOO_LARGE", { connection: "close" }),
  "cut-stream": () => "",
  "silent-read": silent,
  "silent-list": silent,
  "silent-upload": silent,
  "silent-stream": silent,
  "silent-begin": silent,
  "silent-body": async (_request, connection) => {
    await connection.write(encoder.encode(partOf(undefined, 5)));
    return await silent();
  },
  "silent-part": ({ method }) => method === "POST" ? begun : silent(),
  tus: tus(),
  expired: ({ method }) => method === "POST" ? begun : failure(404, "NOT_FOUND"),
});

function hostileServer(): ScriptedServer {
  const all = behaviours();
  return behavingServer((name) => all[name]!);
}

/** How often each behaviour was asked, where that is told. */
const REQUESTS = {
  "cut-file": 3,
  "cut-range": 2,
  "stuck-file": 4,
  "busy-upload": 1,
  "cut-upload": 1,
  "cut-once-upload": 2,
};

function checkRequests({ requests }: ScriptedServer): void {
  const counts = Map.groupBy(requests, ({ path }) => path.split("/")[1]!);
  for (const [behaviour, count] of Object.entries(REQUESTS)) equal(counts.get(behaviour)?.length, count, behaviour);
}

testHostileServers({
  who: "uploads and downloads stand",
  set: "storage_hostile",
  scenarios: STORAGE_HOSTILE_SCENARIOS,
  server: hostileServer,
  check: checkRequests,
});
