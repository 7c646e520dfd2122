import { Redis } from "ioredis";
import { keepPace, quantile } from "./pace.ts";

/** What is asked: one entry is read, written, or all of them are read together. */
export type OlricCommand = "get" | "put" | "mget";

/** What Olric gave without a gateway. */
export interface OlricMeasured {
  readonly perSecond: number;
  /** Milliseconds; with a rate, from when it was due. */
  readonly p50: number;
  readonly p99: number;
}

/** Asks Olric without a gateway, by the client that the gateway has. */
export class OlricClient implements Disposable {
  readonly #clients: readonly Redis[];

  constructor(
    address: string,
    readonly connections: number,
    private readonly entries: {
      readonly map: string;
      readonly keys: readonly string[];
      readonly value: string;
    },
  ) {
    const [host = "", port] = address.split(":");
    const options = {
      host,
      port: Number(port),
      protocol: 2,
      enableReadyCheck: false,
      disableClientInfo: true,
    } as const;
    this.#clients = Array.from({ length: connections }, () => new Redis(options));
  }

  /**
   * @param callers as many as are under way at once, over all connections
   * @param rate per second of all callers together; default: as many as are answered
   */
  async measure(command: OlricCommand, callers: number, { rate, seconds = 3 }: {
    readonly rate?: number | undefined;
    readonly seconds?: number;
  } = {}): Promise<OlricMeasured> {
    const interval = rate === undefined ? 0 : 1_000 * callers / rate;
    const start = performance.now(), until = start + seconds * 1_000, times: number[] = [];
    await Promise.all(Array.from({ length: callers }, (_, i) => {
      const send = this.#sender(command, this.#clients[i % this.connections]!, i);
      return keepPace({ begin: start + interval * i / callers, interval, until }, send, times);
    }));
    const perSecond = times.length / ((performance.now() - start) / 1_000);
    times.sort((a, b) => a - b);
    return { perSecond, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.disconnect();
  }

  #sender(command: OlricCommand, client: Redis, caller: number): () => Promise<unknown> {
    const { map, keys, value } = this.entries;
    const key = keys[caller % keys.length]!;
    switch (command) {
      case "get":
        return () => client.call("DM.GET", map, key);
      case "put":
        return () => client.call("DM.PUT", map, key, value);
      case "mget":
        return () => Promise.all(keys.map((one) => client.call("DM.GET", map, one)));
    }
  }
}
