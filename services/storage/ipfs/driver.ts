import type { CID } from "multiformats/cid";
import type { ServiceHealth } from "../../../src/contracts/health.ts";
import type {
  ByteRange,
  ContentKind,
  DagScope,
  DirectoryEntry,
  DirectoryFile,
  PinState,
} from "../../../src/contracts/storage.ts";
import { keyOf, parseCid, RAW } from "../car/cids.ts";
import { kindOf, readFile, resolve, writeCar } from "../car/read.ts";
import type { Added, ContentDriver, ContentInfo, PinOptions, Reach, Waiter } from "../driver.ts";
import { NodeBlocks } from "./blocks.ts";
import { Cluster } from "./cluster.ts";
import { ClusterPins } from "./cluster_pins.ts";
import { entriesOf } from "./entries.ts";
import { fateOf, notFound, tooWide, unavailable } from "./failures.ts";
import { HttpClient } from "./http.ts";
import { KuboNode } from "./kubo.ts";
import { KuboPins } from "./kubo_pins.ts";
import { Nodes } from "./nodes.ts";
import type { IpfsDriverOptions } from "./options.ts";
import { usableDelegates, usableOrigins } from "./origins.ts";
import type { Pins } from "./pins.ts";
import { Uploads } from "./uploads.ts";

/** The longest time for a connection to somebody who may have content, in milliseconds. */
const CONNECT_TIMEOUT = 5_000;
/** The longest time that a node has to say whether it has a block itself, in milliseconds. It takes one. */
const LOCAL_TIMEOUT = 2_000;

/** Content in Kubo nodes, kept by an IPFS Cluster, or without one by the nodes themselves. See `DESIGN.md`. */
export class IpfsDriver implements ContentDriver {
  readonly name = "ipfs";
  readonly #http = new HttpClient();
  readonly #closing = new AbortController();
  readonly #nodes: Nodes<KuboNode>;
  readonly #cluster: Cluster | undefined;
  readonly #pins: Pins;
  readonly #uploads: Uploads;
  readonly #timeout: number;
  readonly #maxEntries: number;
  readonly #privateOrigins: boolean;

