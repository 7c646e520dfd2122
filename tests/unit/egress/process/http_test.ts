import { deepEqual, equal, match } from "node:assert/strict";
import type { HopFailureCode } from "../../../../services/egress/parts.ts";
import { until } from "../../../engines/support/wait.ts";
import { answering, HostileHttp, type HostileManner } from "../../../support/hostile_http.ts";
import { type HopChanges, hopTo, Sender } from "./support/sender.ts";

const OK = "HTTP/1.1 200 OK\r\n";

Deno.test("a request goes out as it was given, and its response comes back as it was written", async () => {
  const heads: string[] = [];
  await using server = new HostileHttp(async (connection) => {
    heads.push(await connection.head());
    await connection.send(
      `${OK}X-A: 1\r\nx-a:  2 \r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain`,
    );
  });
  await using sender = await Sender.start();
  const headers = [["X-One", "1"], ["accept", "*/*"], ["x-one", "2"], ["X-Latin", "caf\xe9"]] as const;
  const response = await sender.text(hopTo(server.port, { path: "/a%20b?c=%00", headers }));
  deepEqual(response, {
    status: 200,
    headers: [["X-A", "1"], ["x-a", "2"], ["Set-Cookie", "a=b"], ["Content-Encoding", "gzip"], ["Content-Length", "5"]],
    text: "plain",
  });
  const own = ["GET /a%20b?c=%00 HTTP/1.1", `Host: egress.test:${server.port}`];
  deepEqual(heads[0]!.split("\r\n"), [
    ...own,
    "X-One: 1",
    "accept: */*",
    "x-one: 2",
    heads[0]!.split("\r\n")[5],
    "Connection: close",
  ]);
  match(heads[0]!, /\r\nX-Latin: caf\xe9\r\n/);
});

