import type { Target } from "../parts.ts";
import { AddressRange, readAddress } from "./ranges.ts";
import { canonicalName } from "./target.ts";

/** What a namespace may send requests to. */
export interface TargetLists {
  /** Patterns of hosts, see {@link hostPatternProblem}; `null` for any. */
  readonly allow_hosts: readonly string[] | null;
  /** Patterns of hosts that may not be used, though they be allowed. */
  readonly deny_hosts: readonly string[];
  /** Numbers from 1 to 65535, and ranges such as `8000-8999`. */
  readonly ports: readonly (number | string)[];
  /** In any letter case; `null` for any. */
  readonly methods: readonly string[] | null;
}

/** Tells which hosts, ports and methods may be used. */
export class TargetRules {
  readonly #allowed: HostList | undefined;
  readonly #denied: HostList;
  readonly #ports: readonly (readonly [first: number, last: number])[];
  readonly #methods: ReadonlySet<string> | undefined;
  readonly #portsToTell: string;

  /** @throws RangeError that says what is wrong with a pattern or port */
  constructor({ allow_hosts, deny_hosts, ports, methods }: TargetLists) {
    this.#allowed = allow_hosts === null ? undefined : new HostList(allow_hosts);
    this.#denied = new HostList(deny_hosts);
    this.#ports = ports.map((port) => readPorts(port));
    this.#portsToTell = ports.join(", ");
    this.#methods = methods === null ? undefined : new Set(methods.map((method) => method.toUpperCase()));
  }

  /**
   * Why a request may not be sent, as far as its URL tells: what a name resolves to is for {@link addressRefusal} and the rules of
   * addresses.
   * @param method in any letter case
   * @returns a sentence for whoever wanted it; `undefined` when it may
   */
  refusal(target: Target, method: string): string | undefined {
    const upper = method.toUpperCase();
    if (this.#methods !== undefined && !this.#methods.has(upper)) {
      return `the method ${upper} may not be used${these([...this.#methods].join(", "))}`;
    }
    if (this.#denied.has(target.host)) return `the host ${target.host} may not be used`;
    if (this.#allowed?.has(target.host) === false) return `the host ${target.host} is not among those that may be used`;
    if (!this.#ports.some(([first, last]) => first <= target.port && target.port <= last)) {
      return `port ${target.port} may not be used${these(this.#portsToTell)}`;
    }
    return undefined;
  }

  /**
   * Why an address may not be connected to that a name resolves to. Denied ranges hold for names too; allowed ones do not make a name
   * one of those that may be used.
   * @param address in its usual spelling
   * @returns a sentence, in which the address is not; `undefined` when it may
   */
  addressRefusal(address: string): string | undefined {
    return this.#denied.has(address) ? "the host has an address that may not be used" : undefined;
  }
}

const these = (list: string) => list === "" ? "" : `; these may: ${list}`;

/** Hosts by patterns. */
class HostList {
  readonly #names = new Set<string>();
  readonly #suffixes = new Set<string>();
  readonly #ranges: AddressRange[] = [];

  constructor(patterns: readonly string[]) {
    for (const text of patterns) {
      const pattern = readPattern(text);
      if ("problem" in pattern) throw new RangeError(`the host ${text} ${pattern.problem}`);
      if ("range" in pattern) this.#ranges.push(pattern.range);
      else (pattern.isSuffix ? this.#suffixes : this.#names).add(pattern.name);
    }
  }

  has(host: string): boolean {
    const address = readAddress(host);
    if (address !== undefined) return this.#ranges.some((range) => range.has(address));
    if (this.#names.has(host)) return true;
    for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
      if (this.#suffixes.has(host.slice(dot + 1))) return true;
    }
    return false;
  }
}

type Pattern =
  | { readonly name: string; readonly isSuffix: boolean }
  | { readonly range: AddressRange }
  | { readonly problem: string };

function readPattern(text: string): Pattern {
  if (/^[\d.]+\/|:.*:|^[\d.]+$/.test(text)) return readRange(text);
  const isSuffix = text.startsWith("*.");
  const written = isSuffix ? text.slice(2) : text;
  if (text === "*") return { problem: "is every host, which is what no list at all is" };
  if (written.includes("*")) return { problem: "may have a * at its beginning alone, followed by a dot" };
  if (/[/?#@:\\[\]%\p{Cc}\p{White_Space}]/u.test(written)) {
    return { problem: "must be a host alone, without scheme, port and path, such as api.example.com" };
  }
  if (/[.。．｡]$/.test(written)) return { problem: "must be without a dot at its end" };
  const parsed = written.length > 1_024 ? null : URL.parse(`http://${written}/`);
  if (parsed === null) return { problem: "is neither a name nor an address" };
  if (readAddress(parsed.hostname) !== undefined) return { problem: `must be written as ${parsed.hostname}` };
  const found = canonicalName(parsed.hostname);
  return "problem" in found ? found : { name: found.name, isSuffix };
}

function readRange(text: string): Pattern {
  try {
    return { range: AddressRange.of(text) };
  } catch {
    return { problem: "must be an address, or a range such as 203.0.113.0/24 with no bits beyond the prefix" };
  }
}

/**
 * What is wrong with a pattern of a host: a name (`api.example.com`), the names under one but not that itself (`*.example.com`; `*.com` is
 * one too), an address without brackets, or a range of them in CIDR notation. Names may be in any script and letter case.
 * @returns the end of a sentence that begins with the pattern; `undefined` when nothing is
 */
export function hostPatternProblem(text: string): string | undefined {
  const pattern = readPattern(text);
  return "problem" in pattern ? pattern.problem : undefined;
}

/**
 * What is wrong with a port, or a range of ports such as `8000-8999`.
 * @returns the end of a sentence that begins with it; `undefined` when nothing is
 */
export function portProblem(port: number | string): string | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(port)) ?? [];
  const isPort = (text: string | undefined) => Number(text) >= 1 && Number(text) <= 65_535;
  if (!isPort(first) || !isPort(last)) return "must be a port from 1 to 65535, or a range of them such as 8000-8999";
  return Number(first) > Number(last) ? "must begin with the smaller port" : undefined;
}

function readPorts(port: number | string): readonly [number, number] {
  const problem = portProblem(port);
  if (problem !== undefined) throw new RangeError(`the port ${port} ${problem}`);
  const [first, last = first] = String(port).split("-").map(Number);
  return [first!, last!];
}
