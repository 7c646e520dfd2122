import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { noise, StorageCaller } from "../support/storage.ts";
import { engineTest } from "./support/engine_test.ts";
import type { KuboTestNode } from "./support/kubo.ts";
import { requireProgram } from "./support/programs.ts";
import { until } from "./support/wait.ts";

/** Milliseconds for content to be found and looked through: a gateway looks every ten seconds. */
const FOUND = 60_000;
const ALL = "--status=queued,pinning,pinned,failed";

/** Runs `ipfs pin remote …` at a node. @returns what it printed @throws Error with what it said instead */
async function pinRemote({ repository }: KuboTestNode, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(requireProgram("ipfs"), {
    args: ["pin", "remote", ...args],
    env: { IPFS_PATH: repository, IPFS_TELEMETRY: "off" },
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** What `ls` shows, each as `<name> <status>`, sorted. */
async function listed(node: KuboTestNode, ...filters: readonly string[]): Promise<string[]> {
  const text = await pinRemote(node, "ls", "--service=gateway", "--enc=json", ...filters);
  const lines = text.trim().split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as { Name: string; Status: string })
    .map(({ Name, Status }) => `${Name} ${Status}`).sort();
}

engineTest("`ipfs pin remote` of a Kubo drives a gateway on Kubo and IPFS Cluster", [
  "ipfs",
  "ipfs-cluster-service",
], async (engines) => {
  const kubos = await engines.kubo({ nodes: 1 });
  const cluster = await engines.ipfsCluster({ kubos });
  // It knows nobody, and tells more addresses of itself than the specification has room for; none of these leads to it.
  const AppendAnnounce = Array.from({ length: 30 }, (_, i) => `/ip4/127.0.0.1/tcp/${i + 1}`);
  const others = await engines.kubo({ nodes: 1, config: { Addresses: { AppendAnnounce } } });
  const [own] = kubos.nodes as [KuboTestNode], [user] = others.nodes as [KuboTestNode];
  await using gateway = await TestGateway.start({
    storageDriver: "local",
    config: {
      storage: { driver: "ipfs", ipfs: { kubo: kubos.urls, cluster: cluster.urls, private_origins: true } },
    },
  });
  await using owner = await newOwner(gateway);
  const storage = new StorageCaller(gateway, { key: owner.apiKey });
  await pinRemote(user, "service", "add", "gateway", `${gateway.url}/v1`, owner.apiKey);
  await pinRemote(user, "service", "add", "stranger", `${gateway.url}/v1`, "ak_unknown:default");
  const services = await pinRemote(user, "service", "ls", "--stat");
  match(services, /^gateway +\S+ +0\/0\/0\/0$/m);
  match(services, /^stranger +\S+ +invalid$/m);
  await rejects(pinRemote(user, "ls", "--service=stranger"), /INVALID_CREDENTIAL.*invalid API key or token/);

  const none = (await gateway.call("GET", "/v1/pins", { token: owner.apiKey })).expect(200);
  deepEqual(none.body, { count: 0, results: [] });

  // In the background: it comes by and by.
  const large = await user.add(noise(3_000_000));
  match(await pinRemote(user, "add", "--service=gateway", "--name=large", "--background", large), /Status: +queued/);
  const isPinned = async () => (await listed(user, "--name=large")).includes("large pinned");
  await until("the gateway has it", isPinned, FOUND);
  ok(await own.has(large));
  const [told] = (await gateway.call("GET", "/v1/pins", { token: owner.apiKey })).list("results");
  deepEqual(told!["delegates"], [own.address]);
  deepEqual(told!["info"], { raw_size: "3000000" });
  ok(Buffer.from((await storage.read(large)).bytes).equals(noise(3_000_000)));

  // In the foreground: the command comes back when it is there.
  const small = await user.add(noise(1_000, 2));
  match(await pinRemote(user, "add", "--service=gateway", "--name=small", small), /Status: +pinned/);
  ok(await own.has(small));

  // What nobody has is looked for.
  const nowhere = "bafkreieq5jui4j25lacwomsqgjeswwl3y5zcdrresptwgmfylxo2depppq";
  match(await pinRemote(user, "add", "--service=gateway", "--name=nowhere", "--background", nowhere), /queued/);
  await rejects(pinRemote(user, "add", "--service=gateway", "bafkqaaa"), /INVALID_REQUEST.*cid: is not a CID/);

  deepEqual(await listed(user), ["large pinned", "small pinned"]);
  deepEqual(await listed(user, ALL), ["large pinned", "nowhere queued", "small pinned"]);
  deepEqual(await listed(user, "--status=queued"), ["nowhere queued"]);
  deepEqual(await listed(user, "--status=pinning,failed"), []);
  deepEqual(await listed(user, "--name=small", ALL), ["small pinned"]);
  deepEqual(await listed(user, "--name=smal", ALL), []);
  deepEqual(await listed(user, `--cid=${large},${nowhere}`, ALL), ["large pinned", "nowhere queued"]);
  match(await pinRemote(user, "service", "ls", "--stat"), /^gateway +\S+ +1\/0\/2\/0$/m);

  // More than one page, made faster than a clock of seconds tells apart.
  const names = Array.from({ length: 25 }, (_, i) => `copy ${String(i).padStart(2, "0")}`);
  await Promise.all(names.map((name) => {
    const body = { cid: small, name };
    return gateway.call("POST", "/v1/pins", { token: owner.apiKey, body }).then((answer) => answer.expect(202));
  }));
  deepEqual(await listed(user, `--cid=${small}`), [...names, "small"].map((name) => `${name} pinned`));

  await rejects(pinRemote(user, "rm", "--service=gateway", `--cid=${small}`), /--force/);
  await pinRemote(user, "rm", "--service=gateway", "--name=small");
  equal((await listed(user, `--cid=${small}`)).length, 25);
  await pinRemote(user, "rm", "--service=gateway", `--cid=${small}`, "--force");
  await pinRemote(user, "rm", "--service=gateway", "--name=nowhere", "--status=queued");
  deepEqual(await listed(user, ALL), ["large pinned"]);
  const [peer] = cluster.peers;
  const isLetGo = async (cid: string) => !await peer!.isAllocated(cid);
  await until("nothing keeps what nobody asks for", async () => await isLetGo(small) && await isLetGo(nowhere));
  ok(await peer!.isAllocated(large));
  equal((await storage.call("GET", "objects")).expect(200).get("total"), 1);
});
