import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import {
  createClient,
  createStorage,
  OramaError,
  type RetryPolicy,
  type Storage,
  type UploadState,
} from "../../src/client/index.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { TestGateway } from "../support/gateway.ts";
import { Relay } from "../support/relay.ts";
import { noise } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

const MB = 2 ** 20;
const limits = { storage: { object_bytes: "2MiB", bytes: "5MiB", objects: 20, uploads_in_flight: 3 } };
const suite = gatewaySuite({ config: { limits } });
const { test } = suite;
/** Outlives a gateway that is started again on a busy machine. */
const PATIENT: Partial<RetryPolicy> = { attempts: 100, firstPause: 500, longestPause: 1_000 };

const storageAt = (url: string, apiKey: string, retry: Partial<RetryPolicy> = {}): Storage =>
  createStorage(createClient({ url, apiKey, retry, requestTimeout: 120_000 }));
const storageOf = ({ apiKey }: Owner) => storageAt(suite.gateway.url, apiKey);

async function errorOf(work: Promise<unknown>): Promise<OramaError> {
  const error = await work.then(() => undefined, (error) => error);
  ok(error instanceof OramaError, String(error));
  return error;
}

const codeOf = async (work: Promise<unknown>) => (await errorOf(work)).code;

/** Bytes as a file gives them that lies on a slow disk. @param pause milliseconds before each piece @param half before the second half */
function slowly(bytes: Uint8Array, pause: number, half: Promise<void> = Promise.resolve()) {
  const state = { given: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (state.given >= bytes.length / 2) await half;
      if (state.given >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(state.given, state.given += 65_536));
    },
    cancel: () => void (state.cancelled = true),
  }, { highWaterMark: 0 });
  return { stream, state };
}

async function count(storage: Storage): Promise<number> {
  let objects = 0;
  for await (const page of storage.objects()) objects += page.objects.length;
  return objects;
}

/** A gateway that can be killed and started again behind one address. */
async function mortalGateway() {
  await using owned = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "orama-client-storage-" });
  owned.defer(() => Deno.remove(folder, { recursive: true }));
  let gateway = await TestGateway.start({ folder, driver: "sqlite" });
  owned.defer(() => gateway[Symbol.asyncDispose]());
  const relay = owned.use(new Relay(gateway.url));
  const key = await gateway.defaultKey();
  const { secrets } = gateway;
  const all = owned.move();
  return {
    relay,
    key,
    kill: async () => {
      gateway.signal("SIGKILL");
      await gateway.exitCode();
      await gateway[Symbol.asyncDispose]();
    },
    restart: async () => {
      gateway = await TestGateway.start({ folder, driver: "sqlite", secrets });
      relay.target = gateway.url;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

test("an upload in parts goes on by itself after the gateway was killed in the middle of one", async () => {
  await using mortal = await mortalGateway();
  const { relay, key } = mortal;
  const bytes = noise(8 * MB, 11);
  const storage = storageAt(relay.url, key);
  const sent: number[] = [];
  let begun = 0;
  const done = awaitedLater(storage.uploadResumable(slowly(bytes, 10).stream, {
    name: "killed.bin",
    partSize: MB,
    retry: PATIENT,
    onState: () => void begun++,
    onProgress: (progress) => void sent.push(progress.sent),
  }));
  await until("some parts are there", () => sent.length > 3);
  const before = relay.sent;
  await until("another part is on its way", () => relay.sent > before + 10_000);
  await mortal.kill();
  await mortal.restart();
  const { cid, size } = await done;
  deepEqual([size, begun, sent.at(-1)], [bytes.length, 1, bytes.length]);
  deepEqual(await (await storage.download(cid)).bytes(), bytes);
  ok(relay.sent < bytes.length + 3 * MB, `${relay.sent - bytes.length} bytes were sent twice`);
  equal(await count(storage), 1);
});

test("another process goes on after both, program and gateway, have ended; without checksums within a part", async () => {
  await using mortal = await mortalGateway();
  const { relay, key } = mortal;
  const bytes = noise(6 * MB, 12);
  let kept = "";
  const leaving = new AbortController();
  const first = awaitedLater(
    storageAt(relay.url, key).uploadResumable(bytes, {
      checksum: false,
      partSize: 64 * MB,
      signal: leaving.signal,
      onState: (state) => void (kept = JSON.stringify(state)),
    }),
  );
  await until("a part of it is there", () => relay.sent > MB);
  await mortal.kill();
  leaving.abort(new Error("the program ends"));
  await rejects(first, /the program ends/);
  await mortal.restart();
  const resume = JSON.parse(kept) as UploadState;
  const storage = storageAt(relay.url, key);
  const from: number[] = [];
  const { cid } = await storage.uploadResumable(new Blob([bytes]), {
    resume,
    retry: PATIENT,
    onProgress: (progress) => void from.push(progress.sent),
  });
  deepEqual(await (await storage.download(cid)).bytes(), bytes);
  ok(from[0]! <= bytes.length, from.join(" "));
});

test("a download goes on after the gateway was killed in the middle of it", async () => {
  await using mortal = await mortalGateway();
  const { relay, key } = mortal;
  const bytes = noise(32 * MB, 13);
  const storage = storageAt(relay.url, key, PATIENT);
  const { cid } = await storage.upload(bytes);
  const reader = (await storage.download(cid)).body.getReader();
  const pieces = [(await reader.read()).value!];
  await mortal.kill();
  const restarted = awaitedLater(mortal.restart());
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) pieces.push(piece.value);
  await restarted;
  deepEqual(new Uint8Array(await new Blob(pieces).arrayBuffer()), bytes);
});

test("what was on its way when the gateway died is unknown, or known to be stored nowhere", async () => {
  await using mortal = await mortalGateway();
  const { relay, key } = mortal;
  const storage = storageAt(relay.url, key, { attempts: 1, firstPause: 10 });
  const { stream, state } = slowly(noise(64 * MB, 14), 5);
  const streaming = errorOf(storage.upload(stream, { name: "lost" }));
  await until("some of it was sent", () => relay.sent > MB);
  await mortal.kill();
  equal((await streaming).code, "NETWORK_ERROR");
  await until("its source was let go", () => state.cancelled);
  equal(await codeOf(storage.upload("whole")), "OUTCOME_UNKNOWN");
  equal(await codeOf(storage.upload("whole", { repeat: true })), "OUTCOME_UNKNOWN");
  equal(await codeOf(storage.object("bafy")), "NETWORK_ERROR");
  equal(await codeOf(storage.uploadResumable("parts", { retry: { attempts: 1, firstPause: 10 } })), "NETWORK_ERROR");
  await mortal.restart();
  equal(await count(storage), 0);
});

test("what is too large is refused with the limit, whichever way it goes, and its source let go", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const large = noise(3 * MB, 15);
  equal(await codeOf(storage.upload(large)), "BODY_TOO_LARGE");
  const { stream, state } = slowly(noise(64 * MB, 16), 0);
  equal(await codeOf(storage.upload(stream)), "BODY_TOO_LARGE");
  await until("its source was let go", () => state.cancelled);
  ok(state.given < 32 * MB, `${state.given} bytes were read`);
  equal(await codeOf(storage.uploadResumable(large)), "BODY_TOO_LARGE");
  const parts = slowly(noise(8 * MB, 16), 0);
  equal(await codeOf(storage.uploadResumable(parts.stream, { partSize: MB })), "BODY_TOO_LARGE");
  ok(parts.state.cancelled);
  for (const seed of [1, 2]) await storage.upload(noise(2 * MB, seed));
  equal(await codeOf(storage.upload(noise(2 * MB, 3))), "QUOTA_EXCEEDED");
  equal(await codeOf(storage.uploadResumable(noise(2 * MB, 4))), "QUOTA_EXCEEDED");
  equal(await count(storage), 2);
});

