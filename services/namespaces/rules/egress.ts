import {
  type EgressLimitValues,
  type EgressRules,
  type EgressSettings,
  readPorts,
  writePorts,
} from "../../../src/contracts/egress_rules.ts";
import type { OrDefault } from "../../../src/contracts/settings.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of outbound requests. */
export interface EgressDefaults {
  readonly limits: EgressLimitValues;
  /** Ports beyond which no namespace reaches any, whatever its owner says. */
  readonly ports: readonly string[];
  /** Requests beyond which no namespace can have any under way on one gateway, whatever it may. */
  readonly max_in_flight: number;
}

/** What holds for outbound requests, in each of the forms it is asked for. */
export interface EffectiveEgress {
  readonly settings: EgressSettings;
  readonly limits: EgressLimitValues;
  readonly rules: EgressRules;
}

/** The settings of a namespace whose owner set nothing. */
export const NO_EGRESS_SETTINGS: EgressSettings = { allow_hosts: null, deny_hosts: null, ports: null, methods: null };

/** The limits of a namespace for which no operator set anything. */
export const NO_EGRESS_LIMITS: OrDefault<EgressLimitValues> = {
  requests_in_flight: null,
  request_bytes: null,
  response_bytes: null,
  stream_bytes: null,
  duration: null,
  stream_duration: null,
  redirects: null,
};

/** Settings within limits, and defaults for what neither says. */
export function effectiveEgress(
  own: EgressSettings,
  ownLimits: OrDefault<EgressLimitValues>,
  defaults: EgressDefaults,
): EffectiveEgress {
  const given = withDefaults(ownLimits, defaults.limits);
  const limits = { ...given, requests_in_flight: Math.min(given.requests_in_flight, defaults.max_in_flight) };
  const ownPorts = texts(own.ports);
  const settings = {
    allow_hosts: texts(own.allow_hosts),
    deny_hosts: texts(own.deny_hosts) ?? [],
    ports: ownPorts ? portsWithin(ownPorts, defaults.ports) : defaults.ports,
    methods: texts(own.methods),
  };
  return {
    settings,
    limits,
    rules: {
      allowHosts: settings.allow_hosts ?? undefined,
      denyHosts: settings.deny_hosts,
      ports: settings.ports,
      methods: settings.methods ?? undefined,
      maxInFlight: limits.requests_in_flight,
      maxRequestBytes: limits.request_bytes,
      maxResponseBytes: limits.response_bytes,
      maxStreamBytes: limits.stream_bytes,
      maxDuration: limits.duration,
      maxStreamDuration: limits.stream_duration,
      maxRedirects: limits.redirects,
    },
  };
}

// Another version of the gateway may have written something else. What is no text is in no list; the list is still one, because
// an owner who allowed some hosts did not allow all of them.
const texts = (value: unknown): readonly string[] | null =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : null;

/** Those of an owner's ports that the gateway allows. */
function portsWithin(own: readonly string[], allowed: readonly string[]): readonly string[] {
  const ranges = rangesOf(allowed);
  const common = rangesOf(own).flatMap((mine) =>
    ranges.map(({ from, to }) => ({ from: Math.max(from, mine.from), to: Math.min(to, mine.to) }))
  );
  return [...new Set(common.filter(({ from, to }) => from <= to).map(writePorts))];
}

const rangesOf = (ports: readonly string[]) => ports.map(readPorts).filter((range) => range !== undefined);
