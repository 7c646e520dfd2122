import { newOwner, type Owner } from "../../support/accounts.ts";
import { type Sections, TestGateway } from "../../support/gateway.ts";
import { Relay } from "../../support/relay.ts";
import { SecretBook } from "../../support/secrets.ts";
import { databaseOn, type TestDatabase } from "../../support/test_database.ts";
import { engineTest } from "./engine_test.ts";
import { PortReservation } from "./ports.ts";
import { until } from "./wait.ts";

/** Milliseconds for gateways to find each other, and to find each other again, on a slow machine. */
export const LINKING = 120_000;

/** What the gateways of a test share. */
interface Shared {
  readonly database: TestDatabase;
  readonly secrets: SecretBook;
  readonly config: Sections;
}

/**
 * A place of a gateway: what it keeps on disk, its key on the network among it, and an address that its peers dial, stay while
 * gateways come and go.
 */
export class LivePlace implements AsyncDisposable {
  #gateway: TestGateway | undefined;
  #lives = 0;
  #isPaused = false;

  private constructor(
    readonly name: string,
    private readonly shared: Shared,
    private readonly folder: string,
    private readonly ports: PortReservation,
    /** Through which the others dial it. */
    readonly relay: Relay,
  ) {}

  static async make(name: string, shared: Shared): Promise<LivePlace> {
    const folder = await Deno.makeTempDir({ prefix: `orama-live-${name}-` });
    const ports = PortReservation.take(1);
    return new LivePlace(name, shared, folder, ports, new Relay(`http://127.0.0.1:${ports.ports[0]}`));
  }

  /** The gateway that runs there. @throws Error where none does */
  get gateway(): TestGateway {
    if (this.#gateway === undefined) throw new Error(`no gateway runs at ${this.name}`);
    return this.#gateway;
  }

  get isRunning(): boolean {
    return this.#gateway !== undefined;
  }

  /** Of one process from its start to its end. */
  get life(): string {
    return `${this.name}${this.#lives}`;
  }

  async start(): Promise<void> {
    const { database, secrets, config } = this.shared;
    const network = {
      listen: [`/ip4/127.0.0.1/tcp/${this.ports.ports[0]}`],
      announce: [`/ip4/127.0.0.1/tcp/${new URL(this.relay.url).port}`],
    };
    this.#gateway = await TestGateway.start({
      driver: "rqlite",
      cacheDriver: "memory",
      storageDriver: "local",
      folder: this.folder,
      database,
      secrets,
      config: { pubsub: { driver: "libp2p" }, ...config, network },
    });
    this.#lives++;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const gateway = this.gateway;
    this.#gateway = undefined;
    this.#isPaused = false;
    gateway.signal("SIGKILL");
    await gateway.exitCode();
    await gateway[Symbol.asyncDispose]();
  }

  /** `SIGTERM`. @returns how it ended */
  async stop(): Promise<number> {
    const gateway = this.gateway;
    this.#gateway = undefined;
    const code = await gateway.stop();
    await gateway[Symbol.asyncDispose]();
    return code;
  }

  /** `SIGSTOP`: it stands still. */
  pause(): void {
    this.gateway.signal("SIGSTOP");
    this.#isPaused = true;
  }

  /** `SIGCONT`. */
  goOn(): void {
    if (this.#isPaused) this.gateway.signal("SIGCONT");
    this.#isPaused = false;
  }

  /** What its gateway says of live messages. */
  async status(): Promise<Readonly<Record<string, unknown>>> {
    const told = (await this.gateway.call("GET", "/v1/status")).expect(200).get("services.pubsub");
    return told as Readonly<Record<string, unknown>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.goOn();
      if (this.isRunning) await this.stop();
    } finally {
      await this.relay[Symbol.asyncDispose]();
      this.ports[Symbol.dispose]();
      await Deno.remove(this.folder, { recursive: true });
    }
  }
}

/** Gateways on one control plane, with one namespace. */
export class LiveCluster {
  constructor(readonly places: readonly LivePlace[], readonly owner: Owner) {}

  /** The key of the namespace, as calls take it. */
  get key(): { readonly key: string } {
    return { key: this.owner.apiKey };
  }

  /** Publishes by HTTP. */
  async publish(at: LivePlace, topic: string, data: unknown): Promise<void> {
    (await at.gateway.call("POST", "/v1/pubsub/publish", { ...this.key, body: { topic, data } })).expect(200);
  }

  /** Waits until each of the gateways that run is linked to each other one, and misses nobody. */
  async linked(): Promise<void> {
    const running = this.places.filter(({ isRunning }) => isRunning);
    await linkedAmong(running);
  }
}

async function linkedAmong(running: readonly LivePlace[]): Promise<void> {
  const others = running.length - 1;
  for (const place of running) {
    await until(`${place.name} is linked to ${others}`, async () => {
      const { status, details } = await place.status() as { status: string; details: Record<string, number> };
      return status === "ok" && details.gateways === others && details.linked === others;
    }, LINKING);
  }
}

/**
 * A test on gateways that are processes, on one control plane, linked to each other.
 * @param gateways how many
 * @param config of all of them
 */
export function liveTest(
  name: string,
  gateways: number,
  config: Sections,
  run: (cluster: LiveCluster, ...places: LivePlace[]) => Promise<void>,
): void {
  engineTest(name, ["rqlited"], async (engines) => {
    const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 1 })]);
    await using database = await databaseOn(control, [tenant]);
    await using owned = new AsyncDisposableStack();
    const shared = { database, config, secrets: new SecretBook() };
    const places: LivePlace[] = [];
    for (let i = 0; i < gateways; i++) places.push(owned.use(await LivePlace.make("abcdefg"[i]!, shared)));
    await Promise.all(places.map((place) => place.start()));
    await linkedAmong(places);
    // It ends with its cluster: where a gateway was killed, nobody is there to delete it.
    const owner = await newOwner(places[0]!.gateway);
    await run(new LiveCluster(places, owner), ...places);
  });
}
