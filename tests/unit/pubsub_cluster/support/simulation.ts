import { MeshCluster, type MeshClusterOptions } from "../../../../services/pubsub/cluster/mesh_cluster.ts";
import { Client, NAMESPACE, type Published } from "./client.ts";
import { Gateway, type Process, RULES, type Surroundings } from "./gateway.ts";
import { check, type Truth } from "./history.ts";
import { Network } from "./network.ts";
import { Chance } from "./random.ts";
import { Registry } from "./registry.ts";
import { Time } from "./time.ts";

/** What may be another way than usual. */
export interface SimulationOptions {
  readonly make?: (options: MeshClusterOptions) => MeshCluster;
}

/** What came of a simulation. */
export interface Outcome {
  /** What must not be. */
  readonly wrong: readonly string[];
  /** What happened, by name. */
  readonly counts: ReadonlyMap<string, number>;
}

const TOPICS = ["prices", "a/b c"];

/** Several gateways and clients for some minutes of a bad day, then of a good one; the same for the same seed. */
export class Simulation {
  readonly #time = new Time();
  readonly #chance: Chance;
  readonly #network: Network;
  readonly #registry: Registry;
  readonly #gateways: readonly Gateway[];
  readonly #clients: readonly Client[];
  readonly #published: Published = new Map(TOPICS.map((topic) => [topic, new Map()]));
  readonly #counts = new Map<string, number>();
  readonly #times = new Map<string, number>();

  readonly #isFlooded: boolean;
  /** Whether the network is whole, but for what a gateway's end does. */
  readonly #isCalm: boolean;

  constructor(seed: number, { make = (options) => new MeshCluster(options) }: SimulationOptions = {}) {
    const time = this.#time;
    const chance = this.#chance = new Chance(seed);
    const network = this.#network = new Network(time, chance);
    const registry = this.#registry = new Registry(time, chance);
    const rules = { ...RULES, historySize: chance.pick([10_000, 10_000, 10_000, 5]) };
    const rate = chance.pick([undefined, undefined, { messages: 100, bytes: 2 ** 20, burst: 1 }]);
    this.#isFlooded = rate !== undefined;
    const bounded = (options: MeshClusterOptions) => make({ ...options, rate });
    const around: Surroundings = { time, chance, network, registry, rules, make: bounded };
    this.#isCalm = chance.happens(0.4);
    network.maxBytes = chance.pick([2 ** 17, 1_600]);
    registry.loss = chance.pick([0, 0, 0.05]);
    this.#gateways = Array.from({ length: chance.pick([2, 3, 3, 4]) }, (_, i) => new Gateway(`g${i + 1}`, around));
    this.#clients = Array.from(
      { length: chance.integer(4, 7) },
      (_, i) => {
        const name = `c${i + 1}`;
        const topics = chance.happens(0.5) ? TOPICS : [chance.pick(TOPICS)];
        return new Client(name, topics, this.#published, time, chance.pick(["anna", "ben", name]));
      },
    );
  }

