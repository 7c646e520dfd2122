import { equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { type RawAnswer, RawConnection } from "../support/raw_http.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const MAX = 1024 * 1024;
const STALL = 400, WHOLE = 1200;
const suite = gatewaySuite({
  config: { http: { body: { max_bytes: "1MiB", stall_timeout: `${STALL}ms`, timeout: `${WHOLE}ms` } } },
});
const { test } = suite;
const wallet = ethereumWallet().address;
const post = (raw: string | Uint8Array<ArrayBuffer>) => suite.gateway.call("POST", "/v1/auth/challenge", { raw });
const HEAD = "POST /v1/auth/challenge HTTP/1.1\r\nHost: x\r\n";

/** Opens a connection for one test. */
async function withConnection(run: (connection: RawConnection) => Promise<void>): Promise<void> {
  const connection = await RawConnection.open(suite.gateway.url);
  try {
    await run(connection);
  } finally {
    await connection.close();
  }
}

function isError(answer: RawAnswer, status: number, code: string): void {
  equal(answer.status, status, answer.body);
  equal(JSON.parse(answer.body).code, code);
  if (status !== 400) equal(answer.headers.get("connection"), "close");
}

/** The rest of a body is dropped unread until its client has had enough; then the connection is over. */
async function endsWithItsClient(connection: RawConnection): Promise<void> {
  await connection.endSending().catch(() => {});
  await connection.closed();
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

test("a body of the longest length is taken, and one byte more is not", async () => {
  const json = JSON.stringify({ wallet });
  (await post(json + " ".repeat(MAX - json.length))).expect(200);
  const answer = (await post(json + " ".repeat(MAX + 1 - json.length))).expect(413);
  equal(answer.get("code"), "BODY_TOO_LARGE");
});

test("a body that says it is too long is refused before it comes", async () => {
  for (const length of [MAX + 1, 2 ** 40, 2 ** 53 + 2]) {
    await withConnection(async (connection) => {
      await connection.send(`${HEAD}Content-Length: ${length}\r\n\r\n{`);
      isError(await connection.answer(), 413, "BODY_TOO_LARGE");
      await endsWithItsClient(connection);
    });
  }
});

test("a body in countless small chunks is refused before much memory is filled, and nobody else waits", async () => {
  const block = "1\r\n \r\n".repeat(20_000);
  const before = suite.gateway.memory();
  for (let round = 0; round < 3; round++) {
    await withConnection(async (connection) => {
      await connection.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
      let answered = false;
      const answer = awaitedLater(connection.answer({ deadline: 20_000 }).finally(() => answered = true));
      let sent = 0;
      for (; !answered && sent < 256 * MAX && await connection.send(block);) sent += block.length;
      const refused = await answer;
      isError(refused, 400, "INVALID_REQUEST");
      match(refused.body, /small chunks/);
      equal(refused.headers.get("connection"), "close");
      (await post(JSON.stringify({ wallet }))).expect(200);
    });
  }
  ok(suite.gateway.memory() < before + 128 * MAX, `${before} bytes before, ${suite.gateway.memory()} after`);
});

test("a body that comes slowly may come in chunks of any size", async () => {
  await withConnection(async (connection) => {
    await connection.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    for (const character of JSON.stringify({ wallet })) await connection.send(chunk(character));
    await connection.send("0\r\n\r\n");
    equal((await connection.answer()).status, 200);
  });
});

test("a body without end is answered at the limit, and costs no memory however long it goes on", async () => {
  const block = chunk(" ".repeat(64 * 1024));
  const before = suite.gateway.memory();
  for (let round = 0; round < 6; round++) {
    await withConnection(async (connection) => {
      await connection.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
      let answered = false;
      const answer = awaitedLater(connection.answer().finally(() => answered = true));
      let sent = 0;
      for (; !answered && sent < 64 * MAX; sent += 64 * 1024) await connection.send(block);
      isError(await answer, 413, "BODY_TOO_LARGE");
      for (; sent < 64 * MAX && await connection.send(block);) sent += 64 * 1024;
      await endsWithItsClient(connection);
    });
  }
  const grown = suite.gateway.memory() - before;
  ok(grown < 60 * MAX, `grew by ${Math.round(grown / MAX)} MiB`);
});

test("many bodies without end at once do not stop others", async () => {
  const connections = await Promise.all(Array.from({ length: 40 }, () => RawConnection.open(suite.gateway.url)));
  await Promise.all(
    connections.map((connection) => connection.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk("{")}`)),
  );
  (await suite.gateway.call("GET", "/v1/version")).expect(200);
  (await post(JSON.stringify({ wallet }))).expect(200);
  for (const connection of connections) isError(await connection.answer(), 408, "REQUEST_TIMEOUT");
  await Promise.all(connections.map((connection) => connection.close()));
});

for (const framing of ["Content-Length: 50", "Content-Length: 200000", "Transfer-Encoding: chunked"]) {
  test(`a body that stops coming is given up (${framing})`, async () => {
    await withConnection(async (connection) => {
      const start = performance.now();
      await connection.send(`${HEAD}${framing}\r\n\r\n${framing.startsWith("T") ? chunk('{"wall') : '{"wall'}`);
      isError(await connection.answer(), 408, "REQUEST_TIMEOUT");
      const took = performance.now() - start;
      ok(took >= STALL * 0.9 && took < STALL * 5, `took ${took} ms`);
      await endsWithItsClient(connection);
    });
  });
}

test("a body that comes drop by drop is given up after a while", async () => {
  await withConnection(async (connection) => {
    const start = performance.now();
    await connection.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    let answered = false;
    const answer = awaitedLater(connection.answer({ deadline: 10_000 }).finally(() => answered = true));
    while (!answered && await connection.send(chunk(" "))) {
      const next = performance.now() + STALL / 4;
      await until("the next drop falls", () => performance.now() > next || answered);
    }
    isError(await answer, 408, "REQUEST_TIMEOUT");
    const took = performance.now() - start;
    ok(took >= WHOLE * 0.9 && took < WHOLE * 4, `took ${took} ms`);
  });
});

test("a body that is shorter than it said is no request", async () => {
  await withConnection(async (connection) => {
    await connection.send(`${HEAD}Content-Length: 500\r\n\r\n{"wallet":"${wallet}"}`);
    await connection.endSending();
    await connection.closed();
    equal(connection.received.includes("200 OK"), false, connection.received);
  });
  (await suite.gateway.call("GET", "/health")).expect(200);
});

test("a body that is longer than it said is read no further", async () => {
  const body = JSON.stringify({ wallet });
  await withConnection(async (connection) => {
    await connection.send(`${HEAD}Content-Length: ${body.length}\r\n\r\n${body}GARBAGE`);
    equal((await connection.answer()).status, 200);
    await connection.endSending();
    await connection.closed();
  });
});

test("a stranger's body is not even read", async () => {
  await withConnection(async (connection) => {
    await connection.send("POST /v1/rqlite/exec HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n{");
    equal((await connection.answer({ deadline: STALL - 50 })).status, 401);
  });
  await withConnection(async (connection) => {
    await connection.send(
      "POST /v1/rqlite/exec HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 900000\r\n\r\n",
    );
    // The runtime itself says to go on, before anyone is asked.
    equal((await connection.answer()).status, 100);
    equal((await connection.answer({ deadline: STALL - 50 })).status, 401);
  });
});

test("a client that waits for the word to go on gets it", async () => {
  const body = JSON.stringify({ wallet });
  await withConnection(async (connection) => {
    await connection.send(`${HEAD}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
    equal((await connection.answer()).status, 100);
    await connection.send(body);
    equal((await connection.answer()).status, 200);
  });
});

test("what is not JSON is 400 and says so", async () => {
  const json = JSON.stringify({ wallet });
  const bytes = new TextEncoder().encode(json);
  const invalidUtf8 = Uint8Array.from([...bytes.slice(0, -2), 0xff, 0xfe, ...bytes.slice(-2)]);
  const broken = [
    "",
    " ",
    "{",
    "}",
    "{'a':1}",
    "undefined",
    "NaN",
    json + "x",
    json + json,
    json.slice(0, -1),
    "\u0000",
    '{"a":"\u0001"}',
    "wallet=0x",
    "<xml/>",
  ];
  for (
    const raw of [...broken, invalidUtf8, new Uint8Array([0x1f, 0x8b, 8, 0]), new Uint8Array([0xff, 0xfe, 0x7b, 0])]
  ) {
    const answer = (await post(raw)).expect(400);
    equal(answer.get("code"), "INVALID_JSON");
    match(answer.string("error"), /^invalid json body/);
  }
});

test("JSON that is nested too deeply is refused, however deep", async () => {
  for (const depth of [65, 1000, 100_000, 500_000]) {
    for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
      const inner = open.repeat(depth) + "1" + close.repeat(depth);
      const raw = `{"wallet":"${wallet}","x":${inner}}`;
      if (raw.length > MAX) continue;
      equal((await post(raw)).expect(400).get("code"), "INVALID_JSON", `${depth} ${open}`);
    }
    equal((await post("[".repeat(depth))).expect(400).get("code"), "INVALID_JSON");
  }
  (await post(`{"wallet":"${wallet}","x":${"[".repeat(60)}${"]".repeat(60)}}`)).expect(200);
});

