import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { RawConnection, rawRequest } from "../support/raw_http.ts";
import { bytesAt, noise, StorageCaller } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

const limits = { storage: { object_bytes: "2MiB", bytes: "5MiB", objects: 20, uploads_in_flight: 3, entries: 50 } };
const suite = gatewaySuite({ config: { limits } });
const { test } = suite;
const storageOf = ({ apiKey: key }: Owner) => new StorageCaller(suite.gateway, { key });
const total = async (storage: StorageCaller) => (await storage.call("GET", "objects")).expect(200).get("total");

const HEAD = `--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n`;
const END = "\r\n--b--\r\n";

/** The beginning of a request that uploads a form. @param framing `Content-Length` or `Transfer-Encoding`, as a line */
const uploadHead = (key: string, framing: string) =>
  `POST /v1/storage/upload HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n` +
  `Content-Type: multipart/form-data; boundary=b\r\n${framing}\r\n\r\n`;

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

test("a form that breaks off, wherever that is, stores nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const whole = HEAD + "content" + END;
  for (let at = 0; at < whole.length - 2; at += 3) {
    const answer = await storage.raw("b", [whole.slice(0, at)]);
    equal(answer.status, 400, `${at}: ${answer.text}`);
  }
  for (let at = 0; at < whole.length; at += 40) {
    using connection = await RawConnection.open(suite.gateway.url);
    await connection.send(uploadHead(owner.apiKey, `Content-Length: ${whole.length}`) + whole.slice(0, at));
  }
  for (const lie of [whole.length - 1, whole.length - 8, 1]) {
    const answer = await rawRequest(
      suite.gateway.url,
      uploadHead(owner.apiKey, `Content-Length: ${lie}\r\nConnection: close`) + whole,
    );
    equal(answer.status, lie === whole.length - 1 ? 200 : 400, `a length of ${lie}: ${answer.body}`);
    if (answer.status === 200) await storage.call("DELETE", `unpin/${JSON.parse(answer.body).cid}`);
  }
  equal(await total(storage), 0);
});

test("boundaries that play games are no way to store something else", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const boundaries = ["", " ", "a b ", "x".repeat(71), "b\r\nX: y", "b;charset=x", "é"];
  for (const boundary of boundaries) {
    const answer = await suite.gateway.call("POST", "/v1/storage/upload", {
      key: owner.apiKey,
      raw: HEAD + "x" + END,
      headers: { "content-type": `multipart/form-data; boundary="${boundary.replaceAll(/[\r\né]/g, "@")}"` },
    });
    equal(answer.status, 400, boundary);
  }
  const nested = `${HEAD}--c\r\nContent-Disposition: form-data; name="file"; filename="inner"\r\n\r\nx\r\n--c--${END}`;
  const kept = (await storage.raw("b", [nested])).expect(200);
  match(
    new TextDecoder().decode((await storage.read(kept.string("cid"))).bytes),
    /^--c\r\n.*--c--$/s,
    "is content as it is",
  );
  const almost = `${HEAD}x\r\n--b\r-\r\n--bb\n\r\n-b--\r\n--B--${END}`;
  // `--bb` begins like the boundary: what is there is no line break.
  equal((await storage.raw("b", [almost])).status, 400);
  equal(
    (await storage.raw("b", [`${HEAD}x${END}--b\r\n${HEAD.slice(5)}second${END}`])).status,
    200,
    "behind the end is nothing",
  );
  equal(await total(storage), 2);
});

test("thousands of parts, endless headers and huge fields are refused", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const field = `--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n`;
  for (
    const [body, sentence] of [
      [field.repeat(5_000) + HEAD + "x" + END, /more than 100 fields/],
      [HEAD + "x\r\n" + field.repeat(5_000) + "--b--", /more than 100 fields/],
      [HEAD.replace("\r\n\r\n", `\r\n${"X-Y: z\r\n".repeat(5_000)}\r\n`) + "x" + END, /headers of a part/],
      [field.replace("x\r\n", "x".repeat(100_000) + "\r\n") + HEAD + "x" + END, /a field has more than/],
      [HEAD.replace("a.bin", "n".repeat(20_000)) + "x" + END, /headers of a part/],
    ] as const
  ) {
    const answer = (await storage.raw("b", [body])).expect(400);
    match(answer.string("error"), sentence);
  }
  const files = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `f${i}`, content: String(i) }));
  equal((await storage.form(files(51), {}, "?directory=true")).status, 400);
  equal(await total(storage), 0);
  equal((await storage.form(files(50), {}, "?directory=true")).status, 200);
});

