import { bytesToHex } from "@noble/hashes/utils.js";
import type { Client, Hex } from "viem";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { bytesOfHex, personalMessageHash } from "./ethereum_signature.ts";

/** Multi-owner and passkey signatures stay below 2 KiB; the rest is room for the code that deploys a wallet. */
const MAX_SIGNATURE_BYTES = 8192;
/** Room for the largest contract's code in hex. */
const MAX_ANSWER_BYTES = 512 * 1024;
const MAX_AT_ONCE = 32;
/** What a check may cost the node: below the cap of one transaction (EIP-7825), enough to deploy any wallet. */
const GAS = "0xf42400";
/** `isValidSignature(bytes32,bytes)` as one ABI word: the only answer that means yes (ERC-1271). */
const MAGIC_WORD = "0x1626ba7e" + "0".repeat(56);
/** No one's: the zero address, to which a failed ecrecover leads, and precompiles, of which one echoes what it is asked. */
const SYSTEM_ADDRESS = /^0x0{36}/;
/** How nodes say that the contract failed, and not they. */
const EXECUTION_FAILED = new RegExp(
  "revert|out of gas|invalid (?:fe ?)?opcode|bad instruction|invalid jump|stack (?:under|over)flow|" +
    "(?:vm|execution) (?:exception|execution|error|aborted|failed)|evm ?error|write protection|gas uint64 overflow",
  "i",
);

/** Which nodes to ask, and for how long. */
export interface ContractWalletOptions {
  /** A JSON-RPC URL for each chain id (EIP-155). What a URL holds of secrets appears in no error. */
  readonly endpoints: ReadonlyMap<number, string>;
  /** Milliseconds for all that one check asks of a node. */
  readonly timeout: number;
  /** Default: the runtime's. */
  readonly fetch?: typeof fetch;
}

/** What is checked: that the contract at `wallet` accepts `signature` for `message`. */
export interface ContractClaim {
  /** The chain on which the wallet lives. */
  readonly chainId: number;
  /** `0x` and 40 lower-case hex digits. */
  readonly wallet: string;
  /** The text that was signed as `personal_sign` does (EIP-191). */
  readonly message: string;
  /** Hex of at most 8 KiB: whatever the contract takes, or that wrapped by ERC-6492 where it is not deployed yet. */
  readonly signature: string;
}

/**
 * Signatures of wallets that are contracts: ERC-1271 where one is deployed, ERC-6492 where one is not yet. For wallets
 * that are keys it always says no: {@link verifyWalletSignature} tries the key first. `viem` is loaded at the first check.
 */
export class ContractWallets {
  readonly #clients = new Map<number, Promise<ChainNode>>();
  #atOnce = 0;

  constructor(private readonly options: ContractWalletOptions) {}

  /** Whether there is a node to ask about a chain. */
  supports(chainId: number): boolean {
    return this.options.endpoints.has(chainId);
  }

  /**
   * Asks the wallet. What is malformed, and a contract that reverts, loops or answers anything but yes, is `false`.
   * @throws GatewayError `UNAVAILABLE` when the node does not answer in time or not with sense, serves another chain, or
   *   too many checks are under way
   */
  async verify(claim: ContractClaim, signal?: AbortSignal): Promise<boolean> {
    const url = this.options.endpoints.get(claim.chainId);
    const bytes = bytesOfSignature(claim.signature);
    if (url === undefined || bytes === undefined || SYSTEM_ADDRESS.test(claim.wallet)) return false;
    if (this.#atOnce >= MAX_AT_ONCE) throw unavailable(claim.chainId, new Error("too many checks at once"));
    this.#atOnce++;
    try {
      // The time is the node's alone: what it takes to load the library, once, is not taken from it.
      return await this.#ask(await this.#node(claim.chainId, url), claim, hex(bytes), signal);
    } finally {
      this.#atOnce--;
    }
  }

  async #ask(node: ChainNode, claim: ContractClaim, signature: Hex, signal?: AbortSignal): Promise<boolean> {
    const deadline = new AbortController();
    const { timeout } = this.options;
    const timer = setTimeout(() => deadline.abort(new Error(`no answer within ${timeout} ms`)), timeout);
    const until = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
    try {
      return await node.accepts(claim.wallet as Hex, hex(personalMessageHash(claim.message)), signature, until);
    } catch (error) {
      signal?.throwIfAborted();
      throw unavailable(claim.chainId, deadline.signal.aborted ? deadline.signal.reason : error);
    } finally {
      clearTimeout(timer);
      // Of two requests the other may still be under way when one has failed.
      deadline.abort();
    }
  }

  #node(chainId: number, url: string): Promise<ChainNode> {
    let node = this.#clients.get(chainId);
    if (node === undefined) {
      node = import("viem").then((viem) => new ChainNode(viem, chainId, url, this.options.fetch));
      this.#clients.set(chainId, node);
      node.catch(() => this.#clients.delete(chainId));
    }
    return node;
  }
}

/** One node of one chain. */
class ChainNode {
  readonly #client: Client;
  #isRightChain = false;

