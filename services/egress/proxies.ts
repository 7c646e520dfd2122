import { createHmac } from "node:crypto";
import { EgressFailure } from "../../src/contracts/egress.ts";
import type { EgressFigures } from "../../src/contracts/egress.ts";
import { abortable } from "../clock/abortable.ts";
import { HopFailure, type Hops, type SocksProxy } from "./parts.ts";

/** A proxy as it is configured. */
export interface ConfiguredProxy extends SocksProxy {
  /** What it is called in metrics and in the log: nothing of it is secret. */
  readonly name: string;
  /** For all namespaces; without them each has its own. */
  readonly credentials?: Credentials | undefined;
}

/** What a proxy is told who comes (RFC 1929). */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** What looking after proxies takes. */
export interface ProxiesOptions {
  readonly proxies: readonly ConfiguredProxy[];
  readonly hops: Pick<Hops, "probe">;
  /** 32 bytes, the same on every gateway: what namespaces' credentials come of. */
  readonly key: Uint8Array;
  /** Milliseconds between two handshakes with each. */
  readonly interval: number;
  /** Told when one answers, when one is lost that did, and when one does not answer at the first try. */
  readonly onChange: (name: string, state: "back" | "lost" | "absent", error?: unknown) => void;
}

interface State {
  readonly proxy: ConfiguredProxy;
  /** `undefined`: nobody has tried yet. */
  healthy: boolean | undefined;
  /** Whether it ever answered. */
  seen: boolean;
  latency: number | undefined;
  /** Why the last handshake failed. */
  failure: unknown;
  /** Whether a request could not be sent by it since. */
  isDoubted: boolean;
  handshake: Promise<void> | undefined;
}

/** Milliseconds that a handshake may take. */
const HANDSHAKE = 3_000;

/**
 * The anonymous proxies, in the order in which they are preferred. Handshakes alone tell which of them answer: what a request comes to is
 * in the hands of whoever sent it, and of its target, so that one of them could else take a proxy away from all others.
 */
export class Proxies {
  readonly #options: ProxiesOptions;
  readonly #states: readonly State[];
  readonly #end = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: ProxiesOptions) {
    this.#options = options;
    this.#states = options.proxies.map((proxy) => ({
      proxy,
      healthy: undefined,
      seen: false,
      latency: undefined,
      failure: undefined,
      isDoubted: false,
      handshake: undefined,
    }));
  }

  /** Shakes hands with each from now on, every so often. */
  start(): void {
    if (this.#states.length === 0 || this.#timer) return;
    void this.probe();
    this.#timer = setInterval(() => void this.probe(), this.#options.interval);
    Deno.unrefTimer(Number(this.#timer));
  }

  /** Shakes hands with each, now, or waits for those that do already. Never rejects. */
  async probe(): Promise<void> {
    await Promise.all(this.#states.map((state) => this.#shake(state)));
  }

  /** `absent`: none has ever answered, as where there is none; `lost`: one did, and none does now. */
  get state(): "unknown" | "ok" | "lost" | "absent" {
    if (this.#states.some(({ healthy }) => healthy)) return "ok";
    if (this.#states.some(({ seen }) => seen)) return "lost";
    return this.#states.some(({ healthy }) => healthy === undefined) ? "unknown" : "absent";
  }

  figures(): EgressFigures["proxies"] {
    return this.#states.map(({ proxy: { name }, healthy, latency }) => ({ name, healthy: healthy === true, latency }));
  }

  /**
   * Tries one after the other until one does its part. What fails behind a proxy is not the proxy's fault, and is not tried again.
   * @param once whether it can be tried with one alone
   * @throws EgressFailure `EGRESS_PROXY_UNAVAILABLE`, the signal's reason, and whatever else the try throws
   */
  async through<T>(
    namespace: string,
    once: boolean,
    attempt: (way: ProxyWay) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    let failure: unknown;
    for await (const state of this.#candidates(signal)) {
      const { host, port } = state.proxy;
      try {
        return await attempt({ proxy: { host, port }, ...this.credentialsOf(namespace, state.proxy) });
      } catch (error) {
        if (!(error instanceof HopFailure) || error.code !== "EGRESS_PROXY_UNAVAILABLE") throw error;
        // It is asked itself, and until it answers the others come first.
        state.isDoubted = true;
        void this.#shake(state);
        failure = error;
        if (once) break;
      }
    }
    throw new EgressFailure(
      "EGRESS_PROXY_UNAVAILABLE",
      this.#states.length === 0
        ? "no anonymous proxy is configured on this gateway"
        : "no anonymous proxy can be reached; nothing was sent",
      failure ?? this.#states.find((state) => state.failure !== undefined)?.failure,
    );
  }

  /**
   * Those that did not fail the last handshake; then those of the others that answer one now. One that hangs would otherwise take all of
   * a request's time, and one that is back is found by the first who needs it.
   */
  async *#candidates(signal: AbortSignal): AsyncGenerator<State> {
    const down = this.#states.filter(({ healthy }) => healthy === false);
    const rank = ({ isDoubted }: State) => isDoubted ? 1 : 0;
    yield* this.#states.filter((state) => !down.includes(state)).sort((a, b) => rank(a) - rank(b));
    for (const { state, handshake } of down.map((state) => ({ state, handshake: this.#shake(state) }))) {
      await abortable(handshake, signal);
      if (state.healthy) yield state;
    }
  }

  /** The same for a namespace at any time, on every gateway; told apart from others' by nobody but the proxy. */
  credentialsOf(namespace: string, { credentials }: Pick<ConfiguredProxy, "credentials">): Credentials {
    if (credentials) return credentials;
    const digest = createHmac("sha256", this.#options.key).update(`socks\0${namespace}`).digest("hex");
    return { username: digest.slice(0, 32), password: digest.slice(32) };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#end.abort();
  }

  /** One handshake at a time, whoever asks for it. Never rejects. */
  #shake(state: State): Promise<void> {
    return state.handshake ??= this.#probe(state).finally(() => state.handshake = undefined);
  }

  async #probe(state: State): Promise<void> {
    const { host, port } = state.proxy;
    try {
      const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(HANDSHAKE)]);
      state.latency = await this.#options.hops.probe({ host, port }, this.credentialsOf("", state.proxy), signal);
      this.#tell(state, true);
    } catch (error) {
      if (this.#end.signal.aborted) return;
      // What sends is not there, which says nothing of the proxy.
      if (error instanceof HopFailure && error.code === "EGRESS_UNAVAILABLE") return;
      state.latency = undefined;
      this.#tell(state, false, error);
    }
  }

  #tell(state: State, healthy: boolean, error?: unknown): void {
    const changed = state.healthy !== healthy;
    state.failure = error;
    state.isDoubted = false;
    state.healthy = healthy;
    state.seen ||= healthy;
    if (changed) this.#options.onChange(state.proxy.name, healthy ? "back" : state.seen ? "lost" : "absent", error);
  }
}

/** A proxy, and who is said to come. */
export type ProxyWay = { readonly proxy: SocksProxy } & Credentials;
