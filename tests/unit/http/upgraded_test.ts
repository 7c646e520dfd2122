import { deepEqual, equal } from "node:assert/strict";
import type { LiveSocket, Upgrade } from "../../../src/http/live/socket.ts";
import { upgraded } from "../../../src/http/upgrade.ts";
import { until } from "../../engines/support/wait.ts";
import { frameOf, OPCODES, RawSocket } from "../../support/raw_sockets.ts";

/** A server whose every answer is an upgrade, and what it was told. */
function serving(upgrade: Partial<Upgrade> = {}) {
  const told: string[] = [];
  const failures: unknown[] = [];
  const sockets: LiveSocket[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) =>
    upgraded(
      request,
      {
        idleTimeout: 25_000,
        opened(socket) {
          sockets.push(socket);
          told.push("opened");
          return {
            message: (data) => void told.push(`message ${typeof data === "string" ? data : data.byteLength}`),
            closed: (code, owed) => void told.push(`closed ${code} ${owed}`),
          };
        },
        lost: () => void told.push("lost"),
        ...upgrade,
      },
      (error) => void failures.push(error),
    ));
  const url = `http://127.0.0.1:${server.addr.port}`;
  return { url, told, failures, sockets, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("messages come as text and bytes, and an end once, with its code", async () => {
  await using server = serving();
  await using socket = await RawSocket.open(server.url, "/");
  await socket.send(frameOf(OPCODES.text, "héllo"));
  await socket.send(frameOf(OPCODES.bytes, new Uint8Array(3)));
  await socket.send(frameOf(OPCODES.close, new Uint8Array([0x0f, 0xa1])));
  await until("it has ended", () => server.told.some((line) => line.startsWith("closed")));
  deepEqual(server.told, ["opened", "message héllo", "message 3", "closed 4001 false"]);
});

Deno.test("an end without a code is 1006", async () => {
  await using server = serving();
  await using socket = await RawSocket.open(server.url, "/");
  await until("it is open", () => server.told.length === 1);
  socket.leave();
  await until("it has ended", () => server.told.length === 2);
  equal(server.told[1], "closed 1006 false");
});

Deno.test("what a handler throws ends its socket with 1011, is told, and harms no other", async () => {
  for (const where of ["opened", "message"] as const) {
    const failing: Partial<Upgrade> = where === "opened"
      ? {
        opened: () => {
          throw new Error(where);
        },
      }
      : {
        opened: () => ({
          message: () => {
            throw new Error(where);
          },
          closed: () => {},
        }),
      };
    await using server = serving(failing);
    await using socket = await RawSocket.open(server.url, "/");
    await socket.send(frameOf(OPCODES.text, "x"));
    await socket.end();
    equal(socket.closeCode, 1011);
    deepEqual(server.failures.map((error) => (error as Error).message), [where]);
    await using other = await RawSocket.open(server.url, "/");
    equal(other.status, 101);
  }
});

Deno.test("a client that leaves at once opens and closes", async () => {
  await using server = serving();
  const sockets = await Promise.all(Array.from({ length: 20 }, () => RawSocket.open(server.url, "/")));
  for (const socket of sockets) socket.leave();
  await until("all have ended", () => server.told.filter((line) => line.startsWith("closed")).length === 20);
  await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()));
});

Deno.test("a socket that does not open is given up after a while, once", async () => {
  const told: string[] = [];
  // Of a client that left before, the runtime says nothing: as of a request that never came over a network.
  const request = new Request("http://gateway.example/", {
    headers: { upgrade: "websocket", connection: "Upgrade", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" },
  });
  const opened = () => {
    throw new Error("it cannot open");
  };
  upgraded(request, { idleTimeout: 25_000, openTimeout: 20, opened, lost: () => void told.push("lost") }, () => {});
  deepEqual(told, []);
  await until("it is given up", () => told.length > 0);
  deepEqual(told, ["lost"]);
});
