import type { Message } from "@libp2p/gossipsub";
import type { PeerId } from "@libp2p/interface";
import type { Uint8ArrayList } from "uint8arraylist";
import { MAX_CHANNELS } from "../../network/limits.ts";
import { Allowance } from "../../network/meter.ts";
import type { NetworkNode } from "../../network/node.ts";
import { copyOf, isTooLong } from "./libp2p_link.ts";
import type { NodeId } from "./mesh.ts";

/** A message between gateways of gossipsub, as far as it is looked into. */
interface Rpc {
  subscriptions: readonly unknown[];
  messages: { readonly data?: Uint8Array; readonly from?: Uint8Array; readonly seqno?: Uint8Array }[];
  readonly control?: Readonly<Record<string, readonly unknown[]>>;
}

/** Parts of gossipsub that it does not show. It gives no other way to bound what a peer makes it do. */
interface Innards {
  readonly peers: ReadonlyMap<string, unknown>;
  readonly streamsOutbound: ReadonlyMap<string, { readonly rawStream: { readonly writeBufferLength: number } }>;
  readonly streamsInbound: Map<string, { readonly source: unknown }>;
  readonly score: { rejectInvalidMessage(peer: string, topic: string): void };
  decodeRpc(bytes: Uint8Array): Rpc;
  handleReceivedRpc(from: PeerId, rpc: Rpc): Promise<void>;
  pipePeerReadStream(peer: PeerId, source: AsyncIterable<Uint8ArrayList>): Promise<void>;
  sendRpc(peer: string, rpc: Rpc): boolean;
  sendRpcInBatch(peers: Set<string>, rpc: Rpc): void;
}

/** What a peer has under way here. */
interface UnderWay {
  messages: number;
  bytes: number;
  readonly allowance: Allowance;
}

/** Messages and bytes of one peer that may wait for their signatures to be checked. */
const MOST_MESSAGES = 8_192, MOST_BYTES = 2 ** 25;
/** Things that a peer may tell in a second: subscriptions, messages, control messages. Who connects tells all subscriptions. */
const PER_SECOND = 2 * MAX_CHANNELS;
/** Bytes of our own messages that may wait for their signatures to be made; and of messages for one peer that may wait for it. */
const MOST_PUBLISHING = 2 ** 25, MOST_WAITING = 2 ** 24;

/** What channels are made with. */
export interface ChannelsOptions {
  readonly node: NetworkNode;
  readonly maxBytes: number;
  /** Channels in which it takes part at once. Default {@link MAX_CHANNELS}. */
  readonly maxChannels?: number;
  readonly monotonic: () => number;
  /** A message came, of whoever signed it. */
  readonly received: (channel: string, origin: NodeId, bytes: Uint8Array<ArrayBuffer>) => void;
  readonly onError: (what: string, error: unknown) => void;
}

/** Channels as topics of gossipsub. */
export class Channels {
  readonly #underWay = new Map<NodeId, UnderWay>();
  readonly #joined = new Set<string>();
  /** Channels that are wanted beyond those that there may be, the one that waits for longest first. */
  readonly #waiting = new Set<string>();
  /** Messages whose signature is being checked, by origin and number. */
  readonly #checking = new Set<string>();
  readonly #self: string;
  readonly #innards: Innards;
  #publishing = 0;
  #done: (() => void)[] = [];
  readonly #figures = { published: 0, unpublished: 0, received: 0 };

  constructor(private readonly options: ChannelsOptions) {
    this.#innards = innardsOf(options.node.gossip);
    this.#self = options.node.idBytes.toHex();
    this.#boundWhatComes();
    this.#boundWhatGoes();
  }

