import { equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, proof } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { runProgram, type Sections, TestGateway } from "../support/gateway.ts";
import { RawConnection } from "../support/raw_http.ts";
import { gatewaySuite } from "../support/suite.ts";
import { withinDeadline } from "../support/deadline.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite({ driver: "sqlite" });
const { test } = suite;
const body = JSON.stringify({ wallet: ethereumWallet().address });
const start = (http: Sections[string] = {}, more = {}) =>
  TestGateway.start({ driver: "sqlite", config: { http }, ...more });

/** A request under way: its body has begun, and its end is the test's to send. */
async function halfARequest(url: string): Promise<{ connection: RawConnection; finish: () => Promise<boolean> }> {
  const connection = await RawConnection.open(url);
  await connection.send(
    `POST /v1/auth/challenge HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
  );
  return { connection, finish: () => connection.send(body.slice(10)) };
}

/** Resolves when nobody listens there any more. */
const refused = (url: string) =>
  until(
    "new connections are refused",
    () => RawConnection.open(url).then((open) => open.close().then(() => false), () => true),
  );

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "orama-lifecycle-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A node of Ethereum that answers when the test wants: a sign-in by a contract's wallet waits for it, as long as need be. */
function slowNode() {
  const asked = Promise.withResolvers<void>(), mayAnswer = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { id, method } = await request.json() as { id: number; method: string };
    asked.resolve();
    await mayAnswer.promise;
    return Response.json({ jsonrpc: "2.0", id, result: method === "eth_chainId" ? "0x1" : "0x" });
  });
  return {
    config: { auth: { ethereum_rpc: { 1: `http://127.0.0.1:${server.addr.port}` }, ethereum_rpc_timeout: "60s" } },
    asked: () => withinDeadline(asked.promise, "the node was asked", 30_000),
    answer: mayAnswer.resolve,
    async [Symbol.asyncDispose]() {
      mayAnswer.resolve();
      await server.shutdown();
    },
  };
}

/** A sign-in that asks the node, because no key's wallet signed it. */
async function slowSignIn(gateway: TestGateway) {
  const wallet = ethereumWallet();
  const proved = await proof(gateway, wallet, "slow");
  return gateway.call("POST", "/v1/auth/verify", {
    body: { ...proved, signature: ethereumWallet().sign(String(proved.nonce)) },
  });
}

test("a gateway that is told to stop finishes what runs, takes nothing new, and ends well", async () => {
  await using node = slowNode();
  await using gateway = await start({}, { config: node.config });
  const answer = awaitedLater(slowSignIn(gateway));
  await node.asked();
  gateway.signal("SIGTERM");
  await refused(gateway.url);
  node.answer();
  equal((await answer).expect(401).get("code"), "SIGNATURE_INVALID");
  equal(await gateway.exitCode(), 0);
  match(gateway.log(), /"msg":"stopped"/);
});

test("what runs too long for a stop is told to come again", async () => {
  await using node = slowNode();
  await using gateway = await start({}, { config: { ...node.config, http: { shutdown: { grace: "300ms" } } } });
  const answer = awaitedLater(slowSignIn(gateway));
  await node.asked();
  gateway.signal("SIGTERM");
  equal((await answer).expect(503).get("code"), "UNAVAILABLE");
  equal(await gateway.exitCode(), 0);
});

test("a request whose body is still coming when the gateway stops was not run, and is told so", async () => {
  await using gateway = await start();
  const { connection, finish } = await halfARequest(gateway.url);
  (await gateway.call("GET", "/v1/version")).expect(200);
  gateway.signal("SIGTERM");
  await refused(gateway.url);
  await finish();
  const answer = await connection.answer();
  equal(answer.status, 503, answer.body);
  equal(JSON.parse(answer.body).code, "UNAVAILABLE");
  await connection.close();
  equal(await gateway.exitCode(), 0);
});

test("a client that leaves is no failure of the gateway's", async () => {
  await using node = slowNode();
  await using gateway = await start({}, { config: node.config });
  const proved = await proof(gateway, ethereumWallet(), "slow");
  const json = JSON.stringify({ ...proved, signature: ethereumWallet().sign(String(proved.nonce)) });
  const connection = await RawConnection.open(gateway.url);
  await connection.send(`POST /v1/auth/verify HTTP/1.1\r\nHost: x\r\nContent-Length: ${json.length}\r\n\r\n${json}`);
  await node.asked();
  await connection.close();
  await until("its request is over", () => gateway.log().includes('"route":"/v1/auth/verify"'));
  equal(/"level":"(error|fatal)"|"status":5\d\d/.test(gateway.log()), false, gateway.log());
});

test("connections that are idle hold nobody up", async () => {
  await using gateway = await start();
  const connections = await Promise.all(Array.from({ length: 5 }, () => RawConnection.open(gateway.url)));
  for (const connection of connections.slice(1)) {
    await connection.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    await connection.answer();
  }
  const began = performance.now();
  gateway.signal("SIGINT");
  equal(await gateway.exitCode(), 0);
  ok(performance.now() - began < 3_000, `took ${performance.now() - began} ms`);
  await Promise.all(connections.map((connection) => connection.close()));
});

test("what does not finish in time is cut off", async () => {
  await using gateway = await start({ shutdown: { grace: "300ms" }, body: { stall_timeout: "30s" } });
  const { connection } = await halfARequest(gateway.url);
  (await gateway.call("GET", "/v1/version")).expect(200);
  const began = performance.now();
  gateway.signal("SIGTERM");
  equal(await gateway.exitCode(), 0);
  const took = performance.now() - began;
  ok(took > 250 && took < 5_000, `took ${took} ms`);
  await connection.closed();
  await connection.close();
});

