import { deepEqual, equal, ok } from "node:assert/strict";
import { Readable } from "node:stream";
import { Upload, type UploadOptions } from "tus-js-client";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { RawConnection } from "../support/raw_http.ts";
import { Relay } from "../support/relay.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenStorage, startTestStorage } from "../support/test_storage.ts";

const suite = gatewaySuite();
const { test } = suite;
const PATH = "/v1/storage/uploads";
const TUS = { "tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream" };
const MB = 2 ** 20;

const randomBytes = (n: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(n);
  for (let at = 0; at < n; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
};

/** Bytes as a file gives them that lies on a slow disk. */
async function* slowly(bytes: Uint8Array, pause: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    yield bytes.subarray(at, at + 65_536);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Uploads with the client that its users have. @returns headers of the last answer */
function uploaded(content: ConstructorParameters<typeof Upload>[0], options: UploadOptions): Promise<Headers> {
  const { promise, resolve, reject } = Promise.withResolvers<Headers>();
  let last = new Headers();
  new Upload(content, {
    ...options,
    onAfterResponse: (_, response) => {
      const cid = response.getHeader("Upload-Cid");
      last = new Headers(cid === undefined ? {} : { "upload-cid": cid });
    },
    onSuccess: () => resolve(last),
    onError: reject,
  }).start();
  return promise;
}

async function downloaded(gateway: { readonly url: string }, cid: string, key: string): Promise<Uint8Array> {
  const answer = await fetch(`${gateway.url}/v1/storage/get/${cid}`, { headers: { "x-api-key": key } });
  equal(answer.status, 200);
  return new Uint8Array(await answer.arrayBuffer());
}

async function begun(key: string, length: number, headers: Record<string, string> = {}): Promise<string> {
  const { gateway } = suite;
  const answer = await gateway.call("POST", PATH, {
    key,
    headers: { "tus-resumable": "1.0.0", "upload-length": String(length), ...headers },
  });
  return answer.expect(201).headers.get("location")!;
}

const offsetOf = async (location: string, key: string): Promise<number> => {
  const answer = await suite.gateway.call("HEAD", location, { key, headers: { "tus-resumable": "1.0.0" } });
  return Number(answer.expect(200).headers.get("upload-offset"));
};

test("a client from npm uploads in one part, in many, and what it cannot tell the length of", async () => {
  const { gateway } = suite;
  const key = await gateway.defaultKey();
  const bytes = randomBytes(3 * MB + 17);
  const common = { endpoint: gateway.url + PATH, headers: { "x-api-key": key }, metadata: { filename: "npm.bin" } };
  const deferred = { uploadLengthDeferred: true, chunkSize: MB } as const;
  const cids = new Set<string | null>();
  for (const options of [{}, { chunkSize: MB }, { uploadDataDuringCreation: true }, { overridePatchMethod: true }]) {
    cids.add((await uploaded(Buffer.from(bytes), { ...common, ...options })).get("upload-cid"));
  }
  cids.add((await uploaded(Readable.from([Buffer.from(bytes)]), { ...common, ...deferred })).get("upload-cid"));
  equal(cids.size, 1);
  const [cid] = cids;
  deepEqual(await downloaded(gateway, cid!, key), bytes);
  const object = await gateway.call("GET", `/v1/storage/objects/${cid}`, { key });
  deepEqual([object.get("name"), object.get("size")], ["npm.bin", bytes.length]);
});

test("a client from npm goes on by itself after the gateway was killed", async () => {
  const folder = await Deno.makeTempDir({ prefix: "orama-resumable-" });
  const bytes = randomBytes(8 * MB);
  try {
    await using storage = await startTestStorage(chosenStorage());
    let gateway = await TestGateway.start({ folder, driver: "sqlite", storage });
    const { secrets } = gateway;
    const key = await gateway.defaultKey();
    await using relay = new Relay(gateway.url);
    const asked: string[] = [];
    const done = uploaded(Readable.from(slowly(bytes, 20)), {
      endpoint: relay.url + PATH,
      headers: { "x-api-key": key },
      uploadSize: bytes.length,
      chunkSize: 16 * MB,
      retryDelays: Array.from({ length: 100 }, () => 300),
      onBeforeRequest: (request) => void asked.push(request.getMethod()),
      onShouldRetry: () => true,
    });
    done.catch(() => {});
    await until("a part of it is there", () => relay.sent > 3 * MB);
    gateway.signal("SIGKILL");
    await gateway.exitCode();
    await gateway[Symbol.asyncDispose]();
    gateway = await TestGateway.start({ folder, driver: "sqlite", storage, secrets });
    try {
      relay.target = gateway.url;
      const cid = (await done).get("upload-cid");
      deepEqual(await downloaded(gateway, cid!, key), bytes);
      deepEqual(asked.filter((method) => method === "POST").length, 1, "it was never begun anew");
      ok(asked.includes("HEAD"), asked.join(" "));
      const twice = relay.sent - bytes.length;
      ok(twice < 3 * MB, `${twice} bytes were sent twice`);
      const list = await gateway.call("GET", "/v1/storage/objects", { key });
      equal(list.get("total"), 1);
    } finally {
      await gateway[Symbol.asyncDispose]();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("a connection that broke half-open gives way to the one that goes on", async () => {
  const { gateway } = suite;
  const key = await gateway.defaultKey();
  const location = await begun(key, 11);
  const head = [
    `PATCH ${location} HTTP/1.1`,
    "Host: gateway",
    `X-API-Key: ${key}`,
    "Tus-Resumable: 1.0.0",
    "Content-Type: application/offset+octet-stream",
    "Upload-Offset: 0",
    "Content-Length: 11",
  ];
  const half = await RawConnection.open(gateway.url);
  try {
    await half.send(`${head.join("\r\n")}\r\n\r\nhello `);
    await until("its bytes are there", async () => await offsetOf(location, key) === 6);
    const go = () => gateway.call("PATCH", location, { key, headers: { ...TUS, "upload-offset": "6" }, raw: "world" });
    const early = await go();
    equal(early.status, 423, early.text);
    ok(Number(early.headers.get("retry-after")) <= 5);
    let late = early;
    await until("the other gave way", async () => (late = await go()).status !== 423);
    equal(late.expect(204).headers.get("upload-offset"), "11");
    equal((await half.answer()).status, 423);
  } finally {
    await half.close();
  }
});

test("bytes that an upload cannot begin with are refused, not passed over", async () => {
  const { gateway } = suite;
  const key = await gateway.defaultKey();
  const begin = (raw: string, headers: Record<string, string>) =>
    gateway.call("POST", PATH, { key, raw, headers: { "tus-resumable": "1.0.0", "upload-length": "5", ...headers } });
  for (const headers of [{ "content-type": "text/plain" }, { "content-type": "application/octet-stream" }]) {
    equal((await begin("hello", headers)).expect(415).get("code"), "UNSUPPORTED_MEDIA_TYPE");
    (await begin("", headers)).expect(201);
  }
  ok((await begin("hello", { "content-type": TUS["content-type"] })).expect(201).headers.has("upload-cid"));
});

test("an upload is another namespace's as little as its objects are", async () => {
  const { gateway } = suite;
  const key = await gateway.defaultKey();
  await using owner = await newOwner(gateway);
  const { apiKey: other } = owner;
  const location = await begun(key, 3);
  for (const method of ["GET", "PATCH", "DELETE"]) {
    const raw = method === "PATCH" ? { raw: "abc" } : {};
    const answer = await gateway.call(method, location, {
      key: other,
      headers: { ...TUS, "upload-offset": "0" },
      ...raw,
    });
    equal(answer.status, 404, answer.text);
    equal(answer.get("code"), "NOT_FOUND");
  }
  equal(await offsetOf(location, key), 0);
}, { namespaces: 2 });

test("an upload that is to be encrypted is read as it was sent", async () => {
  const { gateway } = suite;
  const key = await gateway.defaultKey();
  const bytes = randomBytes(MB + 1);
  const metadata = `encrypt ${btoa("true")},filename ${btoa("sealed.bin")}`;
  const location = await begun(key, bytes.length, { "upload-metadata": metadata });
  const half = MB / 2;
  const send = (offset: number, raw: Uint8Array<ArrayBuffer>) =>
    gateway.call("PATCH", location, { key, raw, headers: { ...TUS, "upload-offset": String(offset) } });
  (await send(0, bytes.slice(0, half))).expect(204);
  const cid = (await send(half, bytes.slice(half))).expect(204).headers.get("upload-cid")!;
  deepEqual(await downloaded(gateway, cid, key), bytes);
  equal((await gateway.call("GET", `/v1/storage/objects/${cid}`, { key })).get("encrypted"), true);
});

test("with its namespace what was staged goes from the disk", async () => {
  const { gateway } = suite;
  await using owner = await newOwner(gateway);
  const id = (await begun(owner.apiKey, 100)).split("/").at(-1)!;
  const staged = () => [...Deno.readDirSync(`${gateway.dataFolder}/uploads`)].some(({ name }) => name.startsWith(id));
  ok(staged());
  const path = `/v1/namespaces/${owner.namespace}`;
  const answer = await gateway.call("DELETE", path, { token: owner.accessToken });
  ok(answer.status < 300, answer.text);
  await until("it is gone", () => !staged());
}, { namespaces: 2 });
