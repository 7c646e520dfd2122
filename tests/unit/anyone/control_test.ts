import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { ControlClient, type ControlOptions } from "../../../services/anyone/control_client.ts";
import { ControlError, ReplyReader } from "../../../services/anyone/control_replies.ts";
import { withinDeadline } from "../../support/deadline.ts";
import { anonOf, type Answering, MadePort, said } from "./support/control_port.ts";
import { inFolder } from "./support/keys.ts";

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const DEADLINE = 20_000;

/** A reader of these pieces, one after the other. */
function reader(...pieces: readonly (string | Uint8Array)[]): ReplyReader {
  const left = pieces.map((piece) => typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
  return new ReplyReader(() => Promise.resolve(left.shift() ?? null));
}

const fails = (words: RegExp) => (error: unknown) => {
  ok(error instanceof ControlError, String(error));
  match(error.message, words);
  return true;
};

/** Opens a connection to whoever answers so, which is expected to fail. */
async function refused(words: RegExp, answering: Answering, options: Partial<ControlOptions> = {}): Promise<string[]> {
  await using port = new MadePort(answering);
  const opening = ControlClient.open({ port: port.port, patience: 5_000, random, ...options });
  await withinDeadline(rejects(opening, fails(words)), "it failed", DEADLINE);
  return [...port.heard];
}

Deno.test("a reply has one line or several, with data that ends with a dot, however it is cut into pieces", async () => {
  const text = "250-a=1\r\n250+b=\r\none\r\n..two\r\n.\r\n250 OK\r\n552 Unrecognized key\r\n";
  const expected = [{
    code: 250,
    lines: [{ text: "a=1", data: undefined }, { text: "b=", data: "one\n.two\n" }, { text: "OK", data: undefined }],
  }, { code: 552, lines: [{ text: "Unrecognized key", data: undefined }] }];
  for (const pieces of [[text], [...text], text.split(/(?<=\r)/)]) {
    const replies = reader(...pieces);
    deepEqual([await replies.next(), await replies.next()], expected);
  }
});

Deno.test("what is told unasked is no reply", async () => {
  const replies = reader("650 STATUS_CLIENT NOTICE X\r\n650-A\r\n650+B\r\n1\r\n.\r\n650 OK\r\n250 OK\r\n");
  equal((await replies.next()).code, 250);
});

Deno.test("what does not speak the protocol is told from what does", async () => {
  const wrong = [
    "HTTP/1.1 400 Bad Request\r\n",
    "\r\n",
    "25 OK\r\n",
    "250\r\n",
    "250*x\r\n",
    " 250 OK\r\n",
    "250 a\0b\r\n",
  ];
  for (const text of [...wrong, "250 \u001b[2J\r\n", "250 a\rb\r\n"]) {
    await rejects(reader(text).next(), fails(/does not speak the control protocol/), JSON.stringify(text));
  }
  for (const text of ["", "250 OK", "250-a\r\n", "250+a\r\nb\r\n"]) {
    await rejects(reader(text).next(), fails(/closes the connection/), JSON.stringify(text));
  }
});

Deno.test("a line without end and a reply without end are left at a bound", async () => {
  let bytes = 0;
  const endless = (piece: string) =>
    new ReplyReader(() => {
      bytes += piece.length;
      return Promise.resolve(new TextEncoder().encode(piece));
    });
  await rejects(endless("250-" + "a".repeat(996)).next(), fails(/a line without end/));
  ok(bytes < 20_000, `${bytes} bytes were read of a line`);
  for (const piece of ["250-a\r\n", "250+a\r\n", "650 a\r\n"]) {
    bytes = 0;
    await rejects(endless(piece.repeat(100)).next(), fails(/a reply without end/), piece);
    ok(bytes < 300_000, `${bytes} bytes were read of a reply`);
  }
  await rejects(reader("250 " + "a".repeat(100_000) + "\r\n").next(), fails(/a line without end/));
});

Deno.test("who knows the cookie is let in, and is told what it asks for", () =>
  inFolder(async (folder) => {
    const cookie = random(32);
    await Deno.writeFile(`${folder}/a "cookie"`, cookie);
    const info = {
      version: said("250-version=0.4.9.11", "250 OK"),
      "ns/id/A": said("250+ns/id/A=", "r x", "s Running", ".", "250 OK"),
      fingerprint: said("551 Not running in server mode"),
      odd: said("250-other=1", "250 OK"),
    };
    await using port = new MadePort(anonOf({ cookieFile: `${folder}/a \\"cookie\\"`, cookie, info }));
    const { client, admission } = await ControlClient.open({ port: port.port, patience: DEADLINE, random });
    using asked = client;
    equal(admission, "cookie");
    equal(await asked.info("version"), "0.4.9.11");
    equal(await asked.info("ns/id/A"), "r x\ns Running\n");
    for (const key of ["fingerprint", "odd", "unknown"]) equal(await asked.info(key), undefined, key);
    equal(port.heard.join(" ").toLowerCase().includes(cookie.toHex()), false, "the cookie itself is never sent");
  }));

Deno.test("who cannot show that it knows the cookie is told nothing that it could use", () =>
  inFolder(async (folder) => {
    const cookie = random(32);
    await Deno.writeFile(`${folder}/cookie`, cookie);
    const impostor = anonOf({ cookieFile: `${folder}/cookie`, cookie: random(32), info: {} });
    const heard = await refused(/does not know its own cookie/, impostor);
    deepEqual(heard.map((line) => line.split(" ")[0]), ["PROTOCOLINFO", "AUTHCHALLENGE"]);
    const old = `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE COOKIEFILE="${folder}/cookie"\r\n250 OK\r\n`;
    deepEqual(await refused(/cookie/, () => old), ["PROTOCOLINFO 1"], "nor is it sent to who asks for it as it is");
    const short = (line: string) =>
      line.startsWith("AUTHCHALLENGE") ? said("250 AUTHCHALLENGE SERVERHASH=00 SERVERNONCE=00") : impostor(line);
    await refused(/does not speak/, short);
  }));

Deno.test("a cookie that is none is not read on", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/short`, random(31));
    await Deno.writeFile(`${folder}/long`, random(33));
    const cases = [["short", /is none/], ["long", /is none/], ["", /is none/], ["nowhere", /not there/]] as const;
    for (const [name, words] of cases) {
      const heard = await refused(words, anonOf({ cookieFile: `${folder}/${name}`, cookie: random(32), info: {} }));
      deepEqual(heard, ["PROTOCOLINFO 1"]);
    }
    await refused(/is none/, anonOf({ cookieFile: "/dev/zero", cookie: random(32), info: {} }));
  }));

Deno.test("a password is sent as one text, whatever is in it, and only where there is one", async () => {
  const asks: Answering = (line) =>
    line.startsWith("PROTOCOLINFO")
      ? said("250-PROTOCOLINFO 1", "250-AUTH METHODS=HASHEDPASSWORD", "250 OK")
      : line === 'AUTHENTICATE "a \\"b\\" \\\\"'
      ? said("250 OK")
      : said("515 Authentication failed");
  await refused(/set anyone.control_password/, asks);
  await refused(/refuses the password/, asks, { password: "wrong" });
  await using port = new MadePort(asks);
  const { client, admission } = await ControlClient.open({
    port: port.port,
    patience: DEADLINE,
    random,
    password: 'a "b" \\',
  });
  client[Symbol.dispose]();
  equal(admission, "password");
});

Deno.test("a port that lets everybody in is said to", async () => {
  await using port = new MadePort((line) =>
    line.startsWith("PROTOCOLINFO") ? said("250-PROTOCOLINFO 1", "250-AUTH METHODS=NULL", "250 OK") : said("250 OK")
  );
  const { client, admission } = await ControlClient.open({ port: port.port, patience: DEADLINE, random });
  client[Symbol.dispose]();
  equal(admission, "open");
});

Deno.test("whoever answers with anything else is left, in time", async () => {
  await refused(/does not speak/, () => "HTTP/1.1 400 Bad Request\r\n\r\n");
  await refused(/does not speak/, () => said("250 OK"));
  await refused(/does not speak/, () => said("250-AUTH METHODS=", "250 OK"));
  await refused(/does not speak/, () => said("510 Unrecognized command"));
  await refused(/a line without end/, () => "a".repeat(100_000));
  await refused(/does not speak|closes/, () => random(10_000));
  await refused(/closes the connection|breaks the connection off/, () => "end");
  await refused(/a reply without end/, () => "250-a\r\n".repeat(100_000));
});

Deno.test("whoever is silent, or says a little at a time, is left when the time is over", async () => {
  await refused(/does not answer within 200 ms/, () => undefined, { patience: 200 });
  await refused(/does not answer within 200 ms/, () => "250-half", { patience: 200 });
});

Deno.test("where nobody listens, that is what is said", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await rejects(ControlClient.open({ port, patience: DEADLINE, random }), fails(/nobody listens/));
});
