import { deepEqual, equal, ok } from "node:assert/strict";
import { bytesAt, noise, type StorageCaller } from "../support/storage.ts";
import { pairTest } from "./support/gateway_pair.ts";
import { until } from "./support/wait.ts";

const MB = 2 ** 20;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const total = async (storage: StorageCaller) => (await storage.call("GET", "objects")).expect(200).get("total");
const statusAt = async (storage: StorageCaller, cid: string) =>
  (await storage.call("GET", `status/${cid}`)).expect(200).get("status");

pairTest("what one gateway stores, another one has: bytes, ranges, directories, lists, pins", {}, async (pair) => {
  const { at: [one, other] } = await pair.owner();
  const content = noise(3 * MB + 17);
  const cid = await one.put(content, "n.bin");
  ok(Buffer.from((await other.read(cid)).bytes).equals(content));
  const part = await other.read(cid, { range: "bytes=262140-1048580" });
  ok(Buffer.from(part.bytes).equals(content.subarray(262_140, 1_048_581)));
  const files = [{ name: "a/x.txt", content: "x" }, { name: "b.bin", content: noise(600_000, 2) }];
  const root = (await other.form(files, {}, "?directory=true&name=dir")).expect(200).string("cid");
  equal(text((await one.read(`${root}/a/x.txt`)).bytes), "x");
  deepEqual(
    (await one.call("GET", "objects")).expect(200).list("objects").map(({ name }) => name),
    (await other.call("GET", "objects")).expect(200).list("objects").map(({ name }) => name),
  );
  for (const storage of [one, other]) {
    for (const pinned of [cid, root]) {
      await until("it is pinned", async () => await statusAt(storage, pinned) === "pinned");
    }
  }
  deepEqual((await pair.kubos.nodes[0]!.pins()).toSorted(), [cid, root].toSorted());
  (await other.call("PATCH", `objects/${cid}`, { body: { name: "new.bin" } })).expect(200);
  equal((await one.call("GET", `objects/${cid}`)).expect(200).get("name"), "new.bin");
  const secret = (await one.form([{ name: "s", content: "sealed" }], {}, "?encrypt=true")).expect(200).string("cid");
  equal(text((await other.read(secret)).bytes), "sealed");
});

const limits = { storage: { bytes: "6MiB", object_bytes: "2MiB", uploads_in_flight: 50 } };

pairTest("a quota holds for two gateways together, however many upload at once", { limits }, async (pair) => {
  const { at } = await pair.owner();
  const upload = (i: number, seed: number) => at[i % 2]!.form([{ name: `${i}`, content: noise(MB, seed) }]);
  for (const round of [1, 2]) {
    const answers = await Promise.all(Array.from({ length: 24 }, (_, i) => upload(i, 100 * round + i)));
    const stored = answers.filter(({ status }) => status === 200);
    for (const answer of answers) if (answer.status !== 200) equal(answer.expect(403).get("code"), "QUOTA_EXCEEDED");
    ok(stored.length > 0 && stored.length <= 6, `${stored.length}`);
    for (const storage of at) equal(await total(storage), stored.length);
    // What was refused in the crowd fits by itself, as long as there is room.
    for (let i = stored.length; i < 6; i++) stored.push((await upload(i, 1_000 * round + i)).expect(200));
    for (const i of [0, 1]) equal((await upload(i, 9_999)).expect(403).get("code"), "QUOTA_EXCEEDED");
    const ended = await Promise.all(
      stored.flatMap((answer) => at.map((storage) => storage.call("DELETE", `unpin/${answer.string("cid")}`))),
    );
    equal(ended.filter(({ status }) => status === 200).length, 6, "each was there once, to one of them");
    for (const storage of at) equal(await total(storage), 0);
  }
  const same = noise(2 * MB, 9);
  const cids = await Promise.all([0, 1].map((i) => at[i]!.put(same)));
  equal(new Set(cids).size, 1);
  for (const i of [0, 1]) (await at[i]!.form([{ name: "rest", content: noise(2 * MB, 10 + i) }])).expect(200);
  equal(await total(at[0]), 3, "the same bytes count once");
});

/** How long the network is asked for what Kubo has collected. */
const impatient = { storage: { ipfs: { request_timeout: "1s" } } };

pairTest("who reads at one gateway what another one gives up reads on, and never else", impatient, async (pair) => {
  const { at: [one, other], owner } = await pair.owner();
  const [, { url }] = pair.gateways, [node] = pair.kubos.nodes;
  for (const collected of [false, true]) {
    const content = noise(24 * MB, collected ? 2 : 1);
    const cid = await one.put(content, "film");
    await until("it is pinned", async () => await statusAt(other, cid) === "pinned");
    const response = await fetch(`${url}/v1/storage/get/${cid}`, { headers: { "x-api-key": owner.apiKey } });
    let at = 0, broke = false;
    try {
      for await (const piece of response.body!) {
        if (at === 0) {
          (await one.call("DELETE", `unpin/${cid}`)).expect(200);
          if (collected) await until("Kubo has let it go", async () => (await node!.pins()).length === 0);
          if (collected) await node!.collect();
        }
        ok(Buffer.from(piece).equals(content.subarray(at, at + piece.length)), `at ${at}`);
        at += piece.length;
      }
    } catch (error) {
      // Only Kubo's own collection may cut a reader off.
      if (!collected || error instanceof Error && error.name === "AssertionError") throw error;
      broke = true;
    }
    equal(broke ? at < content.length : at === content.length, true, "an answer that is short breaks off");
    equal((await other.read(cid)).status, 404);
  }
});

