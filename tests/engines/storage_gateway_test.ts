import { deepEqual, equal, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { bytesAt, noise, StorageCaller } from "../support/storage.ts";
import { engineTest } from "./support/engine_test.ts";
import type { KuboTestNode } from "./support/kubo.ts";

const FILES = [
  { name: "docs/a.txt", content: "one" },
  { name: "docs/deep/b.bin", content: noise(1_500_000) },
  { name: "é.txt", content: "" },
];

/** Takes a CAR in. @returns the CID of its root */
async function imported({ url }: KuboTestNode, car: Uint8Array<ArrayBuffer>): Promise<string> {
  const body = new FormData();
  body.append("file", new Blob([car]));
  const response = await fetch(`${url}/api/v0/dag/import?pin-roots=true`, { method: "POST", body });
  const [line = ""] = (await response.text()).split("\n");
  return JSON.parse(line).Root.Cid["/"];
}

async function cat({ url }: KuboTestNode, path: string): Promise<Uint8Array> {
  const response = await fetch(`${url}/api/v0/cat?arg=${encodeURIComponent(path)}&offline=true`, { method: "POST" });
  return await response.bytes();
}

/** Gives a CAR out. */
async function exported({ url }: KuboTestNode, cid: string): Promise<Uint8Array<ArrayBuffer>> {
  return await (await fetch(`${url}/api/v0/dag/export?arg=${cid}`, { method: "POST" })).bytes();
}

engineTest(
  "a CAR of a gateway goes into Kubo with the same root, and one of Kubo into a gateway",
  ["ipfs"],
  async (engines) => {
    for (const driver of ["local", "ipfs"] as const) {
      // The far node knows nobody: what it has, or the gateway, came in a CAR.
      const [far] = (await engines.kubo({ nodes: 1 })).nodes as [KuboTestNode];
      const ipfs = driver === "ipfs" && { ipfs: { kubo: (await engines.kubo({ nodes: 1 })).urls } };
      await using gateway = await TestGateway.start({ driver: "sqlite", config: { storage: { driver, ...ipfs } } });
      await using owner = await newOwner(gateway);
      const storage = new StorageCaller(gateway, { key: owner.apiKey });
      const root = (await storage.form(FILES, {}, "?directory=true")).expect(200).string("cid");
      equal(await imported(far, (await storage.read(`${root}?format=car`)).bytes), root);
      ok(Buffer.from(await cat(far, `/ipfs/${root}/docs/deep/b.bin`)).equals(noise(1_500_000)));
      const take = async (cid: string) => {
        const headers = { "content-type": "application/vnd.ipld.car" };
        return (await storage.call("POST", "car", { raw: await exported(far, cid), headers })).expect(200);
      };
      const cid = await far.add(noise(900_000, 2));
      const file = await take(cid);
      deepEqual([file.get("cid"), file.get("kind"), file.get("size")], [cid, "file", 900_000]);
      ok(Buffer.from((await storage.read(cid)).bytes).equals(noise(900_000, 2)));
      const wrapped = await far.add(noise(700_000, 3), { "wrap-with-directory": "true" });
      const directory = await take(wrapped);
      deepEqual([directory.get("cid"), directory.get("kind")], [wrapped, "directory"]);
      const [entry] = (await storage.call("GET", `directory/${wrapped}`)).expect(200).list("entries");
      ok(Buffer.from((await storage.read(`${wrapped}/${entry!["name"]}`)).bytes).equals(noise(700_000, 3)));
      const back = (await storage.read(`${wrapped}?format=car`)).bytes;
      equal(await imported(far, back), wrapped, "and what came in goes out as the same");
    }
  },
);

engineTest("a gateway on Kubo answers as one on a folder does", ["ipfs"], async (engines) => {
  const { urls: kubo } = await engines.kubo({ nodes: 1 });
  await using onFolder = await TestGateway.start({ driver: "sqlite" });
  await using onKubo = await TestGateway.start({
    driver: "sqlite",
    config: { storage: { driver: "ipfs", ipfs: { kubo } } },
  });
  const answers: string[][] = [];
  for (const gateway of [onFolder, onKubo]) {
    await using owner = await newOwner(gateway);
    const storage = new StorageCaller(gateway, { key: owner.apiKey });
    const seen: string[] = [];
    const see = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
      const { status, headers: given, bytes } = await storage.read(path, headers);
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
      const names = ["etag", "content-type", "content-length", "content-range", "content-disposition"];
      const boundary = /boundary=(.*)$/.exec(given.get("content-type") ?? "")?.[1];
      const shown = names.map((name) => given.get(name)?.replace(boundary ?? " ", "B"));
      const body = boundary !== undefined || status >= 400 ? bytes.length : digest;
      // The id of a request makes errors differ, and the boundary what is between parts.
      seen.push(JSON.stringify([path, status, ...(status >= 400 ? [] : [...shown, body])]));
    };
    const root = (await storage.form(FILES, {}, "?directory=true&name=tree")).expect(200);
    seen.push(JSON.stringify([root.body]));
    const dir = root.string("cid");
    const file = `${dir}/docs/deep/b.bin`;
    for (
      const range of [
        "bytes=0-0",
        "bytes=262143-262145",
        "bytes=-5",
        "bytes=1000000-",
        "bytes=0-9,700000-700009",
        "bytes=9999999-",
      ]
    ) {
      await see(file, { range });
    }
    for (
      const query of [
        "",
        "?format=raw",
        "?format=car",
        "?format=tar",
        "?format=car&dag-scope=block",
        "?format=car&dag-scope=entity",
      ]
    ) {
      await see(file + query);
      await see(dir + query);
      await see(`${dir}/none${query}`);
    }
    await see(`${dir}/%C3%A9.txt`);
    seen.push((await storage.call("GET", `directory/${dir}/docs`)).expect(200).text);
    (await storage.call("DELETE", `unpin/${dir}`)).expect(200);
    await see(file);
    equal(seen.filter((line) => /^\["[^"]*",20[06],/.test(line)).length, 17, "most of it was given");
    answers.push(seen);
    equal((await bytesAt(gateway, `/ipfs/${dir}`)).status, 404);
  }
  deepEqual(answers[1], answers[0]);
});
