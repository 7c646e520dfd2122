import { deepEqual, equal, ok } from "node:assert/strict";
import { hexToBytes } from "@noble/hashes/utils.js";
import { encodeFunctionData, type Hex, serializeErc6492Signature } from "viem";
import { ContractWallets } from "../../../../services/auth/crypto/contract_wallet.ts";
import { verifyWalletSignature } from "../../../../services/auth/crypto/wallet_signature.ts";
import { canonicalWallet } from "../../../../services/auth/crypto/wallet.ts";
import { EvmNode } from "./fixtures/evm_node.ts";
import { ethereumKey, highS } from "./fixtures/keys.ts";

const MESSAGE = "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw";
const OWNER = ethereumKey(0x11);
const STRANGER = ethereumKey(0x12);
const ADDRESS = [{ type: "address" }];
const UINT = [{ type: "uint256" }];
const SALT = `0x${"5a".repeat(32)}` as const;

const FACTORY = [
  {
    type: "function",
    name: "deploy",
    stateMutability: "nonpayable",
    inputs: [{ name: "owner", type: "address" }, { name: "salt", type: "bytes32" }],
    outputs: [{ type: "address" }],
  },
  {
    type: "function",
    name: "addressOf",
    stateMutability: "view",
    inputs: [{ name: "owner", type: "address" }, { name: "salt", type: "bytes32" }],
    outputs: [{ type: "address" }],
  },
] as const;
const OPEN = [{
  type: "function",
  name: "setOpen",
  stateMutability: "nonpayable",
  inputs: [{ name: "open", type: "bool" }],
  outputs: [],
}] as const;

function walletsOf(node: { url: string }, timeout = 5000): ContractWallets {
  return new ContractWallets({ endpoints: new Map([[1, node.url]]), timeout });
}

function claim(wallet: string, signature: string, message = MESSAGE) {
  return { chainId: 1, wallet, message, signature };
}

/** A factory, the address of the wallet that it would deploy for `OWNER`, and the call that would do so. */
async function counterfactual(node: EvmNode) {
  const factory = await node.deploy("KeyWalletFactory");
  const args = [OWNER.address as Hex, SALT] as const;
  const word = await node.send(factory, encodeFunctionData({ abi: FACTORY, functionName: "addressOf", args }));
  const deployment = encodeFunctionData({ abi: FACTORY, functionName: "deploy", args });
  const wrap = (signature: string, data: Hex = deployment, address: Hex = factory) =>
    serializeErc6492Signature({ address, data, signature: signature as Hex });
  return { factory, deployment, wrap, wallet: `0x${word.slice(-40)}` };
}

Deno.test("verify() accepts what a deployed ERC-1271 wallet accepts, and nothing else", async () => {
  await using node = await EvmNode.start();
  const wallet = await node.deploy("KeyWallet", ADDRESS, [OWNER.address]);
  const wallets = walletsOf(node);
  equal(await wallets.verify(claim(wallet, OWNER.sign(MESSAGE))), true);
  equal(await wallets.verify(claim(wallet, STRANGER.sign(MESSAGE))), false);
  equal(await wallets.verify(claim(wallet, OWNER.sign(MESSAGE), MESSAGE + "x")), false);
  equal(await wallets.verify(claim(wallet, "0x")), false);
  equal(await wallets.verify(claim(wallet, OWNER.sign(MESSAGE) + "00")), false);
});

Deno.test("verify() tells the node's chain once and the wallet's code each time", async () => {
  await using node = await EvmNode.start();
  const wallet = await node.deploy("KeyWallet", ADDRESS, [OWNER.address]);
  const wallets = walletsOf(node);
  await wallets.verify(claim(wallet, OWNER.sign(MESSAGE)));
  await wallets.verify(claim(wallet, OWNER.sign(MESSAGE)));
  deepEqual(node.asked.toSorted(), ["eth_call", "eth_call", "eth_chainId", "eth_getCode", "eth_getCode"]);
});

const HOSTILE = [
  "reverts",
  "loops for ever",
  "runs into an invalid opcode",
  "returns the magic value in four bytes",
  "returns the magic value in the wrong place",
  "returns the magic value with a bit set behind it",
  "returns nothing",
  "returns true",
  "returns what it was asked",
  "returns the magic value and a million bytes",
  "reverts with the magic value",
];
for (const [mode, what] of HOSTILE.entries()) {
  Deno.test(`verify() refuses a wallet that ${what}`, async () => {
    await using node = await EvmNode.start();
    const wallet = await node.deploy("HostileWallet", UINT, [mode]);
    equal(await walletsOf(node, 30_000).verify(claim(wallet, OWNER.sign(MESSAGE))), false);
    ok(node.asked.includes("eth_call"), "the contract was asked");
  });
}

Deno.test("verify() accepts an ERC-6492 signature of a wallet that is not deployed yet", async () => {
  await using node = await EvmNode.start();
  const { wallet, wrap } = await counterfactual(node);
  const wallets = walletsOf(node);
  equal(await wallets.verify(claim(wallet, wrap(OWNER.sign(MESSAGE)))), true);
  equal(await wallets.verify(claim(wallet, wrap(STRANGER.sign(MESSAGE)))), false);
  equal(await wallets.verify(claim(wallet, OWNER.sign(MESSAGE))), false, "not wrapped");
  equal(await wallets.verify(claim(STRANGER.address, wrap(OWNER.sign(MESSAGE)))), false, "another address");
});

