import { open, seal } from "../../../../services/auth/crypto/seal.ts";
import { ControlAuditLog } from "../../../../services/control_plane/audit.ts";
import type {
  ControlDatabase,
  ControlQuery,
  ControlResult,
} from "../../../../services/control_plane/control_database.ts";
import { RevocationFeed } from "../../../../services/control_plane/revocations.ts";
import type { RetryPlan } from "../../../../services/webhooks/schedule.ts";
import { WebhookService, type WebhooksOptions } from "../../../../services/webhooks/service.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { Principal } from "../../../../src/contracts/identity.ts";
import type { WebhookRules } from "../../../../src/contracts/settings.ts";
import type { WebhookDelivery, WebhookSecret, WebhookState } from "../../../../src/contracts/webhooks.ts";
import { until } from "../../../engines/support/wait.ts";
import { FakeClock } from "../../cache/support/fake_clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { FakeEgress } from "./fake_egress.ts";

/** When everything begins: a Tuesday in UTC. */
export const NOON = Date.UTC(2026, 0, 6, 12);

/** What seals in tests. */
export const KEY = new Uint8Array(32).map((_, at) => at * 7 + 1);

const MINUTE = 60_000, DAY = 24 * 60 * MINUTE;

/** What holds for a namespace of which a test says nothing. */
export const RULES: WebhookRules = {
  maxEndpoints: 20,
  maxEventBytes: 64 * 1024,
  maxWaiting: 1_000,
  maxWaitingBytes: 16 * 2 ** 20,
  maxInFlight: 4,
  maxRemembered: 100,
  deliveredRetention: 3 * DAY,
  deadRetention: 30 * DAY,
};

/** How deliveries are tried again where a test says nothing. */
export const RETRY: RetryPlan = { tries: 8, delay: 15_000, factor: 4, maxDelay: DAY, life: 2 * DAY };

/** One gateway's way to the control plane, which can be cut. */
export class Way implements ControlDatabase {
  isCut = false;
  underWay = 0;

  constructor(private readonly inner: ControlDatabase) {}

  get db(): ControlDatabase["db"] {
    return this.inner.db;
  }

  run<Row = Record<string, unknown>>(query: ControlQuery, signal?: AbortSignal): Promise<ControlResult<Row>> {
    return this.#through(() => this.inner.run<Row>(query, signal));
  }

  atomically(queries: readonly ControlQuery[], signal?: AbortSignal): Promise<ControlResult[]> {
    return this.#through(() => this.inner.atomically(queries, signal));
  }

  health: ControlDatabase["health"] = (signal) => this.inner.health(signal);
  close = () => Promise.resolve();

  async #through<T>(work: () => Promise<T>): Promise<T> {
    if (this.isCut) throw new GatewayError("UNAVAILABLE", "the way there is cut");
    this.underWay++;
    try {
      return await work();
    } finally {
      this.underWay--;
    }
  }
}

/** One gateway of a {@link World}. */
export interface Gateway {
  readonly webhooks: WebhookService;
  readonly revocations: RevocationFeed;
  readonly way: Way;
}

/** Gateways that share a control plane, and what they send. */
export class World implements AsyncDisposable {
  readonly clock = new FakeClock(NOON);
  readonly egress = new FakeEgress(() => this.clock.now());
  readonly errors: { readonly what: string; readonly error: unknown }[] = [];
  readonly gateways: Gateway[] = [];
  /** What holds for namespaces in place of {@link RULES}. */
  readonly rules = new Map<string, Partial<WebhookRules>>();
  chance = 0.5;