  constructor(
    private readonly viem: typeof import("viem"),
    private readonly chainId: number,
    url: string,
    fetchFn: typeof fetch | undefined,
  ) {
    this.#client = viem.createClient({
      transport: viem.http(url, {
        // The deadline comes with each request, and covers the body of the answer too.
        timeout: 0,
        retryCount: 0,
        maxResponseBodySize: MAX_ANSWER_BYTES,
        fetchOptions: { redirect: "error" },
        ...(fetchFn !== undefined && { fetchFn }),
      }),
    });
  }

  async accepts(wallet: Hex, hash: Hex, signature: Hex, signal: AbortSignal): Promise<boolean> {
    const { viem } = this;
    const [code] = await Promise.all([
      this.#hex("eth_getCode", [wallet, "latest"], signal),
      this.#isRightChain || this.#confirmChain(signal),
    ]);
    const wrapped = viem.isErc6492Signature(signature);
    if (code === "0x") {
      return wrapped && await this.#call({ data: validation(viem, wallet, hash, signature) }, signal) === "0x01";
    }
    // The wrapper's call is not made for a wallet that is there: what a stranger may change first is no consent of it.
    const inner = wrapped ? unwrapped(viem, signature) : signature;
    if (inner === undefined) return false;
    const data = viem.encodeFunctionData({ abi: IS_VALID_SIGNATURE, args: [hash, inner] });
    return await this.#call({ to: wallet, data }, signal) === MAGIC_WORD;
  }

  /** @returns `undefined` when the contract failed */
  async #call(call: { to?: Hex; data: Hex }, signal: AbortSignal): Promise<Hex | undefined> {
    try {
      return await this.#hex("eth_call", [{ ...call, gas: GAS }, "latest"], signal);
    } catch (error) {
      if (isContractsFault(this.viem, error)) return undefined;
      throw error;
    }
  }

  async #confirmChain(signal: AbortSignal): Promise<void> {
    const chainId = Number(await this.#hex("eth_chainId", undefined, signal));
    if (chainId !== this.chainId) throw new Error(`it serves chain ${chainId}`);
    this.#isRightChain = true;
  }

  async #hex(method: string, params: readonly unknown[] | undefined, signal: AbortSignal): Promise<Hex> {
    const request = this.#client.request as (call: object, options: object) => Promise<unknown>;
    const answer = await request({ method, params }, { signal });
    if (!this.viem.isHex(answer)) throw new Error(`${method} was not answered with hex`);
    return answer.toLowerCase() as Hex;
  }
}

const IS_VALID_SIGNATURE = [{
  type: "function",
  name: "isValidSignature",
  stateMutability: "view",
  inputs: [{ name: "hash", type: "bytes32" }, { name: "signature", type: "bytes" }],
  outputs: [{ type: "bytes4" }],
}] as const;

/** The validator of ERC-6492 as the code of a contract creation: it deploys the wallet, asks it, and returns one byte. */
function validation(viem: typeof import("viem"), wallet: Hex, hash: Hex, signature: Hex): Hex {
  return viem.encodeDeployData({
    abi: viem.erc6492SignatureValidatorAbi,
    bytecode: viem.erc6492SignatureValidatorByteCode,
    args: [wallet, hash, signature],
  });
}

function unwrapped(viem: typeof import("viem"), signature: Hex): Hex | undefined {
  try {
    return viem.parseErc6492Signature(signature).signature;
  } catch {
    return undefined;
  }
}

function isContractsFault(viem: typeof import("viem"), error: unknown): boolean {
  if (!(error instanceof viem.BaseError)) return false;
  // Only a contract answers with more than a node's own answers can be.
  if (error.walk((cause) => cause instanceof viem.ResponseBodyTooLargeError) !== null) return true;
  const answer = error.walk((cause) => cause instanceof viem.RpcRequestError);
  return answer instanceof viem.RpcRequestError &&
    (answer.code === 3 || answer.code === -32015 || EXECUTION_FAILED.test(answer.details));
}

function bytesOfSignature(signature: string): Uint8Array | undefined {
  const isShort = signature.length <= 2 * MAX_SIGNATURE_BYTES + 256;
  return isShort ? bytesOfHex(signature.trim(), MAX_SIGNATURE_BYTES) : undefined;
}

function hex(bytes: Uint8Array): Hex {
  return `0x${bytesToHex(bytes)}`;
}

/** Errors of clients quote the URL, which often holds the operator's key to the node: the cause for the log is rewritten. */
function unavailable(chainId: number, error: unknown): GatewayError {
  const reason = (error instanceof Error ? `${error.name}: ${error.message}` : String(error))
    .replace(/\b(?:https?|wss?):\/\/[^\s"'<>]+/gi, "<endpoint>")
    .replace(/Request body:.*$/gms, "")
    .trim();
  const cause = new Error(`the JSON-RPC endpoint of chain ${chainId} is of no use: ${reason}`);
  return new GatewayError("UNAVAILABLE", "the wallet's contract cannot be asked at the moment", { cause });
}
