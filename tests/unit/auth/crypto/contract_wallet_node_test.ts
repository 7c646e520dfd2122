import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { ContractWallets } from "../../../../services/auth/crypto/contract_wallet.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { EvmNode } from "./fixtures/evm_node.ts";
import { ethereumKey } from "./fixtures/keys.ts";

const MESSAGE = "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw";
const OWNER = ethereumKey(0x11);
const STRANGER = ethereumKey(0x12);
const ADDRESS = [{ type: "address" }];

function walletsOf(node: { url: string }, timeout = 5000): ContractWallets {
  return new ContractWallets({ endpoints: new Map([[1, node.url]]), timeout });
}

function claim(wallet: string, signature: string) {
  return { chainId: 1, wallet, message: MESSAGE, signature };
}

/** A node of chain 1 on which every address is a wallet that says yes, but for what `script` answers. */
function scriptedNode(script: (method: string) => Response | undefined, gate?: Promise<void>) {
  const results: Record<string, string> = {
    eth_chainId: "0x1",
    eth_getCode: "0x6001",
    eth_call: "0x1626ba7e" + "0".repeat(56),
  };
  return brokenNode(async (request) => {
    const { id, method } = await request.json() as { id: number; method: string };
    await gate;
    const isRedirected = new URL(request.url).pathname !== "/";
    return (isRedirected ? undefined : script(method)) ??
      Response.json({ jsonrpc: "2.0", id, result: results[method] });
  });
}

/** A node that answers every request in one way. */
function brokenNode(answer: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** Ways to answer that are the node's fault, whatever was asked. */
const BROKEN: Record<string, () => Response> = {
  "500": () => new Response("oops", { status: 500 }),
  "429": () => Response.json({ error: "slow down" }, { status: 429 }),
  "HTML": () => new Response("<html>", { headers: { "content-type": "text/html" } }),
  "an empty body": () => new Response(""),
  "JSON of another shape": () => Response.json([1, 2]),
  "null": () => Response.json(null),
  "no result": () => Response.json({ jsonrpc: "2.0", id: 1 }),
  "a result that is no text": () => Response.json({ jsonrpc: "2.0", id: 1, result: { yes: true } }),
  "a result that is almost hex": () => Response.json({ jsonrpc: "2.0", id: 1, result: "0xzz" }),
  "that it is overloaded": () => Response.json({ jsonrpc: "2.0", id: 1, error: { code: -32005, message: "limit" } }),
  "that it lost its state": () =>
    Response.json({ jsonrpc: "2.0", id: 1, error: { code: -32000, message: "missing trie node" } }),
  "a redirect": () => new Response(null, { status: 307, headers: { location: "/elsewhere" } }),
};
for (const [what, answer] of Object.entries(BROKEN)) {
  for (const stage of ["eth_getCode", "eth_chainId", "eth_call"]) {
    Deno.test(`verify() throws UNAVAILABLE when the node answers ${stage}: ${what}`, async () => {
      await using node = scriptedNode((method) => method === stage ? answer() : undefined);
      const checked = walletsOf(node).verify(claim(STRANGER.address, OWNER.sign(MESSAGE)));
      await rejects(checked, (error) => error instanceof GatewayError && error.code === "UNAVAILABLE");
    });
  }
}

for (const [code, message] of [[3, "custom error"], [-32015, "Execution."], [-32000, "Reverted 0x"]] as const) {
  Deno.test(`verify() takes the error ${code} "${message}" for the contract's`, async () => {
    await using node = scriptedNode((method) =>
      method === "eth_call" ? Response.json({ jsonrpc: "2.0", id: 1, error: { code, message } }) : undefined
    );
    equal(await walletsOf(node).verify(claim(STRANGER.address, OWNER.sign(MESSAGE))), false);
  });
}

Deno.test("verify() throws UNAVAILABLE when nothing listens, and works again when the node is back", async () => {
  const node = await EvmNode.start();
  const { port } = new URL(node.url);
  const wallet = await node.deploy("KeyWallet", ADDRESS, [OWNER.address]);
  let reachable = false;
  const wallets = new ContractWallets({
    endpoints: new Map([[1, node.url]]),
    timeout: 5_000,
    fetch: (input, init) => reachable ? fetch(input, init) : fetch(`http://127.0.0.1:1/${port}`, init),
  });
  await rejects(wallets.verify(claim(wallet, OWNER.sign(MESSAGE))), { code: "UNAVAILABLE" });
  reachable = true;
  equal(await wallets.verify(claim(wallet, OWNER.sign(MESSAGE))), true);
  await node[Symbol.asyncDispose]();
});

Deno.test("verify() throws UNAVAILABLE when the node serves another chain", async () => {
  await using node = await EvmNode.start(5);
  const wallet = await node.deploy("KeyWallet", ADDRESS, [OWNER.address]);
  await rejects(walletsOf(node).verify(claim(wallet, OWNER.sign(MESSAGE))), { code: "UNAVAILABLE" });
});

Deno.test("verify() gives up on a node that is slow to answer, and on one that drips", async () => {
  const held = Promise.withResolvers<void>();
  await using silent = brokenNode(() => held.promise.then(() => new Response("")));
  using owned = new DisposableStack();
  owned.defer(held.resolve);
  await using dripping = brokenNode(() => {
    let timer: ReturnType<typeof setInterval> | undefined;
    return new Response(
      new ReadableStream({
        start: (controller) => void (timer = setInterval(() => controller.enqueue(new Uint8Array([32])), 20)),
        cancel: () => clearInterval(timer),
      }),
    );
  });
  for (const node of [silent, dripping]) {
    const started = performance.now();
    await rejects(walletsOf(node, 150).verify(claim(STRANGER.address, OWNER.sign(MESSAGE))), (error) => {
      ok(error instanceof GatewayError && error.code === "UNAVAILABLE");
      match(String(error.cause), /no answer within 150 ms/);
      return true;
    });
    ok(performance.now() - started < 3000);
  }
});

Deno.test("verify() drops what it still waits for when the other request has failed", async () => {
  const dropped = Promise.withResolvers<void>();
  await using node = brokenNode(async (request) => {
    if ((await request.json() as { method: string }).method === "eth_chainId") return new Response("", { status: 500 });
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array([32])),
      cancel: () => dropped.resolve(),
    });
    return new Response(body);
  });
  await rejects(walletsOf(node, 60_000).verify(claim(STRANGER.address, OWNER.sign(MESSAGE))), { code: "UNAVAILABLE" });
  await dropped.promise;
});