Deno.test("verify() accepts an ERC-6492 signature once the wallet is deployed", async () => {
  await using node = await EvmNode.start();
  const { factory, deployment, wallet, wrap } = await counterfactual(node);
  await node.send(factory, deployment);
  const wallets = walletsOf(node);
  equal(await wallets.verify(claim(wallet, wrap(OWNER.sign(MESSAGE)))), true);
  equal(await wallets.verify(claim(wallet, OWNER.sign(MESSAGE))), true);
  equal(await wallets.verify(claim(wallet, wrap(STRANGER.sign(MESSAGE)))), false);
});

Deno.test("verify() refuses an ERC-6492 signature whose deployment fails or deploys something else", async () => {
  await using node = await EvmNode.start();
  const { wallet, wrap, factory } = await counterfactual(node);
  const reverting = await node.deploy("HostileWallet", UINT, [0]);
  const other = encodeFunctionData({ abi: FACTORY, functionName: "deploy", args: [STRANGER.address as Hex, SALT] });
  const wallets = walletsOf(node);
  equal(await wallets.verify(claim(wallet, wrap(OWNER.sign(MESSAGE), "0x12345678", reverting))), false);
  equal(await wallets.verify(claim(wallet, wrap(STRANGER.sign(MESSAGE), other, factory))), false);
});

Deno.test("verify() makes no call that a stranger asks for before it asks a deployed wallet", async () => {
  await using node = await EvmNode.start();
  const wallet = await node.deploy("OpenWallet");
  const open = encodeFunctionData({ abi: OPEN, args: [true] });
  const signature = serializeErc6492Signature({ address: wallet, data: open, signature: "0x1234" });
  equal(await walletsOf(node).verify(claim(wallet, signature)), false);
});

Deno.test("verify() refuses every signature of addresses that are nobody's", async () => {
  await using node = await EvmNode.start();
  const { wrap, factory } = await counterfactual(node);
  const wallets = walletsOf(node);
  const garbage = "0x" + "00".repeat(64) + "1b";
  const nobody = ["00", "01", "02", "04", "0100"].map((end) => "0x" + end.padStart(40, "0"));
  for (const wallet of nobody) {
    for (const signature of [garbage, "0x", wrap(garbage), wrap(garbage, "0x", factory), wrap("0x")]) {
      equal(await wallets.verify(claim(wallet, signature)), false, `${wallet} ${signature.slice(0, 20)}`);
    }
  }
  deepEqual(node.asked, []);
});

Deno.test("verify() says no for wallets that are keys, also to signatures that the plain check refuses", async () => {
  await using node = await EvmNode.start();
  const { wrap } = await counterfactual(node);
  const wallets = walletsOf(node);
  const signature = OWNER.sign(MESSAGE);
  for (const tried of [signature, highS(signature), wrap(highS(signature)), wrap(signature)]) {
    equal(await wallets.verify(claim(OWNER.address, tried)), false);
  }
});

Deno.test("verify() refuses signatures that are too long or no hex without asking the node", async () => {
  await using node = await EvmNode.start();
  const wallets = walletsOf(node);
  const tooLong = "0x" + "ab".repeat(8193);
  for (const signature of [tooLong, "ab".repeat(50_000_000), "0x123", "0xzz", "0x" + "0x".repeat(20)]) {
    equal(await wallets.verify(claim(OWNER.address, signature)), false);
  }
  deepEqual(node.asked, []);
});

Deno.test("verify() refuses what only looks like ERC-6492", async () => {
  await using node = await EvmNode.start();
  const wallet = await node.deploy("KeyWallet", ADDRESS, [OWNER.address]);
  const suffix = "6492".repeat(16);
  const wallets = walletsOf(node);
  for (const body of ["", "ff".repeat(96), "00".repeat(512)]) {
    equal(await wallets.verify(claim(wallet, "0x" + body + suffix)), false);
    equal(await wallets.verify(claim(STRANGER.address, "0x" + body + suffix)), false);
  }
});

Deno.test("verifyWalletSignature() asks a node only when the key does not match", async () => {
  await using node = await EvmNode.start();
  const contracts = walletsOf(node);
  const deployed = await node.deploy("KeyWallet", ADDRESS, [OWNER.address]);
  const signature = OWNER.sign(MESSAGE);
  const of = (wallet: string) => ({ wallet: canonicalWallet(wallet, "ETH"), message: MESSAGE, signature, chainId: 1 });
  equal(await verifyWalletSignature(of(OWNER.address), contracts), true);
  deepEqual(node.asked, []);
  equal(await verifyWalletSignature({ ...of(deployed), chainId: 137 }, contracts), false);
  const { chainId: _, ...withoutChain } = of(deployed);
  equal(await verifyWalletSignature(withoutChain, contracts), false);
  equal(await verifyWalletSignature(of(deployed)), false);
  deepEqual(node.asked, []);
  equal(await verifyWalletSignature(of(deployed), contracts), true);
  equal(hexToBytes(signature.slice(2)).length, 65);
});
