import type { StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { AbstractStreamMuxer } from "@libp2p/utils";
import { yamux } from "@libp2p/yamux";
import { Allowance, FrameMeter, type MeterLimits } from "./meter.ts";
import type { Refusal } from "./strikes.ts";

/** What the guard asks of the node around it. */
export interface GuardOptions {
  readonly limits: MeterLimits;
  /** Milliseconds for which a peer may want to send more than it may, without a break, before its connection is cut. */
  readonly patience: number;
  /** Looks in a row at which nothing had come, before a connection is cut. */
  readonly silence: number;
  readonly monotonic: () => number;
  /** Told of a connection that is being cut, by its muxer. */
  readonly refused: (muxer: StreamMuxer, why: Refusal) => void;
}

/** Bytes that may be under way to us in one stream; and streams of one connection, in each direction. */
const WINDOW = 4 * 2 ** 20, STREAMS = 512;
/** Milliseconds between two pings, which the other side answers as soon as it reads them. */
const KEEP_ALIVE = 3_000;

type MuxerOf = ReturnType<typeof yamux>;
type Connection = Parameters<StreamMuxerFactory["createStreamMuxer"]>[0];

/** One connection that is minded. */
interface Guarded {
  readonly muxer: AbstractStreamMuxer;
  readonly connection: Connection;
  /** Whether anything came since the last look, and at how many looks in a row nothing had. */
  heard: boolean;
  silent: number;
}

/**
 * Minds what comes over connections: a peer that sends more than it may is read more slowly, which TCP tells it; one that goes on so is
 * cut, and so is one that announces frames beyond its window, or of which nothing comes any more.
 */
export class ConnectionGuard {
  readonly #guarded = new Set<Guarded>();

  constructor(private readonly options: GuardOptions) {}

  /** Yamux, minded. */
  readonly muxer: (...args: Parameters<MuxerOf>) => StreamMuxerFactory = (...args) => {
    const factory = yamux({
      maxInboundStreams: STREAMS,
      maxOutboundStreams: STREAMS,
      keepAliveInterval: KEEP_ALIVE,
      streamOptions: { maxStreamWindowSize: WINDOW, maxReadBufferLength: 2 * WINDOW },
    })(...args);
    return {
      protocol: factory.protocol,
      createStreamMuxer: (connection) => {
        const muxer = factory.createStreamMuxer(connection);
        if (muxer instanceof AbstractStreamMuxer) this.#guard(muxer, connection);
        return muxer;
      },
    };
  };

  /**
   * Looks for connections over which nothing comes. What counts is looks, not time: while this process has too much to do to read,
   * it does not look either.
   */
  look(): void {
    for (const guarded of [...this.#guarded]) {
      guarded.silent = guarded.heard ? 0 : guarded.silent + 1;
      guarded.heard = false;
      if (guarded.connection.status !== "open") this.#guarded.delete(guarded);
      else if (guarded.silent >= this.options.silence) {
        this.#guarded.delete(guarded);
        this.options.refused(guarded.muxer, "stalled");
        guarded.muxer.abort(new Error("nothing comes of the peer any more"));
        guarded.connection.abort(new Error("nothing comes of the peer any more"));
      }
    }
  }

  #guard(muxer: AbstractStreamMuxer, connection: Connection): void {
    const { limits, patience, monotonic, refused } = this.options;
    const guarded: Guarded = { muxer, connection, heard: true, silent: 0 };
    this.#guarded.add(guarded);
    const meter = new FrameMeter(limits);
    const allowance = new Allowance(limits.bytesPerSecond, monotonic);
    const streams = new Allowance(limits.streamsPerSecond, monotonic);
    const onData = muxer.onData.bind(muxer);
    let slowedSince: number | undefined;
    muxer.onData = (data) => {
      guarded.heard = true;
      let cost = 0;
      try {
        for (const bytes of data instanceof Uint8Array ? [data] : data) cost += meter.read(bytes);
        // What is thrown in here cuts the connection.
        onData(data);
      } catch (error) {
        refused(muxer, error instanceof Error && error.name === "MeterError" ? "oversize" : "garbage");
        throw error;
      }
      if (streams.take(meter.opened()) > 0) {
        refused(muxer, "streams");
        throw new Error("the peer opens more streams than it may");
      }
      const pause = allowance.take(cost);
      if (pause === 0) {
        slowedSince = undefined;
        return;
      }
      slowedSince ??= monotonic();
      if (monotonic() - slowedSince > patience) {
        refused(muxer, "flood");
        throw new Error("the peer sends more than it may");
      }
      slowDown(connection, pause);
    };
  }
}

function slowDown(connection: Connection, pause: number): void {
  if (connection.status !== "open") return;
  connection.pause();
  setTimeout(() => {
    if (connection.status === "open") connection.resume();
  }, pause);
}
