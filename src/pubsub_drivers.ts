import { hkdfSync } from "node:crypto";
import type { Config } from "../config/index.ts";
import { SYSTEM_CLOCK } from "../services/clock/clock.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import type { RevocationFeed } from "../services/control_plane/revocations.ts";
import { NoNetwork } from "../services/network/alone.ts";
import { Alone } from "../services/pubsub/cluster/alone.ts";
import type { EpochRegistry } from "../services/pubsub/cluster/epochs.ts";
import { MeshCluster } from "../services/pubsub/cluster/mesh_cluster.ts";
import { ControlEpochs } from "../services/pubsub/cluster/registry.ts";
import { PubSubService, type PubSubServiceOptions } from "../services/pubsub/service.ts";
import { GatewayError } from "./contracts/errors.ts";
import type { ServiceHealth } from "./contracts/health.ts";
import type { LiveSettings } from "./contracts/live_connections.ts";
import type { Network } from "./contracts/network.ts";
import { logger } from "./observability/log.ts";
import { hintAtWrites, type NearCopies } from "./near_hints.ts";
import { BETWEEN_GATEWAYS, hintAtRevocations, THEIR_RULES } from "./revocation_hints.ts";

/** What live messages ask of the gateway around them. */
export interface PubSubSurroundings {
  readonly control: ControlDatabase;
  readonly revocations: Pick<RevocationFeed, "onRevoked" | "onOwn" | "pull">;
  /** What the network's own key and the names of channels are derived from, unless the configuration has a key. */
  readonly key: Uint8Array;
  /** The near cache, where there is one: gateways that are linked tell each other what they wrote to its maps. */
  readonly near: NearCopies | undefined;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  /** What holds for live messages of a namespace. */
  readonly rulesOf: PubSubServiceOptions["rulesOf"];
}

/** Live messages, and what belongs to them. */
export interface OpenedPubSub {
  readonly pubsub: PubSubService;
  readonly network: Network;
  /** How it is, with the links to other gateways. */
  health(signal: AbortSignal): Promise<ServiceHealth>;
  /** What other gateways, and strangers, tried and were refused, by what it was. */
  refusals(): Readonly<Record<string, number>>;
  /** Topics that wait to be joined on the network, since there are as many as there may be. */
  unjoined(): number;
  /** Begins: resolves when messages pass. What needs the control plane goes on in the background where that takes long. */
  start(): Promise<void>;
  /** Says farewell to the other gateways, which takes some seconds where they do not answer, and leaves them. */
  close(): Promise<void>;
}

/** How connections that stay open are kept. */
export const liveSettings = ({ idle_timeout: idleTimeout, sockets }: Config["pubsub"]): LiveSettings => ({
  idleTimeout,
  unauthenticated: sockets.unauthenticated,
  perCredential: sockets.per_credential,
  commandsPerSecond: sockets.commands_per_second,
  commandsPerFrame: sockets.commands_per_frame,
});

/** Builds live messages with the driver of the configuration. @throws GatewayError `UNAVAILABLE` that names a setting of the network */
export async function openPubSub(config: Config, around: PubSubSurroundings): Promise<OpenedPubSub> {
  const { control, now, random, revocations } = around;
  const registry = new ControlEpochs({ control, now, random });
  const opened = config.pubsub.driver === "libp2p"
    ? await openMesh(config, around, registry)
    : openAlone(config, around, registry);
  revocations.onRevoked(({ kind, id }) => kind === "namespace" && void opened.pubsub.purge(id));
  return opened;
}

const serviceOf = (
  { pubsub: { driver, history } }: Config,
  { rulesOf }: PubSubSurroundings,
  cluster: PubSubServiceOptions["cluster"],
): PubSubService =>
  new PubSubService({
    driver,
    cluster,
    rulesOf: (namespace, request) => namespace === BETWEEN_GATEWAYS ? THEIR_RULES : rulesOf(namespace, request),
    maxHistoryBytes: history.max_bytes,
    onError: (namespace, error) => logger("pubsub").error("a subscriber failed, and was ended", { namespace, error }),
  });

/** Milliseconds between two tries to be numbered by the control plane, and for which a start waits for the first. */
const AGAIN = 1_000, PATIENCE = 1_000;
/** What the control plane calls every gateway that is alone: nobody looks for one. */
const NOBODY = "local";

