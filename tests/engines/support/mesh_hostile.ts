import type { NetworkNode } from "../../../services/network/node.ts";
import { ASK } from "../../../services/pubsub/mesh/libp2p_asks.ts";
import { LINK } from "../../../services/pubsub/mesh/libp2p.ts";

/** What a gateway with the right key and a wrong mind does to another. */
export type Misdeed =
  | "garbage on gossip"
  | "an endless frame of gossip"
  | "messages that nobody signed"
  | "a frame beyond the bound on a link"
  | "links without end"
  | "a question beyond the bound"
  | "questions that never end"
  | "streams without end"
  | "a yamux frame of 4 GiB"
  | "pings without end"
  | "more than a peer may send";

const GOSSIP = "/meshsub/1.2.0";
const patience = () => AbortSignal.timeout(5_000);
const junk = (bytes: number) => crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536)));

/** Does it, until the other side has had enough or it is done. Failures of streams are what is expected. */
export async function misbehave(node: NetworkNode, to: string, deed: Misdeed): Promise<string> {
  try {
    await DEEDS[deed](node, to);
    return "done";
  } catch (error) {
    return String(error);
  }
}

const DEEDS: Readonly<Record<Misdeed, (node: NetworkNode, to: string) => Promise<void>>> = {
  async "garbage on gossip"(node, to) {
    const stream = await node.stream(to, GOSSIP, patience(), 9);
    // A length of 100 bytes, and no message.
    stream.send(Uint8Array.of(100, ...junk(100).fill(0xff)));
  },
  async "an endless frame of gossip"(node, to) {
    const stream = await node.stream(to, GOSSIP, patience(), 9);
    stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f));
  },
  async "messages that nobody signed"(node, to) {
    const stream = await node.stream(to, GOSSIP, patience(), 9);
    // publish: [{ data: "x", topic: "t" }]
    stream.send(Uint8Array.of(8, 0x12, 6, 0x12, 1, 0x78, 0x22, 1, 0x74));
  },
  async "a frame beyond the bound on a link"(node, to) {
    const stream = await node.stream(to, LINK, patience(), 9);
    stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3));
  },
  async "links without end"(node, to) {
    for (let i = 0; i < 1_000 && node.isConnected(to); i++) await node.stream(to, LINK, patience(), 9_999);
  },
  async "a question beyond the bound"(node, to) {
    const stream = await node.stream(to, ASK, patience(), 9);
    stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 1, 2, 3));
  },
  async "questions that never end"(node, to) {
    for (let i = 0; i < 1_000; i++) {
      const stream = await node.stream(to, ASK, patience(), 9_999);
      stream.send(Uint8Array.of(100, 1));
    }
  },
  async "streams without end"(node, to) {
    const muxer = muxerOf(node, to);
    for (let i = 0; i < 100_000; i++) muxer.send(header({ type: 1, flags: 1, stream: 1_000_001 + 2 * i, length: 0 }));
    await turns(100);
  },
  async "a yamux frame of 4 GiB"(node, to) {
    const muxer = muxerOf(node, to);
    muxer.send(header({ type: 0, flags: 1, stream: 1_000_001, length: 0xffff_ffff }));
    for (let i = 0; i < 1_000; i++) {
      muxer.send(junk(65_536));
      await turns(1);
    }
  },
  async "pings without end"(node, to) {
    const muxer = muxerOf(node, to);
    // It minds no answers.
    muxer.onData = () => {};
    const pings = new Uint8Array(12 * 5_000);
    for (let i = 0; i < 5_000; i++) pings.set(header({ type: 2, flags: 1, stream: 0, length: i }), 12 * i);
    for (let i = 0; i < 60; i++) {
      muxer.send(pings);
      await turns(1);
    }
  },
  async "more than a peer may send"(node, to) {
    const stream = await node.stream(to, GOSSIP, patience(), 9);
    // A field of 60,000 bytes that means nothing, which is no mistake.
    const frame = Uint8Array.of(0xe4, 0xd4, 0x03, 0x7a, 0xe0, 0xd4, 0x03, ...new Uint8Array(60_000));
    for (let i = 0; i < 3_000; i++) {
      stream.send(frame);
      while (stream.writeBufferLength > 2 ** 22 && stream.status === "open") await turns(1);
    }
  },
};

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve));
};

interface RawMuxer {
  send(bytes: Uint8Array): boolean;
  onData(bytes: unknown): void;
}

/** The muxer of a connection, to write what no muxer writes. */
function muxerOf(node: NetworkNode, to: string): RawMuxer {
  const libp2p = Reflect.get(node.gossip, "components") as {
    connectionManager: { getConnections(): readonly { remotePeer: { toString(): string } }[] };
  };
  const connection = libp2p.connectionManager.getConnections().find(({ remotePeer }) => remotePeer.toString() === to);
  return Reflect.get(connection!, "muxer") as RawMuxer;
}

function header(
  { type, flags, stream, length }: Readonly<Record<"type" | "flags" | "stream" | "length", number>>,
): Uint8Array {
  const bytes = new Uint8Array(12), view = new DataView(bytes.buffer);
  view.setUint8(1, type);
  view.setUint16(2, flags);
  view.setUint32(4, stream);
  view.setUint32(8, length);
  return bytes;
}
