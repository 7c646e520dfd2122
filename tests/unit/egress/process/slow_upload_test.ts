import { equal, ok, rejects } from "node:assert/strict";
import type { HopBounds } from "../../../../services/egress/parts.ts";
import { HttpExchange } from "../../../../services/egress/process/http.ts";
import { RequestBody } from "../../../../services/egress/process/request_body.ts";
import { dial } from "../../../../services/egress/process/sockets.ts";
import { MAX_DATA, WINDOW } from "../../../../services/egress/wire/frames.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { type HostileConnection, HostileHttp } from "../../../support/hostile_http.ts";
import { BOUNDS, HERE, hopTo, NEVER } from "./support/sender.ts";

const KIB = 1024, MIB = 1024 * KIB;
const ANSWER = "HTTP/1.1 204 No Content\r\n\r\n";
/** Milliseconds by which a request has ended that nothing moves any more: far less than the test's own. */
const SOON = 15_000;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What a request with such a body comes to. @param made bytes of it that there are, where it is cut short */
async function upload(
  server: HostileHttp,
  bytes: number,
  bounds: Partial<HopBounds>,
  buffered: { readonly rate: number; readonly most?: number },
  made = bytes,
): Promise<number> {
  const { body: _, ...hop } = hopTo(server.port, { method: "POST", bounds: { ...BOUNDS, ...bounds } });
  let left = made, status = 0;
  const feed = () => {
    if (left <= 0) return;
    body.push(new Uint8Array(Math.min(MAX_DATA, left)));
    left -= MAX_DATA;
    if (left <= 0 && made === bytes) body.end();
  };
  const body = new RequestBody(feed);
  for (let at = 0; at < WINDOW; at++) feed();
  const listener = {
    head: (head: { readonly status: number }) => {
      status = head.status;
      return Promise.resolve();
    },
    data: () => Promise.resolve(),
  };
  const socket = await dial(HERE, server.port, { ms: 20_000, late: () => new Error("no connection"), signal: NEVER });
  const exchange = new HttpExchange({ ...hop, body: bytes }, body, listener, buffered);
  await withinDeadline(exchange.run(socket, NEVER), "the request has ended", 60_000);
  return status;
}

/** Takes so many bytes, each piece after a while. */
async function take(connection: HostileConnection, bytes: number, every: number): Promise<void> {
  await connection.head();
  for (let got = 0; got < bytes;) {
    if (every > 0) await pause(every);
    const piece = await connection.read();
    if (!piece) return;
    got += piece.length;
  }
  await connection.send(ANSWER);
}

Deno.test("a server that takes longer for a body than for its answer has both of them, while it goes on", async () => {
  await using server = new HostileHttp((connection) => take(connection, 3 * MIB, 25));
  equal(await upload(server, 3 * MIB, { head: 300, idle: 300 }, { rate: 256 * KIB }), 204);
});

Deno.test("a body that finds no room for longer than it may pause goes on, while buffers may be emptying", async () => {
  // More than the system's buffers hold on both sides: the rest waits for room.
  const bytes = 24 * MIB;
  await using server = new HostileHttp(async (connection) => {
    await pause(1_500);
    await take(connection, bytes, 0);
  });
  equal(await upload(server, bytes, { idle: 300 }, { rate: 256 * KIB }), 204);
});

Deno.test("a body that nobody takes ends, however much of it lies in buffers", async () => {
  const over = Promise.withResolvers<void>();
  await using server = new HostileHttp(() => over.promise);
  const began = performance.now();
  const stuck = { code: "EGRESS_TIMEOUT", message: /did not go on/ };
  await rejects(upload(server, 24 * MIB, { idle: 300 }, { rate: MIB, most: MIB }), stuck);
  const taken = performance.now() - began;
  over.resolve();
  ok(taken >= 1_000 && taken < SOON, String(taken));
});

Deno.test("a body that was taken and is never answered ends, however much of it lies in buffers", async () => {
  await using server = new HostileHttp(async (connection) => await connection.gone());
  const began = performance.now();
  const silent = { code: "EGRESS_TIMEOUT", message: /did not answer/ };
  await rejects(upload(server, 128 * KIB, { head: 300 }, { rate: 128 * KIB }), silent);
  const taken = performance.now() - began;
  ok(taken >= 1_000 && taken < SOON, String(taken));
});

Deno.test("a body of which no more is made is not waited for because of what was sent of it", async () => {
  await using server = new HostileHttp(async (connection) => await connection.gone());
  const began = performance.now();
  const stopped = { code: "EGRESS_TIMEOUT", message: /did not go on/ };
  // By what it sent it might take hours.
  await rejects(upload(server, 2 * MIB, { idle: 300 }, { rate: 1 }, MIB), stopped);
  ok(performance.now() - began < SOON);
});
