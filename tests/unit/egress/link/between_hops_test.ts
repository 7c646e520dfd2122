import { deepEqual, equal } from "node:assert/strict";
import { until } from "../../../engines/support/wait.ts";
import { answering, type HostileConnection, HostileHttp } from "../../../support/hostile_http.ts";
import { hopTo, Sender } from "../process/support/sender.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const ANSWER = `${OK}Content-Length: 2\r\n\r\nhi`;

const endless = async (connection: HostileConnection) => {
  await connection.head();
  await connection.send(`${OK}\r\n`);
  for (;;) await connection.send("of another hop ".repeat(1_000));
};

Deno.test("a hop that was left half-way leaves nothing to the next one, whenever it was left", async () => {
  await using server = new HostileHttp();
  await using sender = await Sender.start();
  for (let round = 0; round < 10; round++) {
    server.manner = endless;
    const leaving = new AbortController();
    const sending = sender.process.send(hopTo(server.port), leaving.signal).then(
      (response) => response,
      () => undefined,
    );
    if (round % 3 === 0) leaving.abort("at once");
    const reader = (await sending)?.body.getReader();
    if (round % 3 === 1) await reader?.read();
    if (round % 2 === 0) leaving.abort("left");
    else await reader?.cancel("left");
    server.manner = answering(ANSWER);
    const { status, text } = await sender.text(hopTo(server.port));
    deepEqual([status, text], [200, "hi"], `round ${round}`);
  }
  await until("the servers are left", () => server.open === 0);
  deepEqual(sender.lines, []);
});

Deno.test("a process that is killed between two hops takes none with it, and a body is sent once", async () => {
  const bodies: string[] = [];
  await using server = new HostileHttp(async (connection) => {
    await connection.head();
    let body = "";
    while (!body.endsWith("0\r\n\r\n")) body += new TextDecoder().decode(await connection.read());
    bodies.push(body);
    await connection.send(ANSWER);
  });
  await using sender = await Sender.start({ patience: 20_000 });
  const hop = () => {
    const body = ReadableStream.from([new TextEncoder().encode("abc")]);
    return sender.text(hopTo(server.port, { method: "POST", body }));
  };
  for (let round = 0; round < 3; round++) {
    equal((await hop()).text, "hi");
    // At once, while nobody may know yet that it has ended.
    Deno.kill(sender.process.pid!, "SIGKILL");
    equal((await hop()).text, "hi");
  }
  deepEqual(bodies, new Array(6).fill("3\r\nabc\r\n0\r\n\r\n"));
});

Deno.test("nothing waits for what is yet to come: a head, each piece and the end arrive when they were sent", async () => {
  const steps = ["one", "two", "three"].map(() => Promise.withResolvers<void>());
  await using server = new HostileHttp(async (connection) => {
    await connection.head();
    await connection.send(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
    await steps[0]!.promise;
    await connection.send("1\r\na\r\n1\r\nb\r\n");
    await steps[1]!.promise;
    await connection.send("1\r\nc\r\n0\r\n\r\n");
    await steps[2]!.promise;
  });
  await using sender = await Sender.start();
  const { status, body } = await sender.send(hopTo(server.port));
  equal(status, 200);
  steps[0]!.resolve();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.length < 2) text += (await reader.read()).value;
  equal(text, "ab");
  steps[1]!.resolve();
  // The server holds its connection: what was sent must be enough.
  for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
  equal(text, "abc");
  steps[2]!.resolve();
});
