import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { RawConnection } from "../support/raw_http.ts";
import { noise, StorageCaller } from "../support/storage.ts";
import { storageOn } from "../support/test_storage.ts";
import { type Engines, engineTest } from "./support/engine_test.ts";
import type { KuboStart } from "./support/kubo.ts";
import { until } from "./support/wait.ts";

const MB = 2 ** 20;
const PROGRAMS = ["ipfs", "ipfs-cluster-service"] as const;
const TUS = { "tus-resumable": "1.0.0" };
/** Times that a test can wait for, and a quota that a forgotten upload would fill. */
const CONFIG = {
  storage: { replication: { min: 1, max: 1 }, ipfs: { request_timeout: "2s" } },
  limits: { storage: { bytes: "40MiB", object_bytes: "40MiB" } },
};

/** A gateway on nodes that are there to be hurt. */
async function onNodes(engines: Engines, nodes: KuboStart["nodes"]) {
  const kubos = await engines.kubo({ nodes });
  const cluster = await engines.ipfsCluster({ kubos });
  const own = new AsyncDisposableStack();
  const gateway = own.use(
    await TestGateway.start({
      driver: "sqlite",
      cacheDriver: "memory",
      storage: storageOn(kubos, cluster),
      config: CONFIG,
    }),
  );
  const owner = own.use(await newOwner(gateway));
  const storage = new StorageCaller(gateway, { key: owner.apiKey });
  return {
    kubos,
    cluster,
    gateway,
    storage,
    key: owner.apiKey,
    total: async () => (await storage.call("GET", "objects")).expect(200).get("total"),
    status: async (cid: string) => (await storage.call("GET", `status/${cid}`)).expect(200),
    async [Symbol.asyncDispose]() {
      await own.disposeAsync();
    },
  };
}

/** Kinds of uploads, by their address and the name of the file. */
const FORMS = {
  file: { path: "upload", name: "a.bin" },
  directory: { path: "upload?directory=true", name: "d/a.bin" },
  encrypted: { path: "upload?encrypt=true", name: "a.bin" },
} as const;

engineTest(
  "a Kubo that is killed in the middle of an upload: 503, nothing is recorded, and the client may send it again",
  PROGRAMS,
  async (engines) => {
    await using here = await onNodes(engines, 1);
    const { gateway, storage, kubos, key } = here, [node] = kubos.nodes;
    const content = noise(28 * MB);
    for (const [kind, { path, name }] of Object.entries(FORMS)) {
      const head = `--b\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`,
        end = "\r\n--b--\r\n";
      const length = head.length + content.length + end.length;
      using connection = await RawConnection.open(gateway.url);
      await connection.send(
        `POST /v1/storage/${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n` +
          `Content-Type: multipart/form-data; boundary=b\r\nContent-Length: ${length}\r\n\r\n${head}`,
      );
      await connection.send(content.subarray(0, 20 * MB));
      await until("a part of it is with Kubo", async () => (await node!.blocks()).length >= 8);
      await node!.kill();
      await connection.send(content.subarray(20 * MB));
      await connection.send(end);
      const answer = await connection.answer({ deadline: 20_000 });
      deepEqual([answer.status, JSON.parse(answer.body).code], [503, "UNAVAILABLE"], `${kind}: ${answer.body}`);
      match(answer.headers.get("retry-after") ?? "", /^\d+$/);
      equal(await here.total(), 0);
      await node!.start();
      await kubos.ready();
      deepEqual(await node!.pins(), []);
      const files = [{ name, content }];
      let again = await storage.form(files, {}, path.slice("upload".length));
      await until("it is taken", async () => {
        if (again.status === 503) again = await storage.form(files, {}, path.slice("upload".length));
        return again.status !== 503;
      });
      const cid = again.expect(200).string("cid");
      await until("it is pinned", async () => (await here.status(cid)).get("status") === "pinned");
      (await storage.call("DELETE", `unpin/${cid}`)).expect(200);
      await until("Kubo has let it go", async () => (await node!.pins()).length === 0);
      await node!.collect();
      equal(await here.total(), 0);
    }
  },
);

