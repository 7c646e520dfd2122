import type {
  Payload,
  Published,
  PublishOptions,
  PubSub,
  SubscribeOptions,
  Subscription,
} from "../../src/contracts/pubsub.ts";
import { Alone } from "../../services/pubsub/cluster/alone.ts";
import { PubSubService } from "../../services/pubsub/service.ts";
import { FakeClock } from "../unit/cache/support/fake_clock.ts";
import { Listener, requestOf, RULES, text } from "../unit/pubsub/support/subject.ts";
import { World } from "../unit/pubsub_cluster/support/world.ts";

/** Where every scenario runs. */
export interface PubSubUnderTest {
  readonly name: string;
  start(): Promise<PubSubCaller>;
}

/** Gateways, and time that passes when it is told to. */
interface Gateways {
  readonly all: readonly PubSub[];
  pass(ms: number): Promise<void>;
}

/** Longer than anything takes that gateways have to tell each other. */
const SETTLED = 3_000;

/** Clients of some gateways, on which everything has arrived whenever a call is over. */
export class PubSubCaller {
  constructor(private readonly gateways: Gateways) {}

  /** The first of them, or whichever number is said: the same one again where there are fewer. */
  gateway(number = 0): PubSub {
    const { all } = this.gateways;
    return all[number % all.length]!;
  }

  /** Lets pass what gateways take to tell each other. */
  settle(): Promise<void> {
    return this.gateways.pass(SETTLED);
  }

  /** Waits for what takes time. */
  async during<Answer>(call: Promise<Answer>): Promise<Answer> {
    // What it throws is for the caller, however long that comes after.
    call.catch(() => {});
    await this.settle();
    return await call;
  }

  async subscribe(
    topic: string,
    options: SubscribeOptions = {},
    { at = 0, namespace = "n" }: { readonly at?: number; readonly namespace?: string } = {},
  ): Promise<{ readonly listener: Listener; readonly subscription: Subscription }> {
    const listener = new Listener();
    const call = this.gateway(at).subscribe(namespace, topic, listener, options, requestOf());
    return { listener, subscription: await this.during(call) };
  }

  async publish(
    topic: string,
    messages: string | readonly (string | Payload)[],
    options: PublishOptions = {},
    { at = 0, namespace = "n" }: { readonly at?: number; readonly namespace?: string } = {},
  ): Promise<Published> {
    const payloads = [messages].flat().map((one) => typeof one === "string" ? text(one) : one);
    const published = await this.gateway(at).publish(namespace, topic, payloads, options, requestOf());
    await this.settle();
    return published;
  }
}

/** A gateway by itself, and two that hear of each other over a network that delays everything. */
export const PUBSUBS: readonly PubSubUnderTest[] = [
  {
    name: "one gateway",
    start() {
      const clock = new FakeClock();
      const service = new PubSubService({
        cluster: (topics) => new Alone({ topics, epoch: () => 1 }),
        rulesOf: () => RULES,
        driver: "local",
        clock,
        onError: (_, error) => {
          throw error;
        },
      });
      return Promise.resolve(new PubSubCaller({ all: [service], pass: (ms) => clock.advance(ms) }));
    },
  },
  {
    name: "two gateways",
    async start() {
      const world = new World({ rules: RULES });
      const gateways = await world.gateways(2);
      const all = gateways.map(({ process }) => process!.service);
      return new PubSubCaller({ all, pass: (ms) => world.time.pass(ms) });
    },
  },
];
