import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { HopFailure } from "../../../../services/egress/parts.ts";
import { until } from "../../../engines/support/wait.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { type HostileConnection, HostileHttp } from "../../../support/hostile_http.ts";
import { CAN_SEE_PROCESSES } from "../../../support/host_processes.ts";
import { BOUNDS, hopTo, Sender } from "./support/sender.ts";

const MIB = 1024 * 1024;
const PIECE = new Uint8Array(64 * 1024).fill(0x61);
/** Milliseconds in which a connection is closed that nobody wants any more: less than any of the hop's own times. */
const AT_ONCE = BOUNDS.idle / 2;
/** Milliseconds for 200 MB on a slow machine. */
const LONG = 180_000;
/** Of the memory that a process needed at most (Linux: proc(5), status), in MiB. */
const peakOf = (pid: number) =>
  Number(/VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1024;

const endless = async (connection: HostileConnection, sent: (bytes: number) => void) => {
  await connection.head();
  await connection.send("HTTP/1.1 200 OK\r\n\r\n");
  for (;;) {
    await connection.send(PIECE);
    sent(PIECE.length);
  }
};

/** A body of so many pieces, and how many were taken of it. */
function bodyOf(pieces: number): { readonly body: ReadableStream<Uint8Array>; taken: number; cancelled: unknown } {
  const state = {
    taken: 0,
    cancelled: undefined as unknown,
    body: new ReadableStream<Uint8Array>({
      pull(controller) {
        if (state.taken++ >= pieces) return controller.close();
        controller.enqueue(PIECE);
      },
      cancel(reason) {
        state.cancelled = reason;
      },
    }, { highWaterMark: 0 }),
  };
  return state;
}

Deno.test({
  name: "200 MB go through in both directions at once, and neither process holds much of it",
  ignore: !CAN_SEE_PROCESSES,
  async fn() {
    await using server = new HostileHttp(async (connection) => {
      await connection.head();
      await connection.send("HTTP/1.1 200 OK\r\n\r\n");
      let last = new Uint8Array();
      for (let piece = await connection.read(); piece; piece = await connection.read()) {
        await connection.send(piece);
        last = new Uint8Array([...last, ...piece.subarray(-5)]).slice(-5);
        if (new TextDecoder().decode(last) === "0\r\n\r\n") return;
      }
    });
    await using sender = await Sender.start();
    const size = 200 * MIB;
    const before = Deno.memoryUsage().rss;
    const { body } = await sender.send(hopTo(server.port, { method: "POST", body: bodyOf(size / PIECE.length).body }));
    let received = 0, most = 0;
    await withinDeadline(
      (async () => {
        for await (const chunk of body) {
          received += chunk.length;
          most = Math.max(most, Deno.memoryUsage().rss);
        }
      })(),
      "all came back",
      LONG,
    );
    // What came back is the body as it was sent, in chunks: their sizes are in it.
    ok(received > size && received < size * 1.01, String(received));
    const grown = (most - before) / MIB, peak = peakOf(sender.process.pid!);
    ok(peak < 250, `the process needed ${peak} MiB`);
    ok(grown < 250, `this process grew by ${grown} MiB`);
  },
});

Deno.test("what nobody reads stays with the server, and cancelling ends its connection", async () => {
  let sent = 0;
  await using server = new HostileHttp((connection) => endless(connection, (bytes) => sent += bytes));
  await using sender = await Sender.start();
  const { body } = await sender.send(hopTo(server.port));
  const reader = body.getReader();
  ok((await reader.read()).value!.length > 0);
  let seen = 0, same = 0;
  await until("the server can send no more", () => {
    same = sent === seen ? same + 1 : 0;
    seen = sent;
    return sent > 0 && same >= 20;
  });
  ok(sent < 32 * MIB, `${sent} bytes lie somewhere`);
  await reader.cancel("enough");
  await until("the server is left", () => server.open === 0, AT_ONCE);
  deepEqual(sender.lines, []);
});

Deno.test("a signal ends the body with its reason, and the server's connection, in each of the phases", async () => {
  await using server = new HostileHttp((connection) => endless(connection, () => {}));
  await using sender = await Sender.start();
  const leaving = new AbortController();
  const { body } = await sender.send(hopTo(server.port), leaving.signal);
  const reader = body.getReader();
  await reader.read();
  leaving.abort("gone");
  await rejects(async () => {
    for (;;) await reader.read();
  }, (reason) => reason === "gone");
  await until("the server is left", () => server.open === 0, AT_ONCE);
  // While the server says nothing.
  server.manner = async (connection) => await connection.gone();
  const early = new AbortController();
  const sending = sender.process.send(hopTo(server.port), early.signal).then(() => "sent", (reason) => reason);
  await until("the server is connected to", () => server.connections === 2);
  early.abort("too long");
  equal(await sending, "too long");
  await until("the server is left", () => server.open === 0, AT_ONCE);
  // While the server reads nothing of a large body.
  const held = Promise.withResolvers<void>();
  server.manner = async (connection) => {
    await held.promise;
    await connection.gone();
  };
  const third = new AbortController(), upload = bodyOf(Infinity);
  const hop = hopTo(server.port, { method: "POST", body: upload.body });
  const stuck = sender.process.send(hop, third.signal).then(() => "sent", (reason) => reason);
  let seen = -1, same = 0;
  await until("nothing goes on", () => {
    same = upload.taken === seen ? same + 1 : 0;
    seen = upload.taken;
    return server.connections === 3 && same >= 20;
  });
  ok(upload.taken * PIECE.length < 32 * MIB, `${upload.taken} pieces lie somewhere`);
  third.abort("no more");
  equal(await stuck, "no more");
  equal(upload.cancelled, "no more");
  held.resolve();
  await until("the server is left, in the middle of the body", () => server.open === 0, AT_ONCE);
  await rejects(sender.process.send(hopTo(server.port), AbortSignal.abort("before")), (reason) => reason === "before");
});

Deno.test("a server may answer before it has the whole body: the answer is passed on, and the rest is not made", async () => {
  await using server = new HostileHttp(async (connection) => {
    await connection.head();
    await connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    await connection.gone();
  });
  await using sender = await Sender.start();
  const upload = bodyOf(Infinity);
  const response = await sender.text(hopTo(server.port, { method: "POST", body: upload.body }));
  deepEqual([response.status, response.text], [413, "no"]);
  await until("the rest is cancelled", () => upload.taken > 0 && upload.body.locked);
  const made = upload.taken;
  await until("the server is left", () => server.open === 0, AT_ONCE);
  equal(upload.taken, made);
});

Deno.test("what the source of a body says is what the sender hears, and the server gets no end of it", async () => {
  let ending = "";
  await using server = new HostileHttp(async (connection) => {
    await connection.head();
    for (let piece = await connection.read(); piece; piece = await connection.read()) {
      ending = new TextDecoder().decode(piece.subarray(-5));
    }
  });
  await using sender = await Sender.start();
  const broken = new Error("the client has left");
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(PIECE);
      await until("the server has something", () => ending !== "");
      controller.error(broken);
    },
  });
  await rejects(sender.send(hopTo(server.port, { method: "POST", body })), (error) => error === broken);
  await until("the server is left", () => server.open === 0, AT_ONCE);
  ok(ending !== "0\r\n\r\n", "a body that was cut off does not look whole");
});

