import type { Mesh, MeshHandler, NodeId } from "../../../../services/pubsub/mesh/mesh.ts";
import type { Chance } from "./random.ts";
import type { Time } from "./time.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How bad a network is. Shares from 0 to 1, times in milliseconds. */
export interface Weather {
  readonly delay: number;
  readonly loss: number;
  readonly twice: number;
  /** How often a message comes much later than those after it. */
  readonly late: number;
}

/** A connection between two gateways, with what each of them knows of it. */
interface Link {
  readonly ends: readonly [SimulatedMesh, SimulatedMesh];
  readonly up: Set<SimulatedMesh>;
  broken: boolean;
  readonly arrivals: Map<SimulatedMesh, number>;
  readonly asks: Map<SimulatedMesh, Set<(error: Error) => void>>;
}

/** A network between gateways that can be cut. */
export class Network {
  readonly #meshes = new Map<NodeId, SimulatedMesh>();
  readonly #links = new Set<Link>();
  readonly #cuts = new Set<string>();
  #part: ReadonlyMap<NodeId, number> = new Map();
  #alone: NodeId | undefined;
  #dials = 0;
  /** Of a message, frame, question or answer. */
  maxBytes = 2 ** 17;
  weather: Weather = { delay: 20, loss: 0, twice: 0, late: 0 };

  constructor(readonly time: Time, readonly chance: Chance) {}

  /** A process of a gateway. */
  mesh(node: NodeId): SimulatedMesh {
    return new SimulatedMesh(this, node);
  }

  /** Divides the gateways: those with different numbers do not reach each other. Without arguments it is healed. */
  divide(parts: ReadonlyMap<NodeId, number> = new Map()): void {
    this.#part = parts;
    this.#change();
  }

  cut(a: NodeId, b: NodeId): void {
    this.#cuts.add(pair(a, b));
    this.#change();
  }

  /** Puts one where nobody reaches it, whatever heals, until another is put there or none. */
  isolate(node: NodeId | undefined): void {
    this.#alone = node;
    this.#change();
  }

  /** Mends what was cut and divided. */
  heal(): void {
    this.#cuts.clear();
    this.divide();
  }

