import type { PubSubRules } from "../../../../src/contracts/settings.ts";
import type { LocalTopics } from "../../../../services/pubsub/cluster/cluster.ts";
import { MeshCluster, type MeshClusterOptions } from "../../../../services/pubsub/cluster/mesh_cluster.ts";
import { PubSubService } from "../../../../services/pubsub/service.ts";
import type { Network, SimulatedMesh } from "./network.ts";
import type { Chance } from "./random.ts";
import type { Registry } from "./registry.ts";
import { ProcessClock, type Time } from "./time.ts";

/** What all gateways of a simulation share. */
export interface Surroundings {
  readonly time: Time;
  readonly chance: Chance;
  readonly network: Network;
  readonly registry: Registry;
  readonly rules: PubSubRules;
  /** Makes what is simulated. */
  readonly make: (options: MeshClusterOptions) => MeshCluster;
}

/** Rules of a namespace in which nothing expires before it must. */
export const RULES: PubSubRules = {
  maxMessageBytes: 2 ** 16,
  historySize: 10_000,
  historyTtl: 3_600_000,
  maxHistoryBytes: 2 ** 24,
  publishRate: 0,
  maxSockets: 1_000,
  maxTopics: 1_000,
  maxTopicsPerSocket: 1_000,
  credentialShare: 100,
  guestShare: 100,
  maxQueueBytes: 2 ** 22,
  slowPolicy: "drop",
  maxMetaBytes: 4_096,
  origins: undefined,
};

const SECRET = new Uint8Array(32).fill(7);

/** One process of a gateway. */
export class Process {
  readonly cluster: MeshCluster;
  readonly service: PubSubService;
  readonly mesh: SimulatedMesh;
  readonly clock: ProcessClock;
  /** Whether clients may come. */
  isOpen = true;
  #closing: Promise<void> | undefined;

  constructor(readonly gateway: Gateway, { time, chance, network, registry, rules, make }: Surroundings) {
    this.mesh = network.mesh(gateway.node);
    this.clock = new ProcessClock(time, chance.between(0.99, 1.01), chance.between(-60_000, 60_000));
    let cluster: MeshCluster | undefined;
    this.service = new PubSubService({
      cluster: (local: LocalTopics) =>
        cluster = make({
          mesh: this.mesh,
          registry: registry.from(() => gateway.isCutOff || gateway.isAlone),
          local,
          clock: this.clock,
          random: chance.next,
          secret: SECRET,
        }),
      rulesOf: () => rules,
      driver: "simulated",
      clock: this.clock,
      onError: (_, error) => {
        throw error;
      },
    });
    this.cluster = cluster!;
    void this.cluster.start();
  }

  get isAlive(): boolean {
    return this.clock.alive;
  }

  /** Ends as somebody pulls a plug. @param silence milliseconds for which nobody may notice */
  kill(silence: number): void {
    this.isOpen = false;
    this.clock.alive = false;
    this.mesh.kill(silence);
  }

  /** Ends as it should. */
  close(): Promise<void> {
    this.isOpen = false;
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.cluster.close();
    await this.service.close();
    this.clock.alive = false;
  }
}

/** A gateway, which may be several processes, one after the other. */
export class Gateway {
  process: Process | undefined;
  /** Whether it cannot ask the control plane. */
  isCutOff = false;
  /** The same, for longer. */
  isAlone = false;

  constructor(readonly node: string, private readonly around: Surroundings) {}

  /** Begins, unless it runs. */
  start(): Process {
    if (this.process?.isAlive) return this.process;
    return this.process = new Process(this, this.around);
  }
}
