import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { PinOptions, Waiter } from "../driver.ts";
import { EngineError } from "./failures.ts";
import type { HttpClient } from "./http.ts";
import { linesOf } from "./kubo.ts";
import { type Node, Nodes } from "./nodes.ts";

/** What a peer says of a CID: how it goes with it at each peer. */
export interface ClusterStatus {
  readonly peer_map: Readonly<
    Record<string, { readonly peername: string; readonly status: string; readonly error: string }>
  >;
}

/** What is wanted of a CID. */
export interface ClusterAllocation {
  readonly name: string;
  readonly replication_factor_min: number;
  readonly replication_factor_max: number;
  /** Ids of the peers that are to have it; empty: all. */
  readonly allocations: readonly string[] | null;
  readonly origins: readonly string[] | null;
}

/** How to reach the peers. */
export interface ClusterOptions {
  readonly urls: readonly string[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Milliseconds for one question. */
  readonly timeout: number;
  readonly now: () => number;
}

/** The longest time that a peer has to say that it lives, in milliseconds. */
const PROBE_TIMEOUT = 1_500;

/** One answer: a status, and the JSON documents in its body. */
interface Answer {
  readonly status: number;
  readonly lines: readonly unknown[];
}

/**
 * The REST API of an IPFS Cluster (https://ipfscluster.io/documentation/reference/api), at the first peer that answers. Everything asked
 * of it may be repeated, so a peer that did not answer is followed by the next.
 *
 * Throws `GatewayError`: `UNAVAILABLE`, `INVALID_REQUEST` for numbers of copies that cannot be, and the reason of the waiter's signal.
 */
export class Cluster {
  readonly #http: HttpClient;
  readonly #timeout: number;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #peers: Nodes<Node>;

  /** @param closing fires when the driver ends */
  constructor({ urls, username, password, timeout, now }: ClusterOptions, http: HttpClient, closing: AbortSignal) {
    this.#http = http;
    this.#timeout = timeout;
    this.#authorization = username === undefined ? {} : {
      authorization: `Basic ${new TextEncoder().encode(`${username}:${password ?? ""}`).toBase64()}`,
    };
    const peers = urls.map((url) => ({ url: url.replace(/\/+$/, "") }));
    this.#peers = new Nodes<Node>(peers, now, (peer) => this.#alive(peer, closing));
  }

  /** Wants it kept, with these options and no others that it had before. */
  async pin(cid: CID, { name, replication: { min, max }, origins = [] }: PinOptions, waiter: Waiter): Promise<void> {
    const query = new URLSearchParams({ name, "replication-min": String(min), "replication-max": String(max) });
    if (origins.length > 0) query.set("origins", origins.join(","));
    const { status, lines } = await this.#ask("POST", `/pins/${cid}?${query}`, waiter.signal);
    if (status !== 200) throw refusal(status, lines);
  }

  /** @returns whether it was wanted, as far as the peer knew */
  async unpin(cid: CID, waiter: Waiter): Promise<boolean> {
    return await this.#known("DELETE", `/pins/${cid}`, waiter) !== undefined;
  }

  /** Has each peer try again. @returns whether it is wanted */
  async recover(cid: CID, waiter: Waiter): Promise<boolean> {
    return await this.#known("POST", `/pins/${cid}/recover`, waiter) !== undefined;
  }

  /** What is wanted; `undefined`: nothing. */
  async allocation(cid: CID, waiter: Waiter): Promise<ClusterAllocation | undefined> {
    return await this.#known("GET", `/allocations/${cid}`, waiter) as ClusterAllocation | undefined;
  }

  /** How it goes, whether it is wanted or not. */
  async status(cid: CID, waiter: Waiter): Promise<ClusterStatus> {
    return await this.#known("GET", `/pins/${cid}`, waiter) as ClusterStatus ?? { peer_map: {} };
  }

  /** How many of the peers that are configured answer, and how many others these do not reach. */
  async health(
    signal: AbortSignal,
  ): Promise<{ readonly up: number; readonly all: number; readonly unreachable: number }> {
    const { all } = this.#peers;
    const well = await Promise.all(all.map((peer) => this.#alive(peer, signal)));
    const up = all.filter((_, i) => well[i]);
    // One that hangs is waited for by the others when they are asked this.
    const told = up[0] && await this.#send(up[0], "GET", "/peers", signal, PROBE_TIMEOUT).catch(() => undefined);
    const lost = (told?.lines ?? []).filter((peer) => textOf(peer, "error") !== "");
    return { up: up.length, all: all.length, unreachable: lost.length };
  }

  /** What is known of a CID; `undefined`: it is not wanted. */
  async #known(method: "GET" | "POST" | "DELETE", path: string, { signal }: Waiter): Promise<unknown> {
    const { status, lines } = await this.#ask(method, path, signal);
    if (status === 404) return undefined;
    if (status !== 200) throw refusal(status, lines);
    return lines[0];
  }

  async #ask(method: "GET" | "POST" | "DELETE", path: string, signal: AbortSignal): Promise<Answer> {
    let cause: unknown;
    for (const peer of this.#peers.order()) {
      try {
        const answer = await this.#send(peer, method, path, signal);
        this.#peers.answered(peer);
        // A peer may be without its others, or its Kubo; the next may not.
        if (answer.status < 500 || isOwnFault(answer)) return answer;
        cause = new EngineError(answer.status, JSON.stringify(answer.lines));
      } catch (error) {
        signal.throwIfAborted();
        this.#peers.failed(peer);
        // Words say more than silence.
        cause ??= error;
      }
    }
    throw unavailable(cause);
  }

  async #send(
    peer: Node,
    method: "GET" | "POST" | "DELETE",
    path: string,
    signal: AbortSignal,
    timeout = this.#timeout,
  ): Promise<Answer> {
    const headers = this.#authorization;
    const answer = await this.#http.send({ method, url: peer.url + path, headers, timeout, signal });
    const lines: unknown[] = [];
    // 204 for an empty list. Of an error only the first document counts.
    for await (const line of linesOf(answer)) lines.push(line);
    return { status: answer.status === 204 ? 200 : answer.status, lines };
  }

  async #alive(peer: Node, signal: AbortSignal): Promise<boolean> {
    return await this.#send(peer, "GET", "/id", signal, PROBE_TIMEOUT).then(
      ({ status }) => status === 200,
      () => false,
    );
  }
}

const textOf = (value: unknown, member: string): string => {
  const text = typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[member] : "";
  return typeof text === "string" ? text : "";
};

/** A number of copies that no peer would accept. */
const isOwnFault = ({ lines }: Answer) => /replication_factor_min is larger/.test(textOf(lines[0], "message"));

function refusal(status: number, lines: readonly unknown[]): GatewayError {
  const message = textOf(lines[0], "message");
  const cause = new EngineError(status, message);
  if (/replication_factor_min is larger/.test(message)) {
    return new GatewayError("INVALID_REQUEST", "replication_min: must be no more than replication_max", { cause });
  }
  if (status === 401 || status === 403) {
    return new GatewayError("UNAVAILABLE", "the cluster refuses to serve this gateway", { cause });
  }
  return unavailable(cause);
}

function unavailable(cause: unknown): GatewayError {
  const few = cause instanceof EngineError && /not enough peers/.test(cause.message);
  const sentence = few ? "there are fewer peers than copies are wanted" : "the cluster cannot be reached now";
  return new GatewayError("UNAVAILABLE", sentence, { cause, retryAfter: few ? 30 : 1 });
}