Deno.test("verify() throws UNAVAILABLE at once when 32 checks are under way, and serves again when they are done", async () => {
  const gate = Promise.withResolvers<void>();
  await using node = scriptedNode(() => undefined, gate.promise);
  const wallets = walletsOf(node, 30_000);
  const held = awaitedLater(
    Array.from({ length: 32 }, () => wallets.verify(claim(STRANGER.address, OWNER.sign(MESSAGE)))),
  );
  await rejects(wallets.verify(claim(STRANGER.address, OWNER.sign(MESSAGE))), { code: "UNAVAILABLE" });
  gate.resolve();
  deepEqual(await Promise.all(held), Array(32).fill(true));
  equal(await wallets.verify(claim(STRANGER.address, OWNER.sign(MESSAGE))), true);
});

Deno.test("verify() ends with the reason of the caller's signal when that is aborted", async () => {
  const held: (() => void)[] = [];
  const caller = new AbortController();
  await using node = brokenNode(() =>
    new Promise((resolve) => {
      held.push(() => resolve(new Response("")));
      caller.abort(new Error("the client is gone"));
    })
  );
  const checked = walletsOf(node).verify(claim(STRANGER.address, OWNER.sign(MESSAGE)), caller.signal);
  await rejects(checked, { message: "the client is gone" });
  held.forEach((answer) => answer());
});

Deno.test("errors of the node hold neither its address nor its key", async () => {
  const wallets = new ContractWallets({
    endpoints: new Map([[1, "http://user:hunter2@127.0.0.1:1/v2/s3cr3tkey"]]),
    timeout: 3_000,
  });
  await rejects(wallets.verify(claim(STRANGER.address, OWNER.sign(MESSAGE))), (error) => {
    ok(error instanceof GatewayError);
    const told = Deno.inspect(error, { depth: 20 });
    ok(!/s3cr3tkey|hunter2|user:/.test(told), told);
    return true;
  });
});
