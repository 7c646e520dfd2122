import { networkInterfaces } from "node:os";
import type { Registry } from "prom-client";
import type { Config } from "../config/index.ts";
import { abortable } from "../services/clock/abortable.ts";
import { SYSTEM_CLOCK } from "../services/clock/clock.ts";
import { EgressProcess } from "../services/egress/link/process.ts";
import { OwnAddresses } from "../services/egress/own_addresses.ts";
import { type HopBounds, HopFailure, type SocksProxy } from "../services/egress/parts.ts";
import { Permission } from "../services/egress/permission.ts";
import { type ConfiguredProxy, Proxies } from "../services/egress/proxies.ts";
import { Resolver } from "../services/egress/resolver.ts";
import { EgressService, type EgressServiceOptions } from "../services/egress/service.ts";
import { AddressRules, deniedNetworks } from "../services/egress/targets/addresses.ts";
import { TargetRules } from "../services/egress/targets/hosts.ts";
import { OutboundFailure, type OutboundHttp } from "../services/functions/calls/http.ts";
import { type Egress, EgressFailure, type EgressResponse } from "./contracts/egress.ts";
import type { ServiceHealth } from "./contracts/health.ts";
import type { Network } from "./contracts/network.ts";
import { egressMetrics } from "./observability/egress_metrics.ts";
import { logger } from "./observability/log.ts";

/** What requests outwards ask of the gateway around them. */
export interface EgressSurroundings {
  readonly network: Pick<Network, "state">;
  /** 32 bytes, the same on every gateway: what namespaces are called towards proxies. */
  readonly key: Uint8Array;
  readonly metrics: Registry;
  readonly rulesOf: EgressServiceOptions["rulesOf"];
}

/** Outbound requests, and what belongs to them. */
export interface OpenedEgress {
  readonly egress: Egress;
  /** The same for functions. */
  readonly http: OutboundHttp;
  health(): Promise<ServiceHealth>;
  /** Begins to look after proxies, and starts the processes. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of the head of a response. */
const HEAD_BYTES = 64 * 1024;

/** Builds all that outbound requests need. No process is started before {@link OpenedEgress.start}. */
export function openEgress(config: Config, { network, key, metrics, rulesOf }: EgressSurroundings): OpenedEgress {
  const settings = config.egress;
  const log = logger("egress");
  const resolver = new Resolver({ servers: settings.dns, ipv6: settings.ipv6 });
  const own = new OwnAddresses({
    interfaces: () => Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address)),
    hosts: backEndHosts(config),
    peers: () => network.state().peers.flatMap(({ addresses }) => addresses.flatMap(hostOfMultiaddress)),
    resolver,
    onChange: (all) => addresses = new AddressRules({ ...lists, own: all }),
  });
  const lists = { denied: settings.deny_networks, allowed: settings.allow_networks, ipv6: settings.ipv6 };
  let addresses = new AddressRules({ ...lists, own: own.all });
  const proxies = settings.proxies.map((proxy) => proxyOf(proxy, settings.isolation));
  // One that is started when it is first needed may take as long as the connection that it is to make.
  const shared = {
    patience: settings.connect_timeout,
    ipv6: settings.ipv6,
    ca: settings.ca === undefined ? [] : [settings.ca],
  };
  const line = (process: string) => (text: string) =>
    log.warn("a process that sends requests says", { process, line: text });
  const direct = settings.driver !== "direct" ? undefined : new EgressProcess({
    ...shared,
    kind: "direct",
    net: {
      allow: settings.ipv6 ? [] : ["0.0.0.0/1", "128.0.0.0/1"],
      deny: deniedNetworks({ ...lists, own: own.all }),
    },
    onLine: line("direct"),
  });
  const anonymous = new EgressProcess({
    ...shared,
    kind: "anonymous",
    net: { allow: proxies.length === 0 ? [NOWHERE] : proxies.map(addressOf), deny: [] },
    onLine: line("anonymous"),
  });
  const observer = egressMetrics(metrics, () => egress.figures());
  const bounds: HopBounds = {
    connect: settings.connect_timeout,
    head: settings.head_timeout,
    idle: settings.idle_timeout,
    headBytes: HEAD_BYTES,
  };
  const egress: EgressService = new EgressService({
    driver: settings.driver,
    direct,
    anonymous,
    proxies: new Proxies({
      proxies,
      hops: {
        // Where nobody listens, as on most gateways, no process is started for asking.
        probe: (proxy, credentials, signal) =>
          reach(proxy, signal).then(() => anonymous.probe(proxy, credentials, signal)),
      },
      key,
      interval: settings.probe_interval,
      onChange(proxy, state, error) {
        if (state === "back") log.info("an anonymous proxy answers", { proxy });
        // Most gateways have none where one would be by default.
        else log[state === "lost" ? "warn" : "info"]("an anonymous proxy does not answer", { proxy, error });
      },
    }),
    resolver,
    permission: new Permission({
      addresses: { refusal: (address) => addresses.refusal(address) },
      targets: new TargetRules({
        allow_hosts: settings.allow_hosts ?? null,
        deny_hosts: settings.deny_hosts,
        ports: settings.ports,
        methods: null,
      }),
    }),
    rulesOf,
    bounds,
    maxInFlight: settings.max_in_flight,
    clock: SYSTEM_CLOCK,
    observe: ({ way, outcome, ms }) => observer.request(way, outcome, ms / 1000),
    // Where a request went is nobody's business, and messages tell it; causes of the gateway's own troubles do not.
    onFailure: (request_id, { code: failure, cause }) =>
      log.debug("an outbound request failed", { request_id, failure, ...(/UNAVAILABLE$/.test(failure) && { cause }) }),
  });
  return {
    egress,
    http: outboundHttp(egress),
    health: () => egress.health(),
    async start() {
      const confined = egress.figures().confinement;
      log.info("requests leave", { driver: settings.driver, proxies: proxies.map(({ name }) => name), confined });
      await own.start();
      egress.start();
    },
    async close() {
      own.close();
      await egress.close();
    },
  };
}

