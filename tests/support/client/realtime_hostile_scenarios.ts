import { deepEqual, equal, rejects } from "node:assert/strict";
import {
  createClient,
  createRealtime,
  OramaError,
  type Realtime,
  type RealtimeOptions,
} from "../../../src/client/index.ts";

const withCode = (code: string) => (error: unknown) => error instanceof OramaError && error.code === code;

/** Runs with a connection to a server of some behaviour, and closes it. */
const facing = (
  behaviour: string,
  run: (realtime: Realtime<Record<string, unknown>>) => Promise<void>,
  options: RealtimeOptions = {},
) =>
async ({ url }: { readonly url: string }): Promise<void> => {
  const client = createClient({ url: `${url}/${behaviour}`, apiKey: "ak_test:test" });
  const realtime = createRealtime<Record<string, unknown>>(client, { retry: { firstPause: 5 }, ...options });
  try {
    await run(realtime);
  } finally {
    realtime.close();
  }
};

/** The states that follow, until one of them comes. */
function statesUntil(realtime: Realtime<Record<string, unknown>>, last: string): Promise<string[]> {
  const states: string[] = [];
  return new Promise((resolve) => {
    realtime.on("state", ({ state }) => {
      states.push(state);
      if (state === last) resolve(states);
    });
  });
}

/** Subscribes, and reads events until a message comes. */
async function readUntil(realtime: Realtime<Record<string, unknown>>, last: unknown): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const event of realtime.subscribe("t")) {
    seen.push(event.kind === "message" ? event.data : event.kind === "recovered" ? event.recovered : event.kind);
    if (event.kind === "message" && event.data === last) break;
  }
  return seen;
}

/** What the platform's own sockets make of servers that misbehave. Runs on Deno and on Node. */
export const REALTIME_HOSTILE_SCENARIOS: Readonly<Record<string, (target: { readonly url: string }) => Promise<void>>> =
  {
    "a server that refuses at first is asked again": facing("busy-at-first", async (realtime) => {
      deepEqual(await readUntil(realtime, 1), [1]);
    }),

    "what speaks no WebSocket is no gateway, however often it is asked": facing("html", async (realtime) => {
      deepEqual(await statesUntil(realtime, "stopped"), ["waiting", "connecting", "waiting", "connecting", "stopped"]);
      await rejects(realtime.publish("t", 1), withCode("NETWORK_ERROR"));
    }, { retry: { attempts: 2, firstPause: 5 } }),

    "a server that takes the connection and says nothing is given up": facing("silent", async (realtime) => {
      await statesUntil(realtime, "stopped");
      await rejects(realtime.publish("t", 1), withCode("TIMEOUT"));
    }, { connectTimeout: 200, retry: { attempts: 1, firstPause: 5 } }),

    "a close that says why stops it": facing("refused", async (realtime) => {
      await statesUntil(realtime, "stopped");
      await rejects(realtime.publish("t", 1), withCode("UNAUTHENTICATED"));
    }),

    "what is cut off in the middle of a frame is asked for again": facing("cut", async (realtime) => {
      deepEqual(await readUntil(realtime, 3), [1, true, 2, 3]);
    }),

    "a frame that is no text of UTF-8 is asked for again": facing("not-utf-8", async (realtime) => {
      deepEqual(await readUntil(realtime, 2), [1, true, 2]);
    }),

    "a message in pieces with signs of life between them is whole": facing("pieces", async (realtime) => {
      deepEqual(await readUntil(realtime, "whole"), ["whole"]);
    }),

    "what was sent and cut off is sent again under its key": facing("cut-publish", async (realtime) => {
      deepEqual(await realtime.publish("t", 1), { position: "p1", repeated: true });
      equal(realtime.state, "connected");
    }),

    "a server that goes silent is left": facing("goes-silent", async (realtime) => {
      deepEqual(await readUntil(realtime, 2), [1, true, 2]);
    }, { pingTimeout: 100 }),
  };