test("an upload is as long as it may be, whatever it says, and an endless one is ended", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  (await storage.form([{ name: "most", content: noise(2 * 2 ** 20) }])).expect(200);
  for (const size of [2 * 2 ** 20 + 1, 3 * 2 ** 20]) {
    equal((await storage.form([{ name: "more", content: noise(size) }])).expect(413).get("code"), "BODY_TOO_LARGE");
  }
  const files = [{ name: "a", content: noise(2 ** 20) }, { name: "b", content: noise(2 ** 20 + 1, 2) }];
  equal((await storage.form(files, {}, "?directory=true")).expect(413).get("code"), "BODY_TOO_LARGE");
  using connection = await RawConnection.open(suite.gateway.url);
  await connection.send(uploadHead(owner.apiKey, "Transfer-Encoding: chunked") + chunk(HEAD));
  const piece = chunk("x".repeat(65_536));
  for (let sent = 0; sent < 1_000 && connection.received === ""; sent++) if (!await connection.send(piece)) break;
  const answer = await connection.answer();
  deepEqual([answer.status, JSON.parse(answer.body).code], [413, "BODY_TOO_LARGE"]);
  (await storage.form([{ name: "second", content: noise(2 * 2 ** 20, 2) }])).expect(200);
  equal(
    (await storage.form([{ name: "third", content: noise(2 * 2 ** 20, 3) }])).expect(403).get("code"),
    "QUOTA_EXCEEDED",
  );
  equal(await total(storage), 2);
});

test("an upload that stops coming is ended, and gives its place back", async () => {
  await using gateway = await TestGateway.start({ config: { limits, http: { body: { stall_timeout: "700ms" } } } });
  await using owner = await newOwner(gateway);
  const storage = new StorageCaller(gateway, { key: owner.apiKey });
  const open: RawConnection[] = [];
  try {
    for (let i = 0; i < 3; i++) {
      const connection = await RawConnection.open(gateway.url);
      open.push(connection);
      await connection.send(uploadHead(owner.apiKey, "Transfer-Encoding: chunked") + chunk(`${HEAD}${i}`));
    }
    for (const connection of open) {
      const answer = await connection.answer();
      deepEqual([answer.status, JSON.parse(answer.body).code], [408, "REQUEST_TIMEOUT"]);
    }
  } finally {
    for (const connection of open) await connection.close();
  }
  const answers = await Promise.all([0, 1, 2].map((i) => storage.form([{ name: "x", content: `x${i}` }])));
  deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
  equal(await total(storage), 3);
});

test("one upload more than may be under way at once is refused", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const head = uploadHead(owner.apiKey, "Transfer-Encoding: chunked") + chunk(`${HEAD}x`);
  const open: RawConnection[] = [];
  try {
    for (let i = 0; i < 4; i++) {
      open.push(await RawConnection.open(suite.gateway.url));
      await open.at(-1)!.send(head);
    }
    await until("one is refused", () => open.some(({ received }) => received.startsWith("HTTP/1.1 429")));
    equal((await storage.form([{ name: "x", content: "x" }])).expect(429).get("code"), "TOO_MANY_UPLOADS");
    const waiting = open.filter(({ received }) => received === "");
    equal(waiting.length, 3);
    for (const connection of waiting) {
      await connection.send(`${chunk(END)}0\r\n\r\n`);
      equal((await connection.answer()).status, 200);
    }
  } finally {
    for (const connection of open) await connection.close();
  }
  equal(await total(storage), 1, "the same bytes thrice");
});

test("a client that leaves in the middle of its upload leaves nothing, and its place is free at once", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 3; i++) {
      const connection = await RawConnection.open(suite.gateway.url);
      await connection.send(uploadHead(owner.apiKey, "Content-Length: 1000000") + HEAD + "x".repeat(300_000));
      await connection.close();
    }
    const free = async () => (await storage.form([{ name: "x", content: "x" }])).status === 200;
    await until("the places are free", free, 5_000);
  }
  equal(await total(storage), 1);
});