  /** @throws whatever is thrown where nothing may be */
  async run(): Promise<Outcome> {
    const chance = this.#chance;
    this.#network.weather = {
      delay: chance.between(2, 80),
      loss: chance.pick([0, 0.05, 0.3]),
      twice: chance.pick([0, 0.2]),
      late: chance.pick([0, 0.1]),
    };
    for (const gateway of this.#gateways) this.#time.after(chance.between(0, 3_000), () => gateway.start());
    await this.#time.pass(3_500);
    for (const client of this.#clients) this.#connect(client);
    const minutes = chance.pick([20_000, 40_000, 130_000]);
    // So long that one which is alone is held for lost, and lives.
    if (minutes > 100_000 && chance.happens(0.6)) this.#leaveAlone(chance.pick(this.#gateways));
    const end = this.#time.now + minutes;
    while (this.#time.now < end) {
      this.#something();
      await this.#time.pass(chance.happens(0.9) ? chance.between(0, 250) : chance.between(0, 5_000));
    }
    await this.#heal();
    return { wrong: this.#judge(), counts: this.#counts };
  }

  #leaveAlone(gateway: Gateway): void {
    const change = (isAlone: boolean) => {
      gateway.isAlone = isAlone;
      this.#network.isolate(isAlone ? gateway.node : undefined);
    };
    const from = this.#chance.between(0, 20_000);
    this.#time.after(from, () => change(true));
    this.#time.after(from + this.#chance.between(70_000, 100_000), () => change(false));
  }

  #something(): void {
    const chance = this.#chance;
    const what = chance.next();
    if (what < 0.52) this.#publish(chance.pick(this.#clients));
    else if (what < 0.58) this.#publishAnywhere();
    else if (what < 0.66) this.#disconnect(chance.pick(this.#clients));
    else if (what < 0.78) this.#connect(chance.pick(this.#clients));
    else if (what < 0.8) this.#network.reset(chance.pick(this.#gateways).node, chance.pick(this.#gateways).node);
    else if (what < 0.815) this.#kill(chance.pick(this.#gateways));
    else if (what < 0.825) this.#stop(chance.pick(this.#gateways));
    else if (what < 0.88) chance.pick(this.#gateways).start();
    else if (what < 0.9) chance.pick(this.#gateways).process?.mesh.replay();
    else if (what < 0.905) this.#jump(chance.pick(this.#gateways));
    else if (what < 0.91) this.#pause(chance.pick(this.#gateways));
    else if (what < 0.94) this.#reachAll();
    else if (what < 0.97) this.#network.heal();
    else if (this.#isCalm) return;
    else if (what < 0.985) this.#network.cut(chance.pick(this.#gateways).node, chance.pick(this.#gateways).node);
    else if (what < 0.992) this.#divide();
    else this.#cutOff();
  }

  #publish(client: Client): void {
    const { process } = client;
    if (process === undefined || !process.isOpen) return;
    const topic = this.#chance.pick(client.topics);
    for (let left = this.#chance.pick([1, 1, 2, 20]); left > 0; left--) this.#publishOne(process, topic);
  }

  /** Where perhaps nobody is subscribed. */
  #publishAnywhere(): void {
    const { process } = this.#chance.pick(this.#gateways);
    if (process?.isOpen) this.#publishOne(process, this.#chance.pick(TOPICS));
  }

  #publishOne(process: Process, topic: string): void {
    const { epoch } = process.cluster;
    if (epoch === undefined) return;
    const id = `m${this.#times.size + 1}`;
    this.#times.set(id, this.#time.now);
    const published = this.#published.get(topic)!;
    const ids = published.get(epoch);
    if (ids === undefined) published.set(epoch, [id]);
    else ids.push(id);
    const request = { requestId: id, signal: new AbortController().signal, clientAddress: "", caller: "somebody" };
    const data = new TextEncoder().encode(id + " ".repeat(this.#chance.pick([0, 0, 400])));
    process.service.publish(NAMESPACE, topic, [{ data, json: false }], {}, request);
    this.#count("published");
  }

  /** Most come back in a moment. */
  #disconnect(client: Client): void {
    client.disconnect();
    if (this.#chance.happens(0.7)) this.#time.after(this.#chance.between(50, 3_000), () => this.#connect(client));
  }

  #connect(client: Client): void {
    const open = this.#gateways.flatMap(({ process }) => process?.isOpen ? [process] : []);
    if (open.length > 0) client.connect(this.#chance.pick(open));
  }

  #divide(): void {
    this.#count("divided");
    this.#network.divide(new Map(this.#gateways.map(({ node }) => [node, this.#chance.integer(0, 1)])));
  }

  #kill(gateway: Gateway): void {
    const { process } = gateway;
    if (!process?.isAlive) return;
    this.#count("killed");
    if (this.#chance.happens(0.6)) this.#time.after(this.#chance.between(100, 5_000), () => gateway.start());
    process.kill(this.#chance.pick([50, 12_000]));
    for (const client of this.#clients) if (client.process === process) client.disconnect(true);
  }

  #stop({ process }: Gateway): void {
    if (!process?.isOpen) return;
    this.#count("stopped");
    for (const client of this.#clients) if (client.process === process) client.disconnect();
    void process.close();
  }

  #cutOff(): void {
    if (this.#chance.happens(0.3)) this.#registry.down = true;
    else this.#chance.pick(this.#gateways).isCutOff = true;
  }

  #reachAll(): void {
    this.#registry.down = false;
    for (const gateway of this.#gateways) gateway.isCutOff = false;
  }

  #jump({ process }: Gateway): void {
    if (process !== undefined) process.clock.ahead += this.#chance.between(-600_000, 600_000);
  }

  /** It is not let run for a while: nothing of it happens that has a time. */
  #pause({ process }: Gateway): void {
    if (!process?.isAlive) return;
    this.#count("paused");
    const { end } = process.clock.pause();
    this.#time.after(this.#chance.pick([500, 8_000, 90_000]), end);
  }

  /** Everything is as it should be, long enough for everyone to know. */
  async #heal(): Promise<void> {
    this.#network.heal();
    this.#reachAll();
    this.#registry.loss = 0;
    await this.#time.pass(10_000);
    // Some stay away for good.
    for (const gateway of this.#gateways) if (this.#chance.happens(0.7)) gateway.start();
    this.#gateways[0]!.start();
    await this.#time.pass(95_000);
    for (const client of this.#clients) if (client.process?.isOpen !== true) this.#connect(client);
    await this.#time.pass(2_000);
    for (const client of this.#clients) this.#publish(client);
    await this.#time.pass(15_000);
  }

  #judge(): string[] {
    const states = (state: string) =>
      new Set(this.#registry.rows.filter((row) => row.state === state).map(({ number }) => number));
    const present = new Map(TOPICS.map((topic) => {
      const members = this.#clients.filter((client) => client.present.includes(topic));
      return [topic, new Map([...Map.groupBy(members, ({ member }) => member)].map(([id, of]) => [id, of.length]))];
    }));
    const truth: Truth = {
      published: this.#published,
      times: this.#times,
      lost: states("lost"),
      open: states("open"),
      present,
    };
    const wrong: string[] = [];
    for (const client of this.#clients) {
      for (const history of client.histories.values()) {
        wrong.push(...check(history, truth));
        if (!history.isThere) wrong.push(`${client.name} is not subscribed to ${history.topic}`);
        for (const seen of history.seen) {
          this.#count(seen.type === "gap" ? `gap ${seen.reason}` : seen.type);
        }
      }
      for (const [outcome, count] of client.outcomes) this.#count(`subscribed: ${outcome}`, count);
    }
    const alive = this.#gateways.flatMap(({ process }) => process?.isOpen ? [process] : []);
    for (const { service, gateway, cluster } of alive) {
      for (const topic of TOPICS) {
        const found = service.members(NAMESPACE, topic).map(({ id, connections }) => `${id}:${connections}`).sort();
        const expected = Array.from(present.get(topic)!, ([id, connections]) => `${id}:${connections}`).sort();
        if (`${found}` !== `${expected}`) {
          wrong.push(`${gateway.node} sees ${found} in ${topic}, there are ${expected}`);
        }
      }
      const open = [...cluster.view.open].sort().join();
      const expected = [...truth.open].sort().join();
      if (open !== expected) wrong.push(`${gateway.node} holds ${open} for open, it is ${expected}`);
      const { refused } = cluster.figures();
      if (refused > 0 && !this.#isFlooded) wrong.push(`${gateway.node} refused ${refused}`);
      this.#count("duplicates", cluster.figures().duplicates);
    }
    this.#count("events", this.#time.events);
    return wrong;
  }

  #count(what: string, more = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + more);
  }
}