  constructor(options: IpfsDriverOptions) {
    const { kubo, cluster: urls = [], timeout = 10_000, chunkSize = 262_144, pinTimeout = 600_000 } = options;
    const now = options.now ?? (() => performance.now());
    const { signal: closing } = this.#closing;
    const nodes = kubo.map((url) => new KuboNode(url, this.#http));
    this.#nodes = new Nodes(nodes, now, (node) => node.alive(closing));
    this.#timeout = timeout;
    this.#maxEntries = options.maxEntries ?? 100_000;
    this.#privateOrigins = options.privateOrigins ?? false;
    this.#uploads = new Uploads({ nodes: this.#nodes, timeout, chunkSize, maxEntries: this.#maxEntries });
    if (urls.length === 0) this.#pins = new KuboPins({ nodes: this.#nodes, timeout, pinTimeout, closing });
    else {
      const { clusterUsername: username, clusterPassword: password } = options;
      this.#cluster = new Cluster({ urls, username, password, timeout, now }, this.#http, closing);
      this.#pins = new ClusterPins(this.#cluster, now);
    }
  }

  /** @inheritdoc */
  add(content: AsyncIterable<Uint8Array>, waiter: Waiter): Promise<Added> {
    return this.#uploads.file(content, waiter);
  }

  /** @inheritdoc */
  addDirectory(
    files: AsyncIterable<DirectoryFile>,
    waiter: Waiter,
  ): Promise<{ readonly root: Added; readonly files: readonly (Added & { readonly path: string })[] }> {
    return this.#uploads.directory(files, waiter);
  }

  /** @inheritdoc */
  importCar(car: AsyncIterable<Uint8Array>, waiter: Waiter): Promise<Added & { readonly kind: ContentKind }> {
    return this.#uploads.car(car, waiter);
  }

  /** @inheritdoc */
  async look(cid: string, path: readonly string[], reach: Reach, waiter: Waiter): Promise<ContentInfo> {
    const root = canonical(cid);
    if (reach === "network") return await this.#inspect(root, path, this.#blocks(true), waiter.signal);
    try {
      return await this.#inspect(root, path, this.#blocks(false), waiter.signal);
    } catch (error) {
      // What the Cluster keeps may be at a peer whose Kubo is not one of those that are asked.
      if (this.#cluster === undefined || !await this.#pins.knows(root, waiter)) throw error;
      return await this.#inspect(root, path, this.#blocks(true), waiter.signal);
    }
  }

  /** @inheritdoc */
  async has(cid: string, { signal }: Waiter): Promise<boolean> {
    const block = canonical(cid), patience = { signal, timeout: Math.min(this.#timeout, LOCAL_TIMEOUT) };
    const told = await Promise.allSettled(this.#nodes.all.map((node) => node.blockSize(block, true, patience)));
    signal.throwIfAborted();
    if (told.some(({ status }) => status === "fulfilled")) return true;
    const silent = told.find((one) => one.status === "rejected" && fateOf(one.reason) !== "absent");
    if (silent !== undefined) throw unavailable((silent as PromiseRejectedResult).reason);
    return false;
  }

  /** @inheritdoc */
  async *read(
    cid: string,
    range: ByteRange | undefined,
    waiter: Waiter,
    lent?: boolean,
  ): AsyncGenerator<Uint8Array, void, void> {
    const blocks = this.#blocks(true);
    yield* readFile(blocks, canonical(cid), range, waiter.signal, lent ? (bytes) => blocks.release(bytes) : undefined);
  }

  /** @inheritdoc */
  async *entries(cid: string, waiter: Waiter): AsyncGenerator<DirectoryEntry, void, void> {
    const blocks = this.#blocks(true), end = new AbortController();
    const signal = AbortSignal.any([waiter.signal, end.signal]);
    try {
      let count = 0;
      for await (const one of entriesOf(blocks, canonical(cid), signal)) {
        if (++count > this.#maxEntries) throw tooWide(this.#maxEntries);
        yield one;
      }
    } catch (error) {
      waiter.signal.throwIfAborted();
      throw error;
    } finally {
      end.abort();
    }
  }

  /** @inheritdoc */
  async block(cid: string, waiter: Waiter): Promise<Uint8Array> {
    return await this.#blocks(true).get(canonical(cid), waiter.signal);
  }

  /** @inheritdoc */
  async *car(
    cid: string,
    path: readonly string[],
    scope: DagScope,
    waiter: Waiter,
  ): AsyncGenerator<Uint8Array, void, void> {
    yield* writeCar(this.#blocks(true), canonical(cid), path, scope, waiter.signal);
  }

  /** @inheritdoc */
  async pin(cid: string, options: PinOptions, waiter: Waiter): Promise<void> {
    const parsed = canonical(cid);
    const origins = usableOrigins(options.origins ?? [], this.#privateOrigins);
    await this.#connect(origins, waiter.signal);
    await this.#pins.pin(parsed, { ...options, origins }, waiter);
  }

  /** @inheritdoc */
  async unpin(cid: string, waiter: Waiter): Promise<void> {
    await this.#pins.unpin(canonical(cid), waiter);
  }

  /** @inheritdoc */
  async pinState(cid: string, waiter: Waiter): Promise<PinState> {
    return await this.#pins.state(canonical(cid), waiter);
  }

  /** @inheritdoc */
  async recover(cid: string, waiter: Waiter): Promise<void> {
    await this.#pins.recover(canonical(cid), waiter);
  }

  /** Of each node that answers, those first that it tells first; none of private networks unless they are allowed. */
  async delegates({ signal }: Waiter): Promise<readonly string[]> {
    const patience = { signal, timeout: this.#timeout };
    const told = await Promise.all(this.#nodes.all.map((node) => node.addresses(patience).catch(() => [])));
    return usableDelegates(told, this.#privateOrigins);
  }

  /** The sum of the repositories of all nodes; not known while one of them does not answer. */
  async held({ signal }: Waiter): Promise<number | undefined> {
    const patience = { signal, timeout: this.#timeout };
    const sizes = await Promise.allSettled(this.#nodes.all.map((node) => node.repositorySize(patience)));
    signal.throwIfAborted();
    let sum = 0;
    for (const size of sizes) {
      if (size.status === "rejected") return undefined;
      sum += size.value;
    }
    return sum;
  }

  /** @inheritdoc */
  async health(signal: AbortSignal): Promise<ServiceHealth> {
    const begin = performance.now();
    const [nodes, cluster] = await Promise.all([
      Promise.all(this.#nodes.all.map((node) => node.alive(signal))),
      this.#cluster?.health(signal),
    ]);
    const up = nodes.filter((alive) => alive).length, all = nodes.length;
    const problems = [
      ...up < all ? [`${all - up} of ${all} Kubo nodes do not answer`] : [],
      ...cluster && cluster.up < cluster.all
        ? [`${cluster.all - cluster.up} of ${cluster.all} peers of the cluster do not answer`]
        : [],
      ...cluster && cluster.unreachable > 0 ? [`the cluster does not reach ${cluster.unreachable} of its peers`] : [],
    ];
    const down = up === 0 || cluster?.up === 0;
    return {
      status: down ? "down" : problems.length > 0 ? "degraded" : "ok",
      driver: this.name,
      latency_ms: Math.round(performance.now() - begin),
      ...(problems.length > 0 && { reason: problems.join("; ") }),
      details: {
        kubo_nodes: all,
        kubo_nodes_up: up,
        ...(cluster && { cluster_peers: cluster.all, cluster_peers_up: cluster.up }),
      },
    };
  }

  /** @inheritdoc */
  close(): Promise<void> {
    this.#closing.abort();
    this.#http.close();
    return Promise.resolve();
  }

  #blocks(network: boolean): NodeBlocks {
    return new NodeBlocks(this.#nodes, this.#timeout, network);
  }

  async #inspect(root: CID, path: readonly string[], blocks: NodeBlocks, signal: AbortSignal): Promise<ContentInfo> {
    // A block of nothing but bytes need not be read to know how many there are.
    if (root.code === RAW) {
      if (path.length > 0) throw notFound(root, new Error("a path below a file"));
      return { cid: keyOf(root), kind: "file", size: await blocks.size(root, signal) };
    }
    const { cid, node } = await resolve(blocks, root, path, signal);
    const kind = kindOf(node);
    return { cid: keyOf(cid), kind, size: kind === "directory" ? 0 : node.size };
  }

  /** Beside what the Cluster does: its peers connect only when they begin to pin. Who cannot be reached is no failure. */
  async #connect(origins: readonly string[], signal: AbortSignal): Promise<void> {
    const [node] = this.#nodes.order();
    if (node === undefined || origins.length === 0) return;
    const patience = { signal, timeout: Math.min(this.#timeout, CONNECT_TIMEOUT) };
    await Promise.allSettled(origins.map((origin) => node.connect(origin, patience)));
    signal.throwIfAborted();
  }
}

/** Kubo and the Cluster take two versions of a CID for two pins. */
function canonical(text: string): CID {
  const cid = parseCid(text);
  return cid.version === 1 ? cid : cid.toV1();
}