pairTest("visibility and links that change at one gateway have changed at the other", {}, async (pair) => {
  const { at: [one, other] } = await pair.owner();
  const [first, second] = pair.gateways;
  const cid = await one.put("for whom?");
  const statuses = (path: string) =>
    Promise.all([first, second].map(async (gateway) => (await bytesAt(gateway, path)).status));
  const visibility = async (at: StorageCaller, value: string) =>
    (await at.call("PATCH", `objects/${cid}`, { body: { visibility: value } })).expect(200);
  const linkAt = async (storage: StorageCaller) => {
    const made = (await storage.call("POST", "links", { body: { cid, expires_in: "10m" } })).expect(200);
    first.secrets.note(made.string("token"));
    return made.string("path");
  };
  deepEqual(await statuses(`/ipfs/${cid}`), [404, 404]);
  await visibility(other, "public");
  deepEqual(await statuses(`/ipfs/${cid}`), [200, 200]);
  const link = await linkAt(one);
  await visibility(one, "private");
  deepEqual(await statuses(`/ipfs/${cid}`), [404, 404]);
  deepEqual(await statuses(link), [404, 404], "the link went with it");
  const again = await linkAt(other);
  deepEqual(await statuses(again), [200, 200]);
  await visibility(one, "private");
  deepEqual(await statuses(again), [404, 404], "and this one was taken back");
  const last = await linkAt(one);
  (await other.call("DELETE", `unpin/${cid}`)).expect(200);
  deepEqual(await statuses(last), [404, 404]);
  equal(await other.put("for whom?"), cid);
  deepEqual(await statuses(last), [404, 404], "what is stored anew has links of its own");
});

pairTest("what is given up at one gateway and stored at the other is kept or gone, never half", {}, async (pair) => {
  const { at: [one, other] } = await pair.owner();
  const [peer] = pair.cluster.peers, [node] = pair.kubos.nodes;
  const cids = await Promise.all(Array.from({ length: 12 }, (_, i) => one.put(`wanted or not ${i}`)));
  await Promise.all(cids.flatMap((cid, i) => [
    one.call("DELETE", `unpin/${cid}`).then((answer) => answer.expect(200)),
    other.put(`wanted or not ${i}`),
  ]));
  const kept = new Set((await one.call("GET", "objects")).expect(200).list("objects").map(({ cid }) => String(cid)));
  await until("the engine has been told", async () => {
    const pins = new Set(await node!.pins());
    const allocated = new Set(await peer!.allocations());
    return cids.every((cid) => pins.has(cid) === kept.has(cid) && allocated.has(cid) === kept.has(cid));
  });
  await node!.collect();
  for (const [i, cid] of cids.entries()) {
    const { status, bytes } = await other.read(cid);
    deepEqual([status, status === 200 ? text(bytes) : ""], kept.has(cid) ? [200, `wanted or not ${i}`] : [404, ""]);
  }
});

pairTest(
  "a namespace that is deleted at one gateway is gone at the other, and others keep theirs",
  {},
  async (pair) => {
    const { owner, at: [, mine] } = await pair.owner();
    const { at: [, theirs] } = await pair.owner();
    const [first, second] = pair.gateways;
    const cid = (await mine.form([{ name: "p", content: "public" }], {}, "?visibility=public")).expect(200).string(
      "cid",
    );
    const shared = await mine.put("shared");
    equal(await theirs.put("shared"), shared);
    const link = (await mine.call("POST", "links", { body: { cid: shared } })).expect(200);
    second.secrets.note(link.string("token"));
    (await first.call("DELETE", `/v1/namespaces/${owner.namespace}`, { token: owner.accessToken })).expect(200);
    await until("it is read by nobody", async () => (await bytesAt(second, `/ipfs/${cid}`)).status === 404);
    equal((await bytesAt(second, link.string("path"))).status, 404);
    equal((await mine.read(shared)).status === 200, false);
    await until("its key is none any more", async () => (await mine.read(shared)).status === 401);
    equal(text((await theirs.read(shared)).bytes), "shared");
    const [node] = pair.kubos.nodes;
    await until("only what the other has is kept", async () => (await node!.pins()).join() === shared);
    await node!.collect();
    equal(text((await theirs.read(shared)).bytes), "shared");
    equal(await node!.has(cid), false);
  },
);