Deno.test("a process that is killed in mid body takes that hop with it, and no other", async () => {
  await using server = new HostileHttp((connection) => endless(connection, () => {}));
  await using sender = await Sender.start();
  const { body } = await sender.send(hopTo(server.port));
  const reader = body.getReader();
  await reader.read();
  const pid = sender.process.pid!;
  Deno.kill(pid, "SIGKILL");
  await rejects(async () => {
    for (;;) await reader.read();
  }, (error) => error instanceof HopFailure && error.code === "EGRESS_RESPONSE_INVALID");
  // At once, while nobody may know yet that it has ended.
  server.manner = async (connection) => {
    await connection.head();
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  };
  equal((await sender.text(hopTo(server.port))).text, "hi");
  ok(sender.process.pid !== pid);
  await until("the server is left", () => server.open === 0, AT_ONCE);
});

Deno.test("what a server may have got when the process is killed is never said to be unsent", async () => {
  await using server = new HostileHttp();
  await using sender = await Sender.start();
  server.manner = async (connection) => {
    await connection.head();
    Deno.kill(sender.process.pid!, "SIGKILL");
    await connection.gone();
  };
  const hop = hopTo(server.port, { method: "POST", body: new Uint8Array(3) });
  await sender.fails(hop, "EGRESS_RESPONSE_INVALID", /ended before/, "a request that the server has");
  equal(server.connections, 1);
});

Deno.test("closing ends what is on its way, and nothing is left of it", async () => {
  await using server = new HostileHttp((connection) => endless(connection, () => {}));
  const sender = await Sender.start();
  const { body } = await sender.send(hopTo(server.port));
  const reader = body.getReader();
  await reader.read();
  await withinDeadline(sender.process.close(), "it is closed", 20_000);
  await rejects(async () => {
    for (;;) await reader.read();
  }, { code: "EGRESS_RESPONSE_INVALID" });
  equal(sender.process.pid, undefined);
  await until("the server is left", () => server.open === 0, AT_ONCE);
  await rejects(sender.process.send(hopTo(server.port), new AbortController().signal), { code: "EGRESS_UNAVAILABLE" });
});
