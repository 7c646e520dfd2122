import { deepEqual, equal, throws } from "node:assert/strict";
import { base58 } from "@scure/base";
import {
  canonicalWallet,
  type Chain,
  checksumAddress,
  hasSoundChecksum,
} from "../../../../services/auth/crypto/wallet.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";

const SOLANA = "Bow1CGKGDB9mNxeWdw85E2aCthQ1oZX4oFEe7fYT17ew";
/** The examples of EIP-55: all upper case, all lower case, mixed. */
const EIP_55 = [
  "0x52908400098527886E0F7030069857D2E4169EE7",
  "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
  "0xde709f2102306220921060314715629080e2fb77",
  "0x27b1fdb04752bbc536007a920d24acb045561c26",
  "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
  "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
  "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
  "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
];

function refuses(wallet: string, chain?: Chain) {
  throws(() => canonicalWallet(wallet, chain), (error) => {
    if (!(error instanceof GatewayError)) return false;
    equal(error.code, "INVALID_REQUEST");
    equal((error.extra.details as { field: string }[])[0]?.field, "wallet");
    return true;
  }, JSON.stringify(wallet).slice(0, 80));
}

Deno.test("checksumAddress() gives the examples of EIP-55", () => {
  for (const address of EIP_55) {
    equal(checksumAddress(address.toLowerCase()), address);
    equal(checksumAddress("0x" + address.slice(2).toUpperCase()), address);
  }
});

Deno.test("canonicalWallet() gives all spellings of one Ethereum address the same", () => {
  const expected = {
    chain: "ETH",
    canonical: "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
    display: "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
  };
  const digits = expected.display.slice(2);
  const spellings = [
    `0x${digits}`,
    digits,
    digits.toLowerCase(),
    `0x${digits.toUpperCase()}`,
    `0X${digits}`,
    `  0x${digits}\n`,
    `0x${digits.replace("E7E", "e7E")}`,
  ];
  for (const spelling of spellings) {
    deepEqual(canonicalWallet(spelling), expected);
    deepEqual(canonicalWallet(spelling, "ETH"), expected);
  }
});

Deno.test("canonicalWallet() leaves a Solana address as it is, letter case included", () => {
  const expected = { chain: "SOL", canonical: SOLANA, display: SOLANA };
  deepEqual(canonicalWallet(SOLANA), expected);
  deepEqual(canonicalWallet(SOLANA, "SOL"), expected);
  deepEqual(canonicalWallet(`\t${SOLANA} `, "SOL"), expected);
  deepEqual(canonicalWallet("1".repeat(32), "SOL").canonical, "1".repeat(32));
});

Deno.test("canonicalWallet() refuses what is not a wallet of the chain", () => {
  const digits = "19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
  const wrong = [
    "",
    " ",
    "0x",
    `0x${digits}0`,
    digits.slice(1),
    `0x${digits.slice(1)}g`,
    `0x0x${digits}`,
    `0x ${digits}`,
  ];
  for (const wallet of [...wrong, `0x${digits}\u0000`, `0x${digits.replace("a", "а")}`, `０x${digits}`]) {
    refuses(wallet);
    refuses(wallet, "ETH");
    refuses(wallet, "SOL");
  }
  refuses(SOLANA, "ETH");
  refuses(`0x${digits}`, "SOL");
});

Deno.test("canonicalWallet() refuses base58 that is not 32 bytes or has other characters", () => {
  for (const length of [0, 1, 20, 31, 33, 64]) refuses(base58.encode(new Uint8Array(length).fill(7)), "SOL");
  for (const wrong of ["0", "O", "I", "l", "_", "ѕ"]) refuses(SOLANA.slice(0, -1) + wrong, "SOL");
  refuses("1".repeat(33), "SOL");
  refuses(SOLANA.toLowerCase(), "SOL");
});

Deno.test("canonicalWallet() refuses a wallet of fifty million characters at once", () => {
  const started = performance.now();
  refuses("1".repeat(50_000_000));
  refuses("z".repeat(50_000_000), "SOL");
  equal(performance.now() - started < 20_000, true);
});

Deno.test("hasSoundChecksum() finds a typing error in a mixed-case address only", () => {
  for (const address of EIP_55) {
    equal(hasSoundChecksum(address), true);
    equal(hasSoundChecksum(address.toLowerCase()), true);
    equal(hasSoundChecksum(address.slice(2)), true);
  }
  equal(hasSoundChecksum("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed"), false);
  equal(hasSoundChecksum("5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"), false);
  equal(hasSoundChecksum(SOLANA), true);
});