  /** Messages that were sent, not sent because too many were under way, and received; channels that wait to be joined. */
  get figures(): Readonly<Record<"published" | "unpublished" | "received" | "unjoined", number>> {
    return { ...this.#figures, unjoined: this.#waiting.size };
  }

  /** Begins to take messages. */
  start(): void {
    this.options.node.gossip.addEventListener("message", ({ detail }) => this.#take(detail));
  }

  /** @returns whether messages can go to a peer and come from it */
  reaches(peer: NodeId): boolean {
    const { peers, streamsOutbound, streamsInbound } = this.#innards;
    return peers.has(peer) && streamsOutbound.has(peer) && streamsInbound.has(peer);
  }

  /** Takes what is said in a channel from now on; where there are as many as there may be, from when another is left. */
  join(channel: string): void {
    if (this.#joined.has(channel) || this.#waiting.has(channel)) return;
    const { maxChannels = MAX_CHANNELS, onError } = this.options;
    if (this.#joined.size < maxChannels) return this.#join(channel);
    // One word is enough for all of them: a figure says how many they are.
    if (this.#waiting.size === 0) onError("channels are not joined", new Error(`there are ${maxChannels} already`));
    this.#waiting.add(channel);
  }

  leave(channel: string): void {
    if (this.#waiting.delete(channel) || !this.#joined.delete(channel)) return;
    this.options.node.gossip.unsubscribe(channel);
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#join(next);
  }

  #join(channel: string): void {
    this.#joined.add(channel);
    this.options.node.gossip.subscribe(channel);
  }

  publish(channel: string, bytes: Uint8Array): void {
    if (bytes.length > this.options.maxBytes || this.#publishing + bytes.length > MOST_PUBLISHING) {
      this.#figures.unpublished++;
      return;
    }
    this.#publishing += bytes.length;
    this.options.node.gossip.publish(channel, bytes)
      .then(() => void this.#figures.published++, (error) => {
        this.#figures.unpublished++;
        this.options.onError("a message was not sent", error);
      })
      .finally(() => {
        this.#publishing -= bytes.length;
        if (this.#publishing === 0) { for (const tell of this.#done.splice(0)) tell(); }
      });
  }

  /** Resolves when what was published is on its way. */
  async sent(): Promise<void> {
    if (this.#publishing > 0) await new Promise<void>((resolve) => this.#done.push(resolve));
  }

  /** Forgets peers that are gone. */
  tidy(): void {
    for (const [peer, { messages }] of [...this.#underWay]) {
      if (messages === 0 && !this.options.node.isConnected(peer)) this.#underWay.delete(peer);
    }
  }

  #boundWhatComes(): void {
    const inner = this.#innards, handle = inner.handleReceivedRpc.bind(inner);
    inner.pipePeerReadStream = (peer, source) => this.#readAll(peer, source);
    inner.handleReceivedRpc = (peer, rpc) => this.#handle(peer, rpc, handle);
    const reject = inner.score.rejectInvalidMessage.bind(inner.score);
    inner.score.rejectInvalidMessage = (peer, topic) => {
      reject(peer, topic);
      // Gateways check what they hand on: whoever hands on what is not signed is none.
      this.options.node.punish(peer, "garbage");
    };
  }

  /** Messages for a peer that takes none are dropped; what it must hear of subscriptions never is. */
  #boundWhatGoes(): void {
    const inner = this.#innards;
    const send = inner.sendRpc.bind(inner), sendAll = inner.sendRpcInBatch.bind(inner);
    const isFull = (peer: string): boolean => {
      const waiting = inner.streamsOutbound.get(peer)?.rawStream.writeBufferLength ?? 0;
      if (waiting > MOST_WAITING) this.#figures.unpublished++;
      return waiting > MOST_WAITING;
    };
    inner.sendRpc = (peer, rpc) => !(rpc.messages.length > 0 && isFull(peer)) && send(peer, rpc);
    inner.sendRpcInBatch = (peers, rpc) => {
      for (const peer of [...peers]) if (isFull(peer)) peers.delete(peer);
      sendAll(peers, rpc);
    };
  }

  async #readAll(peer: PeerId, source: AsyncIterable<Uint8ArrayList>): Promise<void> {
    const { node } = this.options;
    const id = peer.toString();
    try {
      for await (const bytes of source) {
        let rpc: Rpc;
        try {
          rpc = this.#innards.decodeRpc(bytes.subarray());
        } catch {
          return node.punish(id, "garbage");
        }
        this.#innards.handleReceivedRpc(peer, rpc).catch((error) => this.options.onError("gossip failed", error));
      }
    } catch (error) {
      // What ends with its connection is nothing that a peer did.
      if (isTooLong(error)) node.punish(id, "oversize");
    }
    const { streamsInbound } = this.#innards;
    if (streamsInbound.get(id)?.source === source) streamsInbound.delete(id);
  }

  async #handle(peer: PeerId, rpc: Rpc, handle: (peer: PeerId, rpc: Rpc) => Promise<void>): Promise<void> {
    const { node, maxBytes, monotonic } = this.options;
    const id = peer.toString();
    const before = this.#underWay.get(id);
    const underWay = before ?? { messages: 0, bytes: 0, allowance: new Allowance(PER_SECOND, monotonic) };
    if (before === undefined) this.#underWay.set(id, underWay);
    if (underWay.allowance.take(thingsIn(rpc)) > 0) return node.punish(id, "flood");

    let bytes = 0;
    const ids: string[] = [];
    rpc.messages = rpc.messages.filter(({ data, from, seqno }) => {
      const size = data?.length ?? 0, origin = from?.toHex() ?? "", id = origin + (seqno?.toHex() ?? "");
      // Others hand on what is ours, or repeat what an earlier life of this gateway said. What comes twice at a time is checked once:
      // if that one is not sound, whoever sent it is shut out, and the message is asked for like any that was lost.
      if (origin === this.#self || this.#checking.has(id)) return false;
      if (size > maxBytes) {
        node.count("oversize");
        return false;
      }
      if (underWay.messages >= MOST_MESSAGES || underWay.bytes + size > MOST_BYTES) {
        node.count("flood");
        return false;
      }
      underWay.messages++;
      underWay.bytes += size;
      bytes += size;
      ids.push(id);
      this.#checking.add(id);
      return true;
    });
    const count = rpc.messages.length;
    try {
      await handle(peer, rpc);
    } finally {
      underWay.messages -= count;
      underWay.bytes -= bytes;
      for (const id of ids) this.#checking.delete(id);
    }
  }

  #take(message: Message): void {
    if (message.type !== "signed") return;
    this.#figures.received++;
    this.options.received(message.topic, message.from.toString(), copyOf(message.data));
  }
}

const thingsIn = ({ subscriptions, messages, control = {} }: Rpc): number =>
  Object.values(control).reduce((sum, list) => sum + (list?.length ?? 0), 1 + subscriptions.length + messages.length);

/** @throws Error when this version of gossipsub is another one inside, whose bounds would silently not hold */
function innardsOf(gossip: object): Innards {
  const inner = gossip as Innards;
  const parts: unknown[] = [
    inner.decodeRpc,
    inner.handleReceivedRpc,
    inner.pipePeerReadStream,
    inner.sendRpc,
    inner.sendRpcInBatch,
    inner.score?.rejectInvalidMessage,
  ];
  const maps = [inner.peers, inner.streamsInbound, inner.streamsOutbound];
  if (parts.some((part) => typeof part !== "function") || maps.some((map) => !(map instanceof Map))) {
    throw new Error("gossipsub is not the version that this gateway was made for");
  }
  return inner;
}
