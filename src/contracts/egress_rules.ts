/** What holds for requests that leave this machine by a namespace's wish. */
export interface EgressRules {
  /**
   * Hosts that may be reached: names (`api.example.com`), their sub-domains (`*.example.com`), addresses and ranges of addresses,
   * all in lower case. `undefined`: any that the gateway allows; an empty list: none.
   */
  readonly allowHosts: readonly string[] | undefined;
  /** Hosts that may not, of the same form; wins over {@link allowHosts}. */
  readonly denyHosts: readonly string[];
  /** Ports that may be reached, for {@link readPorts}; none that the gateway does not allow is among them. An empty list: none. */
  readonly ports: readonly string[];
  /** Methods that may be used, in capitals; `undefined`: any; an empty list: none. */
  readonly methods: readonly string[] | undefined;
  /** Requests under way at once, on each gateway. */
  readonly maxInFlight: number;
  /** Bytes of the body of a request that is held in memory. */
  readonly maxRequestBytes: number;
  /** Bytes of the body of a response that is held in memory. */
  readonly maxResponseBytes: number;
  /** Bytes that one stream may carry in either direction; 0: any number. */
  readonly maxStreamBytes: number;
  /** Milliseconds that a request may take whose response is held in memory, redirects included. */
  readonly maxDuration: number;
  /** Milliseconds that a stream may take. */
  readonly maxStreamDuration: number;
  /** How often a request may be sent elsewhere; 0: never. */
  readonly maxRedirects: number;
  /**
   * Set while nobody can say what the owner set: {@link allowHosts} is empty then, so that a request is refused that the owner may
   * have forbidden. It is the gateway's trouble, not the caller's mistake.
   */
  readonly assumed?: true;
}

/** The owner's settings for outbound requests: what a function, or a stolen key, may reach. `null`: the gateway's default. */
export interface EgressSettings {
  /** Each once. By default any; an empty list: none. */
  readonly allow_hosts: readonly string[] | null;
  /** Each once. By default none. */
  readonly deny_hosts: readonly string[] | null;
  /** Each once. By default those of the gateway, and never others. */
  readonly ports: readonly string[] | null;
  /** Each once. By default any. */
  readonly methods: readonly string[] | null;
}

/** What each limit for outbound requests may be at most; see {@link EgressRules} for what they mean. */
export interface EgressLimitValues {
  readonly requests_in_flight: number;
  readonly request_bytes: number;
  readonly response_bytes: number;
  /** 0: none. */
  readonly stream_bytes: number;
  /** Milliseconds. */
  readonly duration: number;
  /** Milliseconds. */
  readonly stream_duration: number;
  readonly redirects: number;
}

/** Ports from one to another, both included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Reads `443` or `8000-8999`; `undefined` for anything else. */
export function readPorts(text: string): PortRange | undefined {
  const [, first, last = first] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text) ?? [];
  const from = Number(first), to = Number(last);
  return from <= to && to <= 65_535 ? { from, to } : undefined;
}

/** The only spelling of ports, which {@link readPorts} takes back. */
export const writePorts = ({ from, to }: PortRange): string => from === to ? String(from) : `${from}-${to}`;