  /** Breaks a connection that comes back at once. */
  reset(a: NodeId, b: NodeId): void {
    for (const link of this.#links) if (pair(...names(link)) === pair(a, b)) this.#break(link, 50);
    this.#dial();
  }

  /** @internal */
  started(mesh: SimulatedMesh): void {
    this.#meshes.set(mesh.node, mesh);
    this.#dial();
  }

  /** @internal @param silence how long the others do not notice, at most */
  gone(mesh: SimulatedMesh, silence: number): void {
    if (this.#meshes.get(mesh.node) === mesh) this.#meshes.delete(mesh.node);
    for (const link of this.#links) if (link.ends.includes(mesh)) this.#break(link, silence);
  }

  /** @internal */
  linkOf(mesh: SimulatedMesh, node: NodeId): Link | undefined {
    for (const link of this.#links) {
      if (link.up.has(mesh) && link.ends.some((end) => end !== mesh && end.node === node)) return link;
    }
    return undefined;
  }

  /** @internal Who is reached by a message, over however many hops. */
  reached(from: SimulatedMesh): Set<SimulatedMesh> {
    const found = new Set([from]);
    for (const mesh of found) {
      for (const other of this.#meshes.values()) {
        if (!found.has(other) && this.#reaches(mesh.node, other.node)) found.add(other);
      }
    }
    found.delete(from);
    return found;
  }

  /** @internal When something that is sent now arrives over a link: behind what was sent before. */
  arrival(link: Link, from: SimulatedMesh): number {
    const at = Math.max(link.arrivals.get(from) ?? 0, this.time.now + this.chance.between(0.1, this.weather.delay));
    link.arrivals.set(from, at);
    return at - this.time.now;
  }

  #reaches(a: NodeId, b: NodeId): boolean {
    return a !== this.#alone && b !== this.#alone && !this.#cuts.has(pair(a, b)) &&
      (this.#part.get(a) ?? 0) === (this.#part.get(b) ?? 0);
  }

  #change(): void {
    for (const link of this.#links) if (!this.#reaches(...names(link))) this.#break(link, 12_000);
    this.#dial();
  }

  /** Nothing passes any more; each side notices in its own time. */
  #break(link: Link, silence: number): void {
    if (link.broken) return;
    link.broken = true;
    // Most ends are noticed at once: a reset. Some are not: packets vanish.
    const notice = this.chance.happens(0.3) ? silence : Math.min(silence, 50);
    for (const end of link.ends) this.time.after(this.chance.between(0, notice), () => this.#drop(link, end));
  }

  #drop(link: Link, end: SimulatedMesh): void {
    const asks = [...link.asks.get(end) ?? []];
    link.asks.delete(end);
    for (const fail of asks) fail(new Error("the link is gone"));
    const wasUp = link.up.delete(end);
    if (wasUp && end.alive) end.handler?.unlinked(link.ends.find((other) => other !== end)!.node);
    if (link.up.size === 0 || link.ends.every((end) => !end.alive || !link.up.has(end))) this.#links.delete(link);
    this.#dial();
  }

  #dial(): void {
    const number = ++this.#dials;
    this.time.after(this.chance.between(1, 200), () => {
      if (number !== this.#dials) return;
      const all = [...this.#meshes.values()];
      let missing = false;
      for (const [i, a] of all.entries()) {
        for (const b of all.slice(i + 1)) {
          const linked = [...this.#links].some((link) => pair(...names(link)) === pair(a.node, b.node));
          if (!linked && this.#reaches(a.node, b.node)) this.#connect(a, b);
          else if (linked && [...this.#links].some((link) => link.broken)) missing = true;
        }
      }
      if (missing) this.#dial();
    });
  }

  #connect(a: SimulatedMesh, b: SimulatedMesh): void {
    const link: Link = { ends: [a, b], up: new Set(), broken: false, arrivals: new Map(), asks: new Map() };
    this.#links.add(link);
    for (const [end, other] of [[a, b], [b, a]] as const) {
      const ms = this.chance.between(1, 100);
      // What the other side sends is not there before the link is.
      link.arrivals.set(other, this.time.now + ms + 0.001);
      this.time.after(ms, () => {
        if (link.broken || !end.alive) return;
        link.up.add(end);
        end.handler!.linked(other.node);
      });
    }
  }
}

const pair = (a: NodeId, b: NodeId) => a < b ? `${a} ${b}` : `${b} ${a}`;
const names = ({ ends: [a, b] }: Link) => [a.node, b.node] as const;

/** Messages that an attacker, or a bad network, may send again. */
const REMEMBERED = 50;

/** The network as one process of a gateway has it. */
export class SimulatedMesh implements Mesh {
  readonly maxBytes: number;
  handler: MeshHandler | undefined;
  alive = true;
  readonly #channels = new Map<string, number>();
  readonly #sent: { channel: string; bytes: Bytes }[] = [];

  constructor(private readonly network: Network, readonly node: NodeId) {
    this.maxBytes = network.maxBytes;
  }

  start(handler: MeshHandler): Promise<void> {
    this.handler = handler;
    this.network.started(this);
    return Promise.resolve();
  }

  join(channel: string): void {
    const { time, chance } = this.network;
    // Others hear of it a while later.
    if (!this.#channels.has(channel)) this.#channels.set(channel, time.now + chance.between(0, 300));
  }

  leave(channel: string): void {
    this.#channels.delete(channel);
  }

  publish(channel: string, bytes: Bytes): void {
    this.#sent.push({ channel, bytes });
    if (this.#sent.length > REMEMBERED) this.#sent.shift();
    this.#spread(channel, bytes);
  }

  /** Sends something again that was sent before. */
  replay(): void {
    const { chance } = this.network;
    if (this.#sent.length === 0) return;
    const { channel, bytes } = chance.pick(this.#sent);
    this.#spread(channel, bytes);
  }

  get links(): ReadonlySet<NodeId> {
    throw new Error("what is linked is told");
  }

  send(node: NodeId, bytes: Bytes): void {
    const { network } = this;
    const link = this.alive ? network.linkOf(this, node) : undefined;
    const other = link?.ends.find((end) => end !== this);
    if (link === undefined || other === undefined || link.broken) return;
    if (bytes.byteLength > this.maxBytes) throw new Error(`a frame of ${bytes.byteLength} bytes`);
    network.time.after(network.arrival(link, this), () => {
      if (!link.broken && other.alive && link.up.has(other)) other.handler!.frame(this.node, bytes.slice());
    });
  }

  ask(node: NodeId, question: Bytes, signal: AbortSignal): Promise<Bytes> {
    const { network } = this;
    const { time, chance } = network;
    const link = this.alive ? network.linkOf(this, node) : undefined;
    const other = link?.ends.find((end) => end !== this);
    if (link === undefined || other === undefined || signal.aborted) return Promise.reject(new Error("no link"));
    return new Promise((resolve, reject) => {
      let asks = link.asks.get(this);
      if (asks === undefined) link.asks.set(this, asks = new Set());
      asks.add(reject);
      signal.addEventListener("abort", () => reject(new Error("the time is over")), { once: true });
      const { delay } = network.weather;
      time.after(chance.between(0.1, delay), async () => {
        if (link.broken || !other.alive || !link.up.has(other)) return;
        try {
          const answer = await other.handler!.asked(this.node, question.slice());
          time.after(chance.between(0.1, delay), () => {
            if (link.broken || !this.alive) return;
            asks.delete(reject);
            resolve(answer.slice());
          });
        } catch (error) {
          time.after(chance.between(0.1, delay), () => reject(error));
        }
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) =>
      this.network.time.after(100, () => {
        this.kill(50);
        resolve();
      })
    );
  }

  /** The process is gone. @param silence milliseconds for which nobody may notice */
  kill(silence: number): void {
    if (!this.alive) return;
    this.alive = false;
    this.network.gone(this, silence);
  }

  #spread(channel: string, bytes: Bytes): void {
    const { network } = this;
    const { time, chance, weather } = network;
    if (!this.alive) return;
    for (const other of network.reached(this)) {
      const heard = other.#channels.get(channel);
      if (heard === undefined || heard > time.now) continue;
      if (chance.happens(weather.loss)) continue;
      for (let copies = chance.happens(weather.twice) ? 2 : 1; copies > 0; copies--) {
        const late = chance.happens(weather.late) ? 40 : 1;
        time.after(chance.between(0.1, weather.delay * late), () => {
          if (other.alive) other.handler!.received(channel, this.node, bytes.slice());
        });
      }
    }
  }
}
