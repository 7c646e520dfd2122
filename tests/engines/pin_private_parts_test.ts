import { deepEqual, equal, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { cidOf, CODES } from "../support/blocks.ts";
import { TestGateway } from "../support/gateway.ts";
import { noise, StorageCaller } from "../support/storage.ts";
import { engineTest } from "./support/engine_test.ts";
import type { KuboTestNode } from "./support/kubo.ts";
import { until } from "./support/wait.ts";

/** Milliseconds for content to be found and looked through: a gateway looks every ten seconds. */
const FOUND = 60_000;
const CHUNK = 256 * 2 ** 10;

for (const keeper of ["IPFS Cluster", "Kubo alone"] as const) {
  engineTest(
    `who knows the CID of a part of what others have privately gets nothing by pinning it; kept by ${keeper}`,
    keeper === "Kubo alone" ? ["ipfs"] : ["ipfs", "ipfs-cluster-service"],
    async (engines) => {
      const kubos = await engines.kubo({ nodes: 1 });
      const cluster = keeper === "Kubo alone" ? [] : (await engines.ipfsCluster({ kubos })).urls;
      const [far] = (await engines.kubo({ nodes: 1 })).nodes as [KuboTestNode];
      const [own] = kubos.nodes as [KuboTestNode];
      await using gateway = await TestGateway.start({
        storageDriver: "local",
        config: { storage: { driver: "ipfs", ipfs: { kubo: kubos.urls, cluster, private_origins: true } } },
      });
      await using victim = await newOwner(gateway);
      await using thief = await newOwner(gateway);
      const [hers, his] = [victim, thief].map(({ apiKey }) => new StorageCaller(gateway, { key: apiKey })) as [
        StorageCaller,
        StorageCaller,
      ];

      const secret = noise(1_000, 7), film = noise(3 * CHUNK + 5, 8);
      const files = [{ name: "secret.bin", content: secret }, { name: "a/film.bin", content: film }];
      const root = (await hers.form(files, {}, "?directory=true&name=dir")).expect(200).string("cid");
      const found: Record<string, string> = {
        file: cidOf(CODES.raw, secret).toString(),
        leaf: cidOf(CODES.raw, film.subarray(0, CHUNK)).toString(),
        "inner node": await far.add(film, { "only-hash": "true" }),
        "root as bytes": cidOf(CODES.raw, await bytesOf(own, root)).toString(),
      };
      const parts = Object.entries(found);
      for (const [what, cid] of parts) ok(await own.has(cid), what);

      const request = async (cid: string, origins: readonly string[] = []) =>
        (await gateway.call("POST", "/v1/pins", { token: thief.apiKey, body: { cid, origins } })).expect(202)
          .string("requestid");
      const statusOf = async (id: string) =>
        (await gateway.call("GET", `/v1/pins/${id}`, { token: thief.apiKey })).expect(200).get("status");
      const ids = new Map<string, string>();
      for (const [, cid] of parts) {
        ids.set(cid, await request(cid));
        (await his.call("POST", "pin", { body: { cid, name: "mine" } })).expect(200);
      }

      // What only somebody far away has is found as ever: the gateway has had its turns by then, and for those before it too.
      const [early, late] = [noise(2 * CHUNK, 21), noise(300, 22)];
      for (const content of [early, late]) {
        const cid = await far.add(content), id = await request(cid, [far.address]);
        await until("what is far away is found", async () => await statusOf(id) === "pinned", FOUND);
        ok(Buffer.from((await his.read(cid)).bytes).equals(content));
      }
      const stillWithheld = async ([what, cid]: readonly [string, string]) => {
        equal(await statusOf(ids.get(cid)!), "queued", what);
        equal((await his.call("GET", `status/${cid}`)).expect(200).get("status"), "queued", what);
        deepEqual([(await his.read(cid)).status, (await his.ipfs(cid)).status], [404, 404], what);
        ok(!(await own.pins()).includes(cid), what);
      };
      for (const part of parts) await stillWithheld(part);

      // Who has the bytes has them, at once.
      equal(await his.put(secret), found["file"]);
      ok(Buffer.from((await his.read(found["file"]!)).bytes).equals(secret));
      for (const part of parts.slice(1)) await stillWithheld(part);
      ok(Buffer.from((await hers.read(`${root}/a/film.bin`)).bytes).equals(film));
    },
  );
}

/** The bytes of a block, whatever they mean. */
async function bytesOf(node: KuboTestNode, cid: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(`${node.url}/api/v0/block/get?arg=${cid}`, { method: "POST" });
  return await response.bytes();
}
