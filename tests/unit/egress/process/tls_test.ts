import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { Connector } from "../../../../services/egress/process/connecting.ts";
import { until } from "../../../engines/support/wait.ts";
import { answering, HostileHttp } from "../../../support/hostile_http.ts";
import { CERTIFICATES } from "./support/certificates/index.ts";
import { HERE, hopTo, NEVER, Sender } from "./support/sender.ts";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const { authority, server: cert, expired, selfSigned, key } = CERTIFICATES;

Deno.test("a server with the right certificate is talked to, by its name and by its address", async () => {
  const heads: string[] = [];
  await using server = new HostileHttp(async (connection) => {
    heads.push(await connection.head());
    await connection.send(ANSWER);
  }, { tls: { cert, key } });
  await using sender = await Sender.start({ ca: [authority] });
  for (const host of ["egress.test", HERE]) {
    equal((await sender.text(hopTo(server.port, { scheme: "https", host }))).text, "hi", host);
    match(heads.pop()!, new RegExp(`^GET / HTTP/1.1\r\nHost: ${host}:${server.port}\r\n`));
  }
  deepEqual(sender.lines, []);
});

Deno.test("a certificate that is wrong in any way ends it before the request is sent", async () => {
  const heads: string[] = [];
  const hear = async (connection: { head(): Promise<string>; send(what: string): Promise<void> }) => {
    heads.push(await connection.head());
    await connection.send(ANSWER);
  };
  await using good = new HostileHttp(hear, { tls: { cert, key } });
  await using old = new HostileHttp(hear, { tls: { cert: expired, key } });
  await using own = new HostileHttp(hear, { tls: { cert: selfSigned, key } });
  await using sender = await Sender.start({ ca: [authority] });
  await using strict = await Sender.start();
  const https = { scheme: "https" } as const;
  const code = "EGRESS_TLS_FAILED";
  await sender.fails(hopTo(good.port, { ...https, host: "other.test" }), code, /another name/, "another name");
  await sender.fails(hopTo(good.port, { ...https, host: "a.egress.test" }), code, /another name/, "a name below");
  await sender.fails(
    hopTo(good.port, { ...https, host: "127.77.0.2", addresses: [HERE] }),
    code,
    /another name/,
    "address",
  );
  await sender.fails(hopTo(old.port, https), code, /expired/, "expired");
  await sender.fails(hopTo(own.port, https), code, /trusted/, "self-signed");
  await strict.fails(hopTo(good.port, https), code, /trusted/, "signed by nobody whom the system trusts");
  await sender.fails(hopTo(good.port, { ...https, host: "a..b" }), code, /./, "a name that is none");
  await sender.fails(hopTo(good.port, { ...https, host: "a_b\0" }), code, /./, "a name with a zero");
  deepEqual(heads, []);
  equal((await sender.text(hopTo(good.port, https))).text, "hi", "and lives on");
});

Deno.test("a server that speaks no TLS, or none to its end, is no server of https", async () => {
  await using server = new HostileHttp();
  await using sender = await Sender.start({ ca: [authority] });
  const https = { scheme: "https" } as const;
  server.manner = async (connection) => await connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  await sender.fails(hopTo(server.port, https), "EGRESS_TLS_FAILED", /TLS/, "HTTP in plain");
  server.manner = async (connection) => void await connection.read();
  await sender.fails(hopTo(server.port, https), "EGRESS_TLS_FAILED", /ended the connection/, "an end");
  server.manner = async (connection) => {
    await connection.read();
    await connection.send(new Uint8Array(5_000).fill(0x16));
    await connection.gone();
  };
  await sender.fails(hopTo(server.port, https), "EGRESS_TLS_FAILED", /TLS/, "garbage");
  server.manner = async (connection) => await connection.gone();
  const hanging = hopTo(server.port, { ...https, bounds: { connect: 150 } });
  await sender.fails(hanging, "EGRESS_TIMEOUT", /did not stand in time/, "silence");
  await using plain = new HostileHttp(answering(ANSWER), { tls: { cert, key } });
  await sender.fails(hopTo(plain.port), "EGRESS_RESPONSE_INVALID", /./, "TLS where none is wanted");
});

Deno.test("in a process that was not started with them, authorities are trusted all the same", async () => {
  await using server = new HostileHttp(answering(ANSWER), { tls: { cert, key } });
  const { bounds, target, way, method, headers } = hopTo(server.port, { scheme: "https" });
  const open = { bounds, target, way, method, headers, body: "none" } as const;
  const connector = new Connector({ kind: "direct", ipv6: false, ca: [authority] });
  const socket = await connector.connect(open, NEVER);
  equal(socket.remotePort, server.port);
  socket.destroy();
  await until("the server sees the end", () => server.open === 0);
  const wrong = { ...open, target: { ...target, host: "other.test" } };
  await rejects(connector.connect(wrong, NEVER), { code: "EGRESS_TLS_FAILED" });
});