function openAlone(config: Config, around: PubSubSurroundings, registry: EpochRegistry): OpenedPubSub {
  const closing = new AbortController();
  let epoch: number | undefined;
  const pubsub = serviceOf(config, around, (topics) => new Alone({ topics, epoch: () => epoch }));
  const begin = async () => {
    while (!closing.signal.aborted) {
      try {
        const { number } = await registry.begin(NOBODY, [], closing.signal);
        epoch = number;
        // Its number is all that is wanted: others, if there are any, are not to wait for its messages.
        return await registry.end(number, closing.signal).catch(() => {});
      } catch {
        await pause(AGAIN, closing.signal);
      }
    }
  };
  return {
    pubsub,
    network: new NoNetwork(),
    health: () => pubsub.health(),
    refusals: () => ({}),
    unjoined: () => 0,
    start: () => Promise.race([begin(), pause(PATIENCE, closing.signal)]),
    async close() {
      closing.abort();
      await pubsub.close();
    },
  };
}

/** Loads the network only where it is used: it takes memory that a gateway without others need not have. */
async function openMesh(config: Config, around: PubSubSurroundings, registry: EpochRegistry): Promise<OpenedPubSub> {
  const [{ openIdentity }, { NetworkNode }, { NetworkService }, { Libp2pMesh }] = await Promise.all([
    import("../services/network/identity.ts"),
    import("../services/network/node.ts"),
    import("../services/network/service.ts"),
    import("../services/pubsub/mesh/libp2p.ts"),
  ]);
  const { data, network: { listen, announce, bootstrap, mdns, key, identity_file: file } } = config;
  const log = logger("network");
  const onError = (what: string, error: unknown) => log.warn(what, { error });
  if (file === undefined) await Deno.mkdir(data.dir, { recursive: true, mode: 0o700 });
  const identity = await openIdentity(file ?? `${data.dir}/node.key`).catch(unusable("network.identity_file"));
  for (const warning of identity.warnings) log.warn(warning);
  const networkKey = key === undefined ? derived(around.key, "network") : Uint8Array.fromHex(key);
  const node = await NetworkNode.open({ key: identity.key, networkKey, listen, announce, mdns, onError })
    .catch(unusable("network.listen"));
  const monotonic = () => performance.now();
  const network = new NetworkService({ node, bootstrap, now: around.now, monotonic });
  const mesh = new Libp2pMesh({ node, monotonic, onError });
  let cluster!: MeshCluster;
  const pubsub = serviceOf(config, around, (local) =>
    cluster = new MeshCluster({
      mesh,
      meeting: network,
      registry,
      local,
      clock: SYSTEM_CLOCK,
      secret: derived(around.key, "channels"),
    }));
  const closing = new AbortController();
  let started = false;
  return {
    pubsub,
    network,
    health: async () => withLinks(await pubsub.health(), cluster),
    refusals: () => node.figures().refused,
    unjoined: () => mesh.figures().unjoined,
    async start() {
      started = true;
      await cluster.start();
      hintAtRevocations({
        pubsub,
        revocations: around.revocations,
        signal: closing.signal,
        onError: (error) => log.warn("revocations cannot be hinted at", { error }),
      });
      const { near } = around;
      if (near) {
        hintAtWrites({
          pubsub,
          near,
          sender: node.id,
          clock: SYSTEM_CLOCK,
          signal: closing.signal,
          onError: (error) => log.warn("writes to near caches cannot be told to other gateways", { error }),
        });
      }
      log.info("takes connections of other gateways", { id: node.id, addresses: node.addresses });
    },
    async close() {
      closing.abort();
      // What was published here is still asked for while the others are told how far it came.
      if (started) await cluster.close();
      await pubsub.close();
      network.close();
      await node.close();
    },
  };
}

/** For whoever starts the gateway: which setting is at fault, in a sentence. */
const unusable = (setting: string) => (cause: unknown): never => {
  const told = cause instanceof Error ? cause.message : String(cause);
  // libp2p tells of each address in a line of its own, with its stack.
  const [because = told] = /(?<=Error: )[^\n]+/.exec(told) ?? [];
  throw new GatewayError("UNAVAILABLE", `${setting}: ${because}`, { cause });
};

/** One key, one use. */
const derived = (key: Uint8Array, use: "network" | "channels"): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", key, "orama-gateway pubsub v1", use, 32));

function withLinks(health: ServiceHealth, cluster: MeshCluster): ServiceHealth {
  const { peers, epochs } = cluster.figures();
  const others = Math.max(0, epochs - 1);
  const details = { gateways: others, linked: peers };
  if (health.status !== "ok" || peers >= others) return { ...health, details };
  const reason = "some of the other gateways cannot be reached: messages do not pass between them and this one";
  return { ...health, status: "degraded", reason, details };
}

/** Waits, or until it is broken off. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