engineTest(
  "a Kubo that is down when the last byte of a resumable upload comes: it waits, and is stored when Kubo is back",
  PROGRAMS,
  async (engines) => {
    await using here = await onNodes(engines, 1);
    const { gateway, kubos, key } = here, [node] = kubos.nodes;
    const content = noise(2 * MB, 3);
    const begin = { key, headers: { ...TUS, "upload-length": String(content.length) } };
    const location = (await gateway.call("POST", "/v1/storage/uploads", begin)).expect(201).headers.get("location")!;
    const send = (offset: number, raw: Uint8Array<ArrayBuffer>) =>
      gateway.call("PATCH", location, {
        key,
        raw,
        headers: { ...TUS, "content-type": "application/offset+octet-stream", "upload-offset": String(offset) },
      });
    (await send(0, content.slice(0, MB))).expect(204);
    await node!.kill();
    const last = await send(MB, content.slice(MB));
    deepEqual([last.status, last.get("code")], [503, "UNAVAILABLE"], last.text);
    const look = () => gateway.call("HEAD", location, { key, headers: TUS });
    equal((await look()).status, 423);
    equal(await here.total(), 0);
    await node!.start();
    await kubos.ready();
    let cid: string | null = null;
    await until("it is stored", async () => (cid = (await look()).headers.get("upload-cid")) !== null);
    ok(Buffer.from((await here.storage.read(cid!)).bytes).equals(content));
    equal(await here.total(), 1);
  },
);

engineTest(
  "a Cluster that is down takes no upload away: its pin is queued, and made when the Cluster is back",
  PROGRAMS,
  async (engines) => {
    await using here = await onNodes(engines, 1);
    const { storage, kubos: { nodes: [node] }, cluster: { peers: [peer] }, cluster } = here;
    await peer!.kill();
    const cid = await storage.put("while nobody pins");
    match((await here.status(cid)).string("status"), /^(queued|error)$/);
    equal(new TextDecoder().decode((await storage.read(cid)).bytes), "while nobody pins");
    equal((await node!.pins()).length, 0);
    const ended = await storage.put("given up before anybody heard of it");
    (await storage.call("DELETE", `unpin/${ended}`)).expect(200);
    await peer!.start();
    await cluster.ready();
    await until("it is pinned", async () => (await here.status(cid)).get("status") === "pinned");
    deepEqual(await node!.pins(), [cid]);
    deepEqual(await peer!.allocations(), [cid]);
  },
);

engineTest("the state of a pin says which peer is down, and another one takes over", PROGRAMS, async (engines) => {
  await using here = await onNodes(engines, 3);
  const { storage, cluster } = here;
  const files = [{ name: "a.bin", content: noise(3 * MB) }];
  const cid = (await storage.form(files, {}, "?replication_min=2&replication_max=2")).expect(200).string("cid");
  const states = async () =>
    (await here.status(cid)).list("peer_states").map(({ name, status, error }) => ({ name, status, error }));
  const holders = async () => (await states()).filter(({ status }) => status === "pinned").map(({ name }) => name);
  await until("two have it", async () => (await holders()).length === 2);
  const [lost] = (await holders()).toSorted().toReversed();
  const peer = cluster.peers.find(({ id }) => id === lost)!;
  await Promise.all([peer.kill(), peer.kubo.kill()]);
  await until("the state says so, or another one has it instead", async () => {
    const of = (await states()).find(({ name }) => name === lost);
    return of === undefined || of.status === "error" && of.error !== undefined;
  });
  equal((await storage.read(cid)).bytes.length, 3 * MB);
  await until("two of those that are left have it", async () => {
    if ((await here.status(cid)).get("status") === "error") await storage.call("POST", `recover/${cid}`);
    const now = await holders();
    return now.length === 2 && !now.includes(lost!);
  }, 90_000);
});