test("a reader that is slow gets every byte, and one that leaves is forgotten", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const content = noise(2 * 2 ** 20, 5);
  const cid = (await storage.form([{ name: "slow", content }])).expect(200).string("cid");
  const response = await fetch(`${suite.gateway.url}/v1/storage/get/${cid}`, {
    headers: { "x-api-key": owner.apiKey },
  });
  const got: Uint8Array[] = [];
  let taken = 0;
  for await (const piece of response.body!) {
    got.push(piece);
    taken += piece.length;
    // The content goes while somebody reads it.
    if (got.length === 1) (await storage.call("DELETE", `unpin/${cid}`)).expect(200);
    await new Promise((resolve) => setTimeout(resolve));
  }
  equal(taken, content.length);
  ok(Buffer.concat(got).equals(content), "unpinning took nothing from who was reading");
  equal((await storage.read(cid)).status, 404);
  await storage.form([{ name: "slow", content }]);
  for (let i = 0; i < 20; i++) {
    using connection = await RawConnection.open(suite.gateway.url);
    await connection.send(`GET /v1/storage/get/${cid} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${owner.apiKey}\r\n\r\n`);
  }
  equal((await storage.read(cid)).bytes.length, content.length);
});

test("what is no CID reaches no engine, and what is in an address is no option of one", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const cid = await storage.put("asked for");
  const other = await storage.put("not asked for");
  // This is a CID, and might be on some network.
  const nobodys = "baguqeerasords4njcts6vs7qvdjfcvgnume4hqohf65zsfguprqphs3icwea";
  const forged = [
    "QmInvalidCID123456789",
    "bafkqabtimvwgy3yk",
    cid.slice(0, -1),
    `${cid}a`,
    cid.toUpperCase(),
    `${cid}%00`,
    `${cid}%3Farg=${other}`,
    `${cid}%26arg=${other}`,
    `${cid}%0D%0AX-Y:%20z`,
    "%2e%2e%2fobjects",
    "..%2f..%2fetc%2fpasswd",
    "x".repeat(3_000),
    nobodys,
  ];
  for (const text of forged) {
    for (
      const path of [`get/${text}`, `status/${text}`, `directory/${text}`, `objects/${text}`, `get/${text}?format=raw`]
    ) {
      const { status, text: body } = await storage.call("GET", path);
      ok(status === 404 || status === 400, `${path.slice(0, 80)}: ${status} ${body}`);
    }
    ok([400, 404].includes((await bytesAt(suite.gateway, `/ipfs/${text}`)).status), text.slice(0, 80));
    ok([400, 404].includes((await storage.call("DELETE", `unpin/${text}`)).status), text.slice(0, 80));
    const pinned = await storage.call("POST", "pin", { body: { cid: decodeURIComponent(text) } });
    if (suite.gateway.looksElsewhere && text === nobodys) (await storage.call("DELETE", `unpin/${text}`)).expect(200);
    else ok([400, 404].includes(pinned.status), text.slice(0, 80));
  }
  for (const query of [`?arg=${other}`, `?x=`, `?cid=${other}`, "?offset=1&length=2", "?offline=false"]) {
    equal(new TextDecoder().decode((await storage.read(cid + query)).bytes), "asked for", query);
  }
  for (const path of [`${cid}/../${other}`, `${cid}/./`, `${cid}//`]) {
    const answer = await rawRequest(
      suite.gateway.url,
      `GET /v1/storage/get/${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${owner.apiKey}\r\nConnection: close\r\n\r\n`,
    );
    ok([301, 400].includes(answer.status), `${path}: ${answer.status}`);
  }
  equal(await total(storage), 2);
});

test("a field that is misspelt is told, instead of storing what was to be encrypted as it is", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const field = (name: string) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\ntrue\r\n`;
  for (const name of ["encrpyt", "Encrypt", "visiblity", "replication-min"]) {
    for (const body of [field(name) + HEAD + "x" + END, `${HEAD}x\r\n${field(name)}--b--`]) {
      match((await storage.raw("b", [body])).expect(400).string("error"), new RegExp(`^${name}: .*did you mean`));
    }
  }
  equal(await total(storage), 0);
  for (const name of ["note", "__proto__", "constructor", "x".repeat(300)]) {
    (await storage.raw("b", [`${field(name)}${HEAD}x\r\n${field(name)}--b--`])).expect(200);
  }
});

test("as many objects as there may be are stored, and no more", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const answers = await Promise.all(Array.from({ length: 30 }, async (_, i) => {
    for (;;) {
      const answer = await storage.form([{ name: `${i}`, content: `object ${i}` }]);
      if (answer.status !== 429) return answer;
    }
  }));
  equal(answers.filter(({ status }) => status === 200).length, 20);
  for (const answer of answers) if (answer.status !== 200) equal(answer.expect(403).get("code"), "QUOTA_EXCEEDED");
  equal(await total(storage), 20);
});