test("a key that is revoked while it uploads stores nothing; one that may only read is told so", async () => {
  await using owner = await newOwner(suite.gateway);
  const { accessToken: token } = owner;
  const keyWith = async (scopes: readonly string[]) =>
    (await suite.gateway.call("POST", "/v1/auth/keys", { token, body: { name: "k", scopes } })).expect(201);
  const reading = await keyWith(["storage:read"]);
  const reader = storageAt(suite.gateway.url, reading.string("api_key"));
  const refused = [reader.upload("x"), reader.uploadResumable("x"), reader.pin("bafy"), reader.link("bafy")];
  deepEqual(await Promise.all(refused.map(codeOf)), Array(4).fill("INSUFFICIENT_SCOPE"));
  const writing = await keyWith(["storage:read", "storage:write"]);
  const writer = storageAt(suite.gateway.url, writing.string("api_key"));
  const revoked = Promise.withResolvers<void>();
  const { stream, state } = slowly(noise(MB, 17), 0, revoked.promise);
  const uploading = errorOf(writer.upload(stream));
  await until("half of it was sent", () => state.given >= MB / 2);
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${writing.string("id")}`, { token })).expect(200);
  // A body that comes at once is judged by the rights at its beginning.
  setTimeout(revoked.resolve, 1_000);
  equal((await uploading).status, 401);
  equal(await count(storageOf(owner)), 0);
});

test("of uploads at once, those beyond the limit are told so, and the others stored", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const sources = Array.from({ length: 5 }, (_, seed) => slowly(noise(MB, 20 + seed), 40));
  const results = await Promise.allSettled(sources.map(({ stream }) => storage.upload(stream)));
  const refused = results.flatMap((result) => result.status === "rejected" ? [result.reason as OramaError] : []);
  deepEqual(refused.map(({ code, status }) => `${code} ${status}`), Array(2).fill("TOO_MANY_UPLOADS 429"));
  equal(await count(storage), 3);
});