Deno.test("a body's length is told where it is known, and it is chunked where it is not", async () => {
  const got: string[] = [];
  await using server = new HostileHttp(async (connection) => {
    const head = await connection.head();
    const chunked = /transfer-encoding: chunked/i.test(head);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    let body = "";
    while (chunked ? !body.endsWith("0\r\n\r\n") : body.length < length) {
      body += new TextDecoder().decode(await connection.read());
    }
    got.push(`${head.split(" ")[0]} ${/(?:content-length|transfer-encoding): \w+/i.exec(head)?.[0] ?? "-"} ${body}`);
    await connection.send(`${OK}Content-Length: 0\r\n\r\n`);
  });
  await using sender = await Sender.start();
  const bytes = new TextEncoder().encode("abc");
  const cases: readonly [HopChanges, string][] = [
    [{ method: "POST", body: bytes }, "POST Content-Length: 3 abc"],
    [{ method: "GET", body: bytes }, "GET Content-Length: 3 abc"],
    [{ method: "POST", body: new Uint8Array() }, "POST Content-Length: 0 "],
    [{ method: "POST" }, "POST Content-Length: 0 "],
    [{ method: "FROB" }, "FROB Content-Length: 0 "],
    [{ method: "DELETE" }, "DELETE - "],
    [{ method: "GET" }, "GET - "],
    [
      { method: "PUT", body: ReadableStream.from([bytes, new Uint8Array(), bytes]) },
      "PUT Transfer-Encoding: chunked 3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
    [{ method: "PUT", body: ReadableStream.from<Uint8Array>([]) }, "PUT Transfer-Encoding: chunked 0\r\n\r\n"],
  ];
  for (const [changes, seen] of cases) {
    equal((await sender.text(hopTo(server.port, changes))).status, 200, seen);
    equal(got.pop(), seen);
  }
});

Deno.test("a response whose end is told in each of the ways there are is whole", async () => {
  await using server = new HostileHttp();
  await using sender = await Sender.start();
  const cases: readonly [string, number, string, HopChanges?][] = [
    [`${OK}Content-Length: 2\r\n\r\nhi`, 200, "hi"],
    [`${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nTrailer: x\r\n\r\n`, 200, "hi"],
    [`${OK}\r\nto the end`, 200, "to the end"],
    ["HTTP/1.0 404 No\r\n\r\nold", 404, "old"],
    ["HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, ""],
    ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""],
    [`${OK}Content-Length: 5\r\n\r\n`, 200, "", { method: "HEAD" }],
    [
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 2\r\n\r\nhi`,
      200,
      "hi",
    ],
    [`${OK}Content-Length: 2\r\n\r\nhi and what nobody asked for`, 200, "hi"],
    ["HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", 599, ""],
  ];
  for (const [raw, status, text, changes] of cases) {
    server.manner = answering(raw);
    const response = await sender.text(hopTo(server.port, changes));
    deepEqual([response.status, response.text], [status, text], raw);
  }
  deepEqual(sender.lines, []);
});

Deno.test("what is no response of HTTP is refused, and the process lives on", async () => {
  await using server = new HostileHttp();
  await using sender = await Sender.start();
  const invalid: readonly [string, RegExp][] = [
    ["", /without a response/],
    ["SSH-2.0-OpenSSH_9.2\r\n", /no HTTP/],
    ["HTTP/9.9 200 OK\r\n\r\n", /no HTTP/],
    ["HTTP/1.1 20 OK\r\n\r\n", /no HTTP/],
    ["HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n", /no status/],
    ["HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n", /no status/],
    ["HTTP/1.1 199 OK\r\n\r\n", /without a response/],
    ["HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc", /protocol/],
    ["HTTP/1.1 101 Switching Protocols\r\n\r\n", /./],
    [`${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, /no HTTP/],
    [`${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`, /no HTTP/],
    [`${OK}Content-Length: -1\r\n\r\n`, /no HTTP/],
    [`${OK}Content-Length: 9\r\n\r\nshort`, /before the end/],
    [`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nab`, /before the end/],
    [`${OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, /no HTTP/],
    [`${OK}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n`, /no HTTP/],
    [`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${"T: x\r\n".repeat(10_000)}\r\n`, /too long|no HTTP/],
    [`${OK}A: b\0c\r\n\r\n`, /no HTTP/],
    [`${OK}A: b\r\n folded\r\n\r\n`, /no HTTP/],
    [`${OK}A b: c\r\n\r\n`, /no HTTP/],
    [`${OK}A: b\x01\r\n\r\n`, /no HTTP|characters/],
    [`${OK}A: ${"b".repeat(20_000)}\r\n\r\n`, /too long/],
    [`${OK}${"A: b\r\n".repeat(1_001)}\r\n`, /more than 1000 headers/],
    [`${OK}${"Header-Of-A-Flood: b\r\n".repeat(1_000_000)}\r\n`, /too long/],
  ];
  for (const [raw, sentence] of invalid) {
    server.manner = answering(raw);
    await sender.fails(hopTo(server.port), "EGRESS_RESPONSE_INVALID", sentence, raw.slice(0, 100));
  }
  const quotes = `${OK}${`A: ${'"'.repeat(2_000)}\r\n`.repeat(100)}\r\n`;
  server.manner = answering(quotes);
  const large = hopTo(server.port, { bounds: { headBytes: 300_000 } });
  await sender.fails(large, "EGRESS_RESPONSE_INVALID", /headers that are too long/, "what no frame holds");
  server.manner = answering(`${OK}${"A: b\r\n".repeat(1_000)}\r\n`);
  equal((await sender.text(hopTo(server.port))).headers.length, 1_000);
  deepEqual(sender.lines, []);
  await until("nothing of it is left", () => server.open === 0);
});

Deno.test("a server that is slow is left when its time is over, each of its phases for itself", async () => {
  await using server = new HostileHttp();
  await using sender = await Sender.start();
  const drip = (text: string): HostileManner => async (connection) => {
    await connection.head();
    for (const letter of text) {
      await connection.send(letter);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await connection.gone();
  };
  const cases: readonly [string, HostileManner, HopChanges, RegExp][] = [
    ["nothing", async (connection) => await connection.gone(), { bounds: { head: 100 } }, /did not answer in time/],
    [
      "a head byte by byte",
      drip(OK + "A: b\r\n".repeat(1_000)),
      { bounds: { head: 200, idle: 150 } },
      /did not answer in time/,
    ],
    [
      "1xx without end",
      async (connection) => {
        for (;;) await connection.send("HTTP/1.1 103 Early Hints\r\n\r\n");
      },
      { bounds: { head: 200 } },
      /did not answer in time/,
    ],
    [
      "a body that stands still",
      async (connection) => {
        await connection.send(`${OK}Content-Length: 5\r\n\r\nab`);
        await connection.gone();
      },
      { bounds: { idle: 100 } },
      /nothing more of its response/,
    ],
    ["a request whose body is not made", async (connection) => await connection.gone(), {
      method: "POST",
      body: new ReadableStream<Uint8Array>(),
      bounds: { idle: 200, head: 60_000 },
    }, /body did not go on/],
  ];
  for (const [what, manner, changes, sentence] of cases) {
    server.manner = manner;
    await sender.fails(hopTo(server.port, changes), "EGRESS_TIMEOUT", sentence, what);
  }
  // A slow body is whole when it is not too slow, however long it takes.
  server.manner = drip(`${OK}Content-Length: 20\r\n\r\n01234567890123456789`);
  const { text } = await sender.text(hopTo(server.port, { bounds: { head: 20_000, idle: 1_000 } }));
  equal(text, "01234567890123456789");
});

Deno.test("where no connection comes about, it is said why", async () => {
  const nobody = Deno.listen({ hostname: "127.77.0.1", port: 0 });
  const { port } = nobody.addr;
  nobody.close();
  await using sender = await Sender.start();
  await sender.fails(hopTo(port), "EGRESS_UNREACHABLE", /refuses connections/, "nobody");
  await using server = new HostileHttp(answering(`${OK}Content-Length: 2\r\n\r\nhi`));
  const second = hopTo(server.port, { addresses: ["127.77.0.3", "127.77.0.1"] });
  equal((await sender.text(second)).text, "hi", "the second address answers");
  await sender.fails(hopTo(server.port, { addresses: [] }), "EGRESS_ADDRESS_REFUSED", /./, "no address");
});

Deno.test("headers that are the connection's are not taken from a request, nor what would split it", async () => {
  await using server = new HostileHttp(answering(`${OK}Content-Length: 0\r\n\r\n`));
  await using sender = await Sender.start();
  for (
    const name of ["Host", "content-length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "TE", "Keep-Alive"]
  ) {
    await sender.fails(hopTo(server.port, { headers: [[name, "1"]] }), "EGRESS_RESPONSE_INVALID", /connection/, name);
  }
  const split: readonly [HopChanges, HopFailureCode][] = [
    [{ headers: [["A", "b\r\nHost: x"]] }, "EGRESS_RESPONSE_INVALID"],
    [{ headers: [["A\r\nHost", "x"]] }, "EGRESS_RESPONSE_INVALID"],
    [{ path: "/ HTTP/1.1\r\nHost: x\r\n\r\n" }, "EGRESS_RESPONSE_INVALID"],
    [{ method: "GET / HTTP/1.1\r\n\r\n" }, "EGRESS_RESPONSE_INVALID"],
  ];
  for (const [changes, code] of split) {
    await sender.fails(hopTo(server.port, changes), code, /request/, JSON.stringify(changes));
  }
  equal((await sender.text(hopTo(server.port))).status, 200);
});
