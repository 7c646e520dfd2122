import { LRUCache } from "lru-cache";
import type { NodeId } from "../mesh/mesh.ts";

/** What one gateway may send in a second, and how much of that at once after a pause. */
export interface PeerRate {
  readonly messages: number;
  readonly bytes: number;
  /** Seconds' worth. */
  readonly burst: number;
}

/** Messages, frames, questions and bytes that one other gateway may send each second. */
export const PEER_RATE: PeerRate = { messages: 50_000, bytes: 64 * 2 ** 20, burst: 4 };

interface Left {
  messages: number;
  bytes: number;
  at: number;
}

/** Gateways that are remembered: more than there are. */
const MAX_NODES = 1_000;

/** Bounds what each gateway sends, apart from the others. */
export class PeerRates {
  readonly #left = new LRUCache<NodeId, Left>({ max: MAX_NODES });

  /** @param monotonic milliseconds that never run backwards */
  constructor(private readonly rate: PeerRate, private readonly monotonic: () => number) {}

  /** @returns whether that much may still be taken from it */
  take(node: NodeId, bytes: number): boolean {
    const { messages, bytes: volume, burst } = this.rate;
    const now = this.monotonic();
    let left = this.#left.get(node);
    if (left === undefined) this.#left.set(node, left = { messages: messages * burst, bytes: volume * burst, at: now });
    const seconds = (now - left.at) / 1000;
    left.at = now;
    left.messages = Math.min(messages * burst, left.messages + seconds * messages);
    left.bytes = Math.min(volume * burst, left.bytes + seconds * volume);
    if (left.messages < 1 || left.bytes < bytes) return false;
    left.messages--;
    left.bytes -= bytes;
    return true;
  }
}
