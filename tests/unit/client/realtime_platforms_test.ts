import { equal } from "node:assert/strict";
import { withSockets } from "../../support/client/node.ts";
import { REALTIME_HOSTILE_SCENARIOS } from "../../support/client/realtime_hostile_scenarios.ts";
import { behavingServer, testHostileServers } from "./support/hostile_servers.ts";
import { RawSocket } from "./support/raw_socket.ts";
import { type Asked, message } from "./support/realtime.ts";
import { answer, failure, type Script, type ScriptedServer } from "./support/scripted_server.ts";

const encoder = new TextEncoder();
/** Says nothing until the client has left. */
const silent: Behaviour = async (socket) => {
  while (await socket.next() !== undefined);
};

/** What a socket does, and whether it is the first of its behaviour; when it returns, the connection is cut. */
type Behaviour = (socket: RawSocket, count: number) => Promise<void>;

/** Confirms a subscription. @param missed what is told to have come in between */
const confirm = async (socket: RawSocket, asked: Asked | undefined, ...missed: number[]) => {
  const messages = missed.map((data) => message("t", data, `p${data}`));
  const recovered = asked?.since === "p1";
  await socket.tell({ id: asked?.id, type: "ok", position: `p${missed.at(-1) ?? 0}`, recovered, missed: messages });
};

/** Message 1 over the first connection and then something else, and 2 over the next, if 1 is known. */
const breaking = (breaks: Behaviour): Behaviour => async (socket, count) => {
  const asked = await socket.connected();
  if (count > 1) {
    await confirm(socket, asked, 2);
    await socket.tell(message("t", 3, "p3"));
    return await silent(socket, count);
  }
  await confirm(socket, asked);
  await socket.tell(message("t", 1, "p1"));
  await breaks(socket, count);
};

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  "busy-at-first": breaking(silent),
  refused: async (socket) => {
    await socket.next();
    await socket.frame(0x88, Uint8Array.from([4401 >> 8, 4401 & 255]));
    await socket.next();
  },
  cut: breaking((socket) => socket.write(Uint8Array.from([0x81, 126, 4, 0, ...encoder.encode('{"type":"mess')]))),
  "not-utf-8": breaking(async (socket) => {
    await socket.frame(0x81, Uint8Array.from([0xff, 0xfe]));
    await socket.next();
  }),
  pieces: async (socket) => {
    await confirm(socket, await socket.connected());
    const text = encoder.encode(JSON.stringify(message("t", "whole", "p1")));
    await socket.frame(0x01, text.subarray(0, 9));
    await socket.frame(0x89, encoder.encode("ping"));
    await socket.frame(0x00, text.subarray(9, 20));
    await socket.frame(0x80, text.subarray(20));
    await silent(socket, 1);
  },
  "cut-publish": async (socket, count) => {
    const asked = await socket.connected();
    if (count === 1) return void KEYS.push(asked?.idempotency_key);
    await socket.tell({ id: asked?.id, type: "ok", position: "p1", repeated: KEYS.pop() === asked?.idempotency_key });
    await silent(socket, count);
  },
  "goes-silent": breaking(silent),
};
const KEYS: unknown[] = [];

const behaviourOf = (behaviour: string): Script => async (request, connection, count) => {
  if (behaviour === "html") return answer(200, "<html></html>", { "content-type": "text/html" });
  while (behaviour === "silent") if (await connection.read(new Uint8Array(1)) === null) return "";
  if (behaviour === "busy-at-first" && count < 3) return failure(503, "UNAVAILABLE");
  const socket = await RawSocket.accept(request, connection);
  await BEHAVIOURS[behaviour]!(socket, behaviour === "busy-at-first" ? 1 : count);
  return "";
};

/** Credentials stand in no address, and no header that an address may end up in. */
function checkRequests({ requests }: ScriptedServer): void {
  equal(requests.some(({ path, headers }) => /ak_/.test(path + [...headers.values()].join())), false);
  equal(requests.every(({ headers }) => headers.get("sec-websocket-protocol") === "orama.v1"), true);
}

testHostileServers({
  who: "live messages stand",
  set: "realtime_hostile",
  scenarios: REALTIME_HOSTILE_SCENARIOS,
  server: () => behavingServer(behaviourOf),
  check: checkRequests,
  nodeEnv: withSockets,
});
