import { deepEqual, equal, match } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { LiveSocket } from "../../../src/http/live/socket.ts";
import { guarded, upgraded } from "../../../src/http/upgrade.ts";
import { SocketGuard } from "../../../src/kernel/socket_guard.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { frameOf, OPCODES, RawSocket } from "../../support/raw_sockets.ts";

const MB = 2 ** 20;
/** What a message may have, for these tests. */
const LIMIT = 8 * MB;

/** A server whose every answer is an upgrade, of connections that are looked after. */
async function serving() {
  const told: string[] = [];
  const sockets: LiveSocket[] = [];
  const guard = (await SocketGuard.start({ limit: LIMIT, interval: 100 }))!;
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, info) =>
      upgraded(
        request,
        {
          idleTimeout: 25_000,
          opened(socket) {
            sockets.push(socket);
            return {
              message: (data) => void told.push(`message ${typeof data === "string" ? data.length : data.byteLength}`),
              closed: (code, owed) => void told.push(`closed ${code} ${owed}`),
            };
          },
          lost: () => void told.push("lost"),
        },
        (error) => {
          throw error;
        },
        guarded({ env: info } as unknown as Parameters<typeof guarded>[0], {
          sockets: {
            guard,
            port: () => server.addr.port,
          },
        } as never),
      ),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    told,
    sockets,
    guard,
    async [Symbol.asyncDispose]() {
      guard.close();
      await server.shutdown();
    },
  };
}

function linuxTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

linuxTest("who sends fragments without end is cut, and whoever finishes theirs is not", async () => {
  await using server = await serving();
  await using endless = await RawSocket.open(server.url, "/");
  await using other = await RawSocket.open(server.url, "/");
  const whole = async () => {
    for (let i = 0; i < 4; i++) await other.send(frameOf(OPCODES.bytes, new Uint8Array(4 * MB)));
  };
  const piece = new Uint8Array(MB);
  await endless.send(frameOf(OPCODES.bytes, piece, { fin: false }));
  const sending = awaitedLater((async () => {
    while (await endless.send(frameOf(OPCODES.continuation, piece, { fin: false })));
  })());
  await whole();
  await sending;
  await until("it has ended", () => server.told.some((line) => line.startsWith("closed")));
  await until("the other's came", () => server.told.filter((line) => line.startsWith("message")).length === 4);
  deepEqual(server.told.toSorted(), ["closed 1006 false", ...Array(4).fill(`message ${4 * MB}`)]);
});

linuxTest("one that is closed and never reads goes, with all that waits for it", async () => {
  await using server = await serving();
  const text = "x".repeat(MB);
  const fill = async () => {
    const socket = await RawSocket.open(server.url, "/");
    socket.stopReading();
    const open = server.sockets.at(-1)!;
    for (let i = 0; i < 64; i++) open.send(text);
    await until("it waits", () => open.bufferedAmount > 32 * MB);
    return { open, [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose]() };
  };
  const before = Deno.memoryUsage().rss;
  await using first = await fill();
  first.open.close(4409, "too slow");
  await until("it has ended", () => server.told.length > 0);
  match(server.told.join(), /^closed 100[56] false$/);
  // What is given back is not the system's again at once, but the next one's.
  await using _second = await fill();
  await until("the second has the memory of the first", () => Deno.memoryUsage().rss - before < 112 * MB);
});

/** Looks for a connection that is not there. */
const missing = ({ guard, url }: { readonly guard: SocketGuard; readonly url: string }) =>
  guarded(
    { env: { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } } as never,
    { sockets: { guard, port: () => Number(new URL(url).port) } } as never,
  );

linuxTest("a client that left before is no socket", async () => {
  await using server = await serving();
  await using first = await RawSocket.open(server.url, "/");
  equal(first.status, 101);
  await until("it is looked for", () => {
    try {
      missing(server);
      return false;
    } catch (error) {
      return error instanceof GatewayError && error.code === "INVALID_REQUEST";
    }
  });
  for (let i = 0; i < 50; i++) {
    await using socket = await RawSocket.open(server.url, "/");
    equal(socket.status, 101, "and those who stay are");
  }
  equal(server.told.includes("lost"), false);
});

linuxTest("where no connection was ever found, one that is not found opens, and is counted", async () => {
  await using server = await serving();
  equal(missing(server), undefined);
  equal(server.guard.unguarded, 1);
});
