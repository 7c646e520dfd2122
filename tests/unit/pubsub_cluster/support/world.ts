import { ok } from "node:assert/strict";
import type { PubSubRules } from "../../../../src/contracts/settings.ts";
import { MeshCluster } from "../../../../services/pubsub/cluster/mesh_cluster.ts";
import type { PeerRate } from "../../../../services/pubsub/cluster/rates.ts";
import { Client, NAMESPACE, type Published } from "./client.ts";
import { Gateway, type Process, RULES } from "./gateway.ts";
import { Network } from "./network.ts";
import { Chance } from "./random.ts";
import { Registry } from "./registry.ts";
import { Time } from "./time.ts";

/** The topic of whoever needs but one. */
export const TOPIC = "topic";
/** The same, as gateways call it. */
export const KEY = `${NAMESPACE}/${TOPIC}`;

/** A few gateways in good weather, in which a test makes something happen. */
export class World {
  readonly time = new Time();
  readonly chance = new Chance(1);
  readonly network = new Network(this.time, this.chance);
  readonly registry = new Registry(this.time, this.chance);
  readonly published: Published = new Map();
  readonly #around;

  constructor({ rules = RULES, rate }: { rules?: PubSubRules; rate?: PeerRate } = {}) {
    const { time, chance, network, registry } = this;
    this.#around = {
      time,
      chance,
      network,
      registry,
      rules,
      make: (options: ConstructorParameters<typeof MeshCluster>[0]) => new MeshCluster({ ...options, rate }),
    };
  }

  /** So many gateways that know each other. */
  async gateways(count: number): Promise<Gateway[]> {
    const all = Array.from({ length: count }, (_, i) => new Gateway(`g${i + 1}`, this.#around));
    for (const gateway of all) gateway.start();
    await this.time.pass(5_000);
    return all;
  }

  /** Another gateway, which does not run yet. */
  gateway(node: string): Gateway {
    return new Gateway(node, this.#around);
  }

  /** Somebody subscribed to {@link TOPIC}. */
  async client(name: string, process: Process): Promise<Client> {
    const client = new Client(name, [TOPIC], this.published, this.time);
    client.connect(process);
    await this.time.pass(1_500);
    ok(client.present.includes(TOPIC));
    return client;
  }

  publish(process: Process, ...texts: string[]): void {
    const { epoch } = process.cluster;
    ok(epoch !== undefined);
    let epochs = this.published.get(TOPIC);
    if (epochs === undefined) this.published.set(TOPIC, epochs = new Map());
    const ids = epochs.get(epoch) ?? [];
    epochs.set(epoch, ids);
    for (const text of texts) {
      ids.push(text);
      const request = { requestId: text, signal: new AbortController().signal, clientAddress: "", caller: "somebody" };
      const data = new TextEncoder().encode(text);
      process.service.publish(NAMESPACE, TOPIC, [{ data, json: false }], {}, request);
    }
  }
}

/** What a client saw of {@link TOPIC}, in words. */
export const sawOf = (client: Client): string[] =>
  client.histories.get(TOPIC)!.seen.map((seen) => {
    switch (seen.type) {
      case "message":
        return seen.id;
      case "gap":
        return `gap ${seen.reason}`;
      case "begin":
        return `begin${seen.why === undefined ? "" : ` ${seen.why}`}`;
      case "recovered":
        return "recovered";
      default:
        return `${seen.type} ${seen.member}`;
    }
  });

/** The same without who came and left. */
export const messagesOf = (client: Client): string[] => sawOf(client).filter((what) => !/^(join|leave) /.test(what));
