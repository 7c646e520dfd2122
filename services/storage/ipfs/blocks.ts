import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { isBlockOf } from "../car/cids.ts";
import { MAX_BLOCK } from "../car/stream.ts";
import type { BlockSource, Leaf } from "../car/walk.ts";
import { fateOf, incomplete, notFound, unavailable } from "./failures.ts";
import type { KuboNode } from "./kubo.ts";
import type { Nodes } from "./nodes.ts";
import { LeafRuns } from "./runs.ts";

/** The longest time that a node has to say whether it has a block itself, in milliseconds. It takes one. */
const LOCAL_TIMEOUT = 2_000;

/** The bytes are not those of the CID. */
class DamagedBlock extends Error {
  override readonly name = "DamagedBlock";
}

/**
 * Blocks for one operation: from the node that had the one before, else from the next that has it, else, where that is wanted, from
 * whoever the nodes find. So a node that dies, or loses a block, is noticed in the middle of a file by nobody.
 */
export class NodeBlocks implements BlockSource {
  readonly #nodes: Nodes<KuboNode>;
  readonly #timeout: number;
  readonly #network: boolean;
  /** Which node is asked first, and whether it may look elsewhere at once. */
  #first: { readonly node: KuboNode; readonly offline: boolean } | undefined;
  #found = false;
  readonly #runs = new LeafRuns();

  /** @param network whether the nodes may look for what none of them has */
  constructor(nodes: Nodes<KuboNode>, timeout: number, network: boolean) {
    this.#nodes = nodes;
    this.#timeout = timeout;
    this.#network = network;
  }

  /** @inheritdoc */
  async get(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const early = await this.#runs.take(cid, async (file, offset, length) =>
      await this.#ask(
        file,
        signal,
        (node, _, timeout) => node.range(file, offset, length, { signal, timeout }),
        true,
      ));
    if (early !== undefined) return early;
    signal.throwIfAborted();
    return await this.#ask(cid, signal, async (node, offline, timeout) => {
      const bytes = await node.block(cid, offline, { signal, timeout });
      if (bytes.length > MAX_BLOCK) {
        throw new GatewayError("INVALID_REQUEST", `cid: a block below it is larger than ${MAX_BLOCK} bytes`);
      }
      if (!isBlockOf(cid, bytes)) throw new DamagedBlock(`${node.url} has other bytes than those of ${cid}`);
      return bytes;
    });
  }

  /** @inheritdoc */
  expect(file: CID, leaves: readonly Leaf[]): void {
    this.#runs.expect(file, leaves);
  }

  /** Takes the bytes of a leaf back that nobody reads any more. */
  release(bytes: Uint8Array): void {
    this.#runs.release(bytes);
  }

  /** The size of a block, of which nothing is read. */
  async size(cid: CID, signal: AbortSignal): Promise<number> {
    return await this.#ask(cid, signal, (node, offline, timeout) => node.blockSize(cid, offline, { signal, timeout }));
  }

  /** The sizes of blocks that have no links. */
  async sizes(cids: readonly CID[], signal: AbortSignal): Promise<readonly number[]> {
    try {
      const [first] = cids;
      const ask = (node: KuboNode, offline: boolean, timeout: number) =>
        node.blockSizes(cids, offline, { signal, timeout });
      return await this.#ask(first!, signal, ask, true);
    } catch {
      signal.throwIfAborted();
      // No node has all of them.
      return await Promise.all(cids.map((cid) => this.size(cid, signal)));
    }
  }

  async #ask<T>(
    cid: CID,
    signal: AbortSignal,
    question: (node: KuboNode, offline: boolean, timeout: number) => Promise<T>,
    onlyLocal = false,
  ): Promise<T> {
    let cause: unknown, absent = true;
    const local = Math.min(LOCAL_TIMEOUT, this.#timeout);
    for (const { node, offline } of this.#tries()) {
      if (onlyLocal && !offline) continue;
      try {
        const result = await question(node, offline, offline ? local : this.#timeout);
        this.#nodes.answered(node);
        this.#first = { node, offline };
        this.#found = true;
        return result;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof GatewayError) throw error;
        cause = error;
        const fate = fateOf(error);
        if (fate === "absent") continue;
        // The others would ask the same peers.
        if (fate === "late" && !offline) break;
        absent = false;
        if (!(error instanceof DamagedBlock) && fate !== "damaged") this.#nodes.failed(node);
        if (this.#first?.node === node) this.#first = undefined;
      }
    }
    if (!absent && !this.#found) throw unavailable(cause);
    throw this.#found ? incomplete(cause) : notFound(cid, cause);
  }

  *#tries(): Generator<{ readonly node: KuboNode; readonly offline: boolean }> {
    const first = this.#first;
    if (first !== undefined) yield first;
    const order = this.#nodes.order();
    for (const node of order) if (first?.node !== node || !first.offline) yield { node, offline: true };
    if (!this.#network) return;
    for (const node of order) if (first?.node !== node || first.offline) yield { node, offline: false };
  }
}