  constructor(readonly control: ControlDatabase) {}

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = Promise.all(this.gateways.map(({ webhooks }) => webhooks.close()));
    let isOver = false;
    closing.finally(() => isOver = true).catch(() => {});
    while (!isOver) await this.clock.advance(500);
    await closing;
  }

  /** A namespace of its own. */
  async namespace(name: string): Promise<void> {
    const row = { name, database_name: name, state: "active", created_at: this.clock.now(), created_by: "test" };
    await this.control.run(this.control.db.insertInto("namespaces").values(row));
  }

  /** A namespace is marked for deletion, as its owner does. */
  async markDeleted(name: string): Promise<void> {
    const { revocations } = this.gateways[0]!;
    await this.control.atomically([
      this.control.db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", name),
      revocations.entry("namespace", name),
    ]);
    for (const gateway of this.gateways) await gateway.revocations.pull();
  }

  /** What is left of it goes, and its name becomes free. */
  async remove(name: string, purged = true): Promise<void> {
    if (purged) await this.gateways[0]!.webhooks.purge(name, CONTEXT.signal);
    await this.control.run(this.control.db.deleteFrom("namespaces").where("name", "=", name));
  }

  /** One more gateway, that sends. */
  async gateway(options: Partial<WebhooksOptions> = {}, inner = this.control): Promise<Gateway> {
    const { clock, egress } = this;
    const way = new Way(inner);
    const revocations = new RevocationFeed(way, {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      interval: 500,
      maxSilence: 60_000,
    });
    await revocations.pull();
    const webhooks = new WebhookService({
      control: way,
      revocations,
      audit: new ControlAuditLog(way, () => clock.now()),
      egress,
      sealing: {
        seal: (text, context) => seal(KEY, text, context, chance),
        open: (sealed, context) => open(KEY, sealed, context),
      },
      clock,
      random: chance,
      chance: () => this.chance,
      maxInFlight: 32,
      timeout: 15_000,
      retry: RETRY,
      // Not at once, as where they are read for the first time.
      rulesOf: (namespace) => Promise.resolve({ ...RULES, ...this.rules.get(namespace) }),
      onError: (what, error) => void this.errors.push({ what, error }),
      ...options,
    });
    const gateway = { webhooks, revocations, way };
    this.gateways.push(gateway);
    webhooks.start();
    await this.quiet();
    return gateway;
  }

  /** Lets time pass step by step; gateways hear of revocations meanwhile. */
  async pass(ms: number, step = 1_000): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      await this.clock.advance(Math.min(step, left));
      for (const { revocations, way } of this.gateways) if (!way.isCut) await revocations.pull();
      await this.quiet();
    }
  }

  /** Everything has happened that waits for no time and no receiver. */
  async quiet(): Promise<void> {
    let quiet = 0;
    await until("nothing happens any more", async () => {
      // Due by now, such as a look that follows another one at once.
      await this.clock.advance(0);
      const turns = this.gateways.reduce((sum, { webhooks }) => sum + webhooks.figures().inFlight, 0);
      const queries = this.gateways.reduce((sum, { way }) => sum + way.underWay, 0);
      quiet = turns <= this.egress.open && queries === 0 ? quiet + 1 : 0;
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve));
      return quiet >= 2;
    });
  }

  /** Makes a webhook, as its owner does through the first gateway. */
  async make(
    url = "https://app.example/hook",
    { namespace = "shop", events = ["*"], algorithm = "hmac-sha256" }: {
      readonly namespace?: string;
      readonly events?: readonly string[];
      readonly algorithm?: "hmac-sha256" | "ed25519";
    } = {},
  ): Promise<WebhookSecret> {
    const wanted = { url, events, description: "", enabled: true, algorithm };
    const made = await this.gateways[0]!.webhooks.create(principal(namespace), wanted, CONTEXT);
    for (const { revocations, way } of this.gateways) if (!way.isCut) await revocations.pull();
    return made;
  }

  /** Publishes an event through the first gateway. */
  async publish(id: string, { type = "test.done", namespace = "shop", data = null as unknown } = {}) {
    return await this.gateways[0]!.webhooks.publish(namespace, { id, type, data }, CONTEXT);
  }

  /** Deliveries of a webhook. */
  async deliveries(id: string, state?: WebhookState, namespace = "shop"): Promise<readonly WebhookDelivery[]> {
    const { webhooks } = this.gateways.at(-1)!;
    return (await webhooks.deliveries(namespace, id, { state, limit: 100 }, CONTEXT)).items;
  }
}

const chance = (n: number) => crypto.getRandomValues(new Uint8Array(n));

/** The owner of a namespace. */
export const principal = (namespace: string): Principal => ({
  kind: "api_key",
  id: "key_1",
  subject: "0xowner",
  namespace,
  scopes: new Set(["namespace:admin"]),
  operator: false,
  asOf: 0,
  describe: {},
});