test("a second signal ends it at once", async () => {
  await using gateway = await start({ shutdown: { grace: "20s" }, body: { stall_timeout: "30s" } });
  const { connection } = await halfARequest(gateway.url);
  (await gateway.call("GET", "/v1/version")).expect(200);
  gateway.signal("SIGTERM");
  await refused(gateway.url);
  gateway.signal("SIGTERM");
  equal(await gateway.exitCode(2_000), 130);
  await connection.close();
});

test("a gateway that is about to stop says so, and serves on for as long as it was told", async () => {
  await using gateway = await start({ shutdown: { delay: "700ms" } });
  gateway.signal("SIGTERM");
  await until("it says so", async () => (await gateway.call("GET", "/v1/status")).get("status") === "stopping");
  (await gateway.call("GET", "/health")).expect(200);
  equal(await gateway.exitCode(), 0);
});

test("what was acknowledged is there after kill -9", async () => {
  await withFolder(async (folder) => {
    await using before = await start({}, { folder });
    await using owner = await newOwner(before);
    before.signal("SIGKILL");
    await before.exitCode();
    await using after = await start({}, { folder });
    (await after.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).expect(200);
    (await after.call("GET", "/v1/auth/whoami", { token: owner.accessToken })).expect(200);
  });
});

test("a second gateway on one data folder refuses to start, and harms nobody", async () => {
  const { code, stdout, stderr } = await runProgram([
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--data",
    suite.gateway.dataFolder,
  ]);
  equal(code, 1);
  equal(stdout, "");
  match(stderr, /is in use by another gateway \(process \d+\)/);
  ok(stderr.includes(suite.gateway.dataFolder) && stderr.includes(String(suite.gateway.pid)), stderr);
  equal(/\n\s+at /.test(stderr), false, stderr);
  (await suite.gateway.call("GET", "/v1/version")).expect(200);
});

test("an address that is taken is told in a sentence", async () => {
  await withFolder(async (folder) => {
    const { host } = new URL(suite.gateway.url);
    const { code, stderr } = await runProgram(["serve", "--listen", host, "--data", `${folder}/data`]);
    equal(code, 1);
    match(stderr, /the address is in use; choose another one with --listen/);
    equal(/\n\s+at /.test(stderr), false, stderr);
  });
});

test("a network between gateways that cannot be had is told in a sentence, with its setting, and ends the program", async () => {
  await withFolder(async (folder) => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const identity = `${folder}/identity`;
    await Deno.writeTextFile(identity, "no key");
    for (
      const [network, sentence] of [
        [{ listen: [`/ip4/127.0.0.1/tcp/${taken.addr.port}`] }, /^error: network\.listen: .*address already in use/],
        [{ identity_file: identity }, /^error: network\.identity_file: .*does not hold the Ed25519 key/],
      ] as const
    ) {
      const config = `${folder}/config.yaml`;
      await Deno.writeTextFile(config, JSON.stringify({ pubsub: { driver: "libp2p" }, network }));
      const places = ["--config", config, "--data", `${folder}/data`, "--listen", "127.0.0.1:0"];
      const { code, stderr } = await runProgram(["serve", ...places]);
      equal(code, 1);
      match(stderr, sentence);
      equal(/\n\s+at /.test(stderr), false, stderr);
    }
  });
});

test("--listen says where, and port 0 lets the system choose", async () => {
  const urls = await Promise.all([0, 1].map(async () => {
    await using gateway = await start();
    return gateway.url;
  }));
  notEqual(urls[0], urls[1]);
  for (const url of urls) match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
});

test("a configuration that is wrong stops the start, and names what is wrong", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/wrong.yaml`, "http:\n  lisen: 127.0.0.1:0\n");
    const wrong = [
      ["--config", `${folder}/wrong.yaml`],
      ["--config", `${folder}/missing.yaml`],
      ["--listen", "nowhere at all"],
      ["--set", "log.level=loud"],
      ["--set", "database.driver=rqlite"],
    ];
    for (const args of wrong) {
      const { code, stderr } = await runProgram(["serve", "--data", `${folder}/data`, ...args]);
      equal(code, 2, `${args.join(" ")}: ${stderr}`);
      equal(/\n\s+at /.test(stderr), false, stderr);
    }
    const { stderr } = await runProgram(["serve", ...wrong[0]!]);
    match(stderr, /wrong\.yaml.*2.*lisen.*listen/s);
  });
});

test("another root key than the one that the data was made with stops the start, in a sentence", async () => {
  await withFolder(async (folder) => {
    await using before = await start({}, { folder });
    await before.stop();
    await Deno.writeTextFile(`${before.dataFolder}/root.key`, crypto.getRandomValues(new Uint8Array(32)).toHex());
    const { code, stderr } = await runProgram(["serve", "--listen", "127.0.0.1:0", "--data", before.dataFolder]);
    notEqual(code, 0);
    match(stderr, /root key/);
    equal(/\n\s+at /.test(stderr), false, stderr);
  });
});

test("the data folder is nobody else's to read", async () => {
  for (const name of ["", "/root.key", "/control.sqlite"]) {
    const { mode } = await Deno.stat(suite.gateway.dataFolder + name);
    equal((mode ?? 0) & 0o077, 0, `${name || "the folder"}: ${mode?.toString(8)}`);
  }
});

test("a gateway that does not start leaves the folder free", async () => {
  await withFolder(async (folder) => {
    await rejects(start({}, { folder, config: { auth: { root_key_file: `${folder}/missing` } } }), /missing/);
    await using gateway = await start({}, { folder });
    (await gateway.call("GET", "/health")).expect(200);
  });
});
