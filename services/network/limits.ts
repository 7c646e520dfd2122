import type { GossipsubOpts } from "@libp2p/gossipsub";

/** Bytes of a message, a frame, a question or an answer between gateways: a message of 1 MiB and what belongs to it. */
export const MAX_BYTES = 2 ** 20 + 2 ** 16;
/** Channels in which a gateway takes part. Who connects is told of all of them at once. */
export const MAX_CHANNELS = 100_000;

/** What may come over one connection: 128 MiB/s or 65,536 frames/s, and 5,000 new streams per second: each question is one. */
export const METER_LIMITS = {
  bytesPerSecond: 2 ** 27,
  frameCost: 2 ** 11,
  maxFrame: 2 ** 22,
  streamsPerSecond: 5_000,
} as const;
/** Milliseconds for which a peer may want more than that without a break. */
export const PATIENCE = 10_000;

/** How connections are taken and made. Strangers have only until the handshake ends. */
export const CONNECTION_LIMITS = {
  maxConnections: 1_000,
  maxParallelDials: 32,
  maxPeerAddrsToDial: 16,
  dialTimeout: 10_000,
  inboundUpgradeTimeout: 5_000,
  outboundStreamProtocolNegotiationTimeout: 5_000,
  inboundStreamProtocolNegotiationTimeout: 5_000,
  inboundConnectionThreshold: 50,
  maxIncomingPendingConnections: 200,
  reconnectRetries: 0,
} as const;

/** Looks, of one second each, at which nothing had come of a peer. It answers pings, which come every three seconds. */
export const SILENCE = 12;

/** What gossipsub keeps and takes. */
export const CHANNEL_LIMITS = {
  // One connecting peer tells all its channels in one frame; messages have a bound of their own.
  maxInboundDataLength: 2 ** 23,
  maxTopicBytesPerPeer: 2 ** 27,
  decodeRpcLimits: {
    maxSubscriptions: MAX_CHANNELS,
    maxMessages: 1_000,
    maxIhaveMessageIDs: 1_000,
    maxIwantMessageIDs: 1_000,
    maxIdontwantMessageIDs: 1_000,
    maxControlMessages: MAX_CHANNELS,
    maxPeerInfos: 1,
  },
  // Never reached by messages, which are dropped before.
  maxOutboundBufferSize: 2 ** 27,
  maxInboundStreams: 2,
  maxOutboundStreams: 2,
  D: 4,
  Dlo: 3,
  Dhi: 8,
  Dscore: 1,
  Dout: 1,
  Dlazy: 0,
  gossipFactor: 0,
  // Only as long as a message may still be on its way: what comes later is told by its offset.
  seenTTL: 10_000,
  mcacheLength: 1,
  mcacheGossip: 1,
} as const satisfies Partial<GossipsubOpts>;