/** Of the prefix whose packets go nowhere (RFC 6666), because an empty list would be every right that there is. */
const NOWHERE = "[100::1]:1";

const addressOf = ({ host, port }: ConfiguredProxy) => `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** @throws HopFailure when nobody listens there, and the signal's reason */
async function reach({ host, port }: SocksProxy, signal: AbortSignal): Promise<void> {
  const connecting = Deno.connect({ hostname: host, port }).then((connection) => connection.close(), (cause) => {
    throw new HopFailure("EGRESS_PROXY_UNAVAILABLE", "nobody listens at the address of the proxy", cause);
  });
  await abortable(connecting, signal);
}

/** Without isolation all namespaces are the same to a proxy. */
const proxyOf = (proxy: ConfiguredProxy, isolation: boolean): ConfiguredProxy =>
  proxy.credentials || isolation ? proxy : { ...proxy, credentials: { username: "gateway", password: "gateway" } };

/** Where the back ends are, as the configuration says. */
function backEndHosts({ database, cache, storage, network }: Config): readonly string[] {
  const { control, pool } = database.rqlite;
  const { kubo, cluster } = storage.ipfs;
  const urls = [...control, ...pool.flatMap(({ urls }) => urls), ...kubo, ...cluster];
  return [
    ...urls.flatMap((url) => URL.parse(url)?.hostname.replace(/^\[|\]$/g, "") ?? []),
    ...cache.olric.addresses.flatMap((address) =>
      URL.parse(`tcp://${address}`)?.hostname.replace(/^\[|\]$/g, "") ?? []
    ),
    ...network.bootstrap.flatMap(hostOfMultiaddress),
  ];
}

/** `/ip4/192.0.2.1/tcp/4001` → `192.0.2.1`; nothing for one that names no host. */
const hostOfMultiaddress = (address: string): readonly string[] => {
  const host = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)/.exec(String(address))?.[1];
  return host === undefined ? [] : [host];
};

/** Requests of functions. A function is told why one was refused. */
const outboundHttp = (egress: Egress): OutboundHttp => ({
  async fetch({ method, url, headers, body }, most, { namespace, requestId, signal }) {
    try {
      const request = { method, url: url.href, headers, body: body.length === 0 ? undefined : body };
      const response = await egress.fetch(namespace, request, { way: "configured", maxResponseBytes: most }, {
        requestId,
        signal,
      });
      return { status: response.status, headers: valuesOf(response), body: await bytesOf(response) };
    } catch (error) {
      if (error instanceof EgressFailure) throw new OutboundFailure(error.code, error.message);
      throw error;
    }
  },
});

function valuesOf({ headers }: EgressResponse): Readonly<Record<string, readonly string[]>> {
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    values.get(key)?.push(value) ?? values.set(key, [value]);
  }
  return Object.fromEntries(values);
}

const bytesOf = async ({ body }: EgressResponse): Promise<Uint8Array> =>
  new Uint8Array(await new Response(body).arrayBuffer());
