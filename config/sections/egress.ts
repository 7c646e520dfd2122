import { field, type RuleProblem, section } from "../field.ts";
import { cidr } from "../kinds/cidr.ts";
import { list } from "../kinds/collections.ts";
import { duration, LONGEST_TIMER } from "../kinds/duration.ts";
import { hostPattern } from "../kinds/host_pattern.ts";
import { nameServer } from "../kinds/name_server.ts";
import { certificates } from "../kinds/pem.ts";
import { choice, flag, integer } from "../kinds/plain.ts";
import { ports } from "../kinds/ports.ts";
import { socksProxy, type SocksProxyAddress } from "../kinds/socks_proxy.ts";

/** How requests leave that namespaces want to be sent, and where to. */
export const egress = section({
  description:
    "How requests leave this machine that namespaces want to be sent, and what they may reach: nothing on inner networks, whatever " +
    "name leads there. `limits.egress` says how much a namespace may send; its owner may narrow hosts, ports and methods further.",
  fields: {
    driver: field(choice(["off", "direct", "socks5"]), {
      default: "direct",
      description:
        "How requests of functions (`http_fetch`) and webhooks leave. `direct`: from this machine. `socks5`: through " +
        "`egress.proxies`, or not at all. `off`: not at all. `POST /v1/proxy/anon` always goes through `egress.proxies`.",
    }),
    proxies: field(list(socksProxy), {
      default: ["socks5://127.0.0.1:9050"],
      secret: true,
      description:
        "SOCKS5 proxies, such as those of Anyone or tor: `socks5://host:port`, or `socks5://user:password@host:port`. They get names, " +
        "never addresses that were looked up here. The first that answers is used; nothing is ever sent past them. An empty list: " +
        "there is no anonymous proxy.",
    }),
    probe_interval: field(duration({ min: "100ms", max: LONGEST_TIMER }), {
      default: "10s",
      description: "How often each of them is tried by a handshake.",
    }),
    isolation: field(flag, {
      default: true,
      description:
        "Whether each namespace has credentials of its own towards the proxies, so that tor and Anyone give it circuits of its own. " +
        "A proxy whose URL has a user gets that user for all.",
    }),
    ports: field(list(ports), {
      default: ["80", "443", "8080", "8443"],
      description: "Ports that may be reached, one by one or as in `8000-8999`. Owners can narrow them, never widen.",
    }),
    ipv6: field(flag, {
      default: false,
      description:
        "Whether servers are reached by IPv6 too. Deno's own rights can keep the processes that send from inner networks of IPv4, but " +
        "not from those of IPv6: with it these rest on the gateway's check alone.",
    }),
    allow_networks: field(list(cidr), {
      default: [],
      description:
        "Inner networks that every namespace may reach all the same, such as `10.1.2.3/32`. They win over whatever else is refused, so " +
        "that back ends of this gateway in them are reached too: name no more than is needed.",
    }),
    deny_networks: field(list(cidr), {
      default: [],
      description:
        "Networks that none may reach, beside the inner and reserved ones, which need not be named. What of them is in " +
        "`egress.allow_networks` may be reached.",
    }),
    allow_hosts: field(list(hostPattern), {
      description:
        "The only hosts that may be reached: `api.example.com`, `*.example.com` for its sub-domains (not itself), an address or a " +
        "range of them. An inner address is not reached by being here, but by `egress.allow_networks`. An empty list: none. Default: any.",
    }),
    deny_hosts: field(list(hostPattern), {
      default: [],
      description: "Hosts that may not be reached, written in the same way. Wins over `egress.allow_hosts`.",
    }),
    dns: field(list(nameServer), {
      default: [],
      description:
        "Name servers that are asked, in this order until one answers: `9.9.9.9`, `[fd00::53]:5353`. By default those of the system. " +
        "Names that go through a proxy are never looked up here.",
    }),
    ca: field(certificates, {
      inFile: true,
      description: "Certificate authorities that vouch for servers, beside the public ones that Deno knows.",
    }),
    connect_timeout: field(duration({ min: "1ms", max: "10m" }), {
      default: "10s",
      description: "How long it may take until a connection stands, TLS and the proxy's answer included.",
    }),
    head_timeout: field(duration({ min: "1ms", max: "1h" }), {
      default: "30s",
      description: "How long the head of a response may take once the request is sent.",
    }),
    idle_timeout: field(duration({ min: "1ms", max: "1h" }), {
      default: "30s",
      description: "How long nothing may come of a body, in either direction.",
    }),
    max_in_flight: field(integer({ min: 1, max: 1_000_000 }), {
      default: 1_024,
      unit: "requests",
      description: "Outbound requests of all namespaces that are under way at once, on this gateway; one more is 429.",
    }),
  },
  check: ({ driver, proxies }) => [
    ...driver === "socks5" && proxies.length === 0
      ? [{ key: "proxies", because: "driver", expected: "at least one URL, because egress.driver is socks5" }]
      : [],
    ...checkOnce(proxies),
  ],
});

/** Metrics and the log tell proxies apart by their names. */
function checkOnce(proxies: readonly SocksProxyAddress[]): readonly RuleProblem[] {
  const names = proxies.map(({ name }) => name);
  return names.flatMap((name, i) =>
    names.indexOf(name) === i
      ? []
      : [{ key: `proxies.${i}`, expected: `each proxy once, but ${name} is there already` }]
  );
}