test("a body that is no object is a body with all fields wrong or missing", async () => {
  for (const raw of ["null", "{}"]) equal((await post(raw)).expect(400).get("details.0.field"), "wallet");
  for (const raw of ["[]", "1", '"text"', "true", "[{}]"]) {
    equal((await post(raw)).expect(400).get("details.0.field"), "body");
  }
});

test("names that mean something to the language mean nothing here", async () => {
  const hostile = [
    '"__proto__":{"wallet":"x","namespace":"evil"}',
    '"constructor":{"prototype":{"namespace":"evil"}}',
    '"toString":1',
    '"hasOwnProperty":null',
    '"__proto__":null',
  ];
  for (const member of hostile) {
    const answer = (await post(`{"wallet":"${wallet}",${member}}`)).expect(200);
    equal(answer.get("namespace"), "");
    equal(answer.get("wallet"), wallet);
    equal((await post(`{${member}}`)).expect(400).get("details.0.field"), "wallet");
  }
});

test("of two members with one name the last counts", async () => {
  equal((await post(`{"wallet":"x","wallet":"${wallet}"}`)).expect(200).get("wallet"), wallet);
  equal((await post(`{"wallet":"${wallet}","wallet":1}`)).expect(400).get("details.0.field"), "wallet");
});

test("members that are not known are ignored, and no content type is asked for", async () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin1"]) {
    const answer = await suite.gateway.call("POST", "/v1/auth/challenge", {
      raw: JSON.stringify({ wallet, unknown: { a: [1] } }),
      headers: { "content-type": type },
    });
    equal(answer.expect(200).get("wallet"), wallet);
  }
});

test("a body where none is expected harms nobody", async () => {
  await using owner = await newOwner(suite.gateway);
  const request = (length: number) =>
    `GET /v1/auth/whoami HTTP/1.1\r\nHost: x\r\nX-API-Key: ${owner.apiKey}\r\nContent-Length: ${length}\r\n\r\n${
      "x".repeat(length)
    }`;
  for (const length of [1, 1000, 200_000]) {
    await withConnection(async (connection) => {
      await connection.send(request(length));
      equal((await connection.answer()).status, 200);
    });
  }
  (await suite.gateway.call("DELETE", "/v1/auth/keys/key_x", { token: owner.accessToken, body: { any: "thing" } }))
    .expect(404);
});
