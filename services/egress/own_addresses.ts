import { isIP } from "node:net";
import type { Resolver } from "./resolver.ts";

/** What belongs to this gateway and to the machines it works with. */
export interface OwnAddressesOptions {
  /** Addresses of this machine's interfaces, as they are now. */
  readonly interfaces: () => readonly string[];
  /** Hosts of the back ends as they are configured: names or addresses, IPv6 without brackets. */
  readonly hosts: readonly string[];
  /** Hosts of gateways that this one is linked with, as they are now. */
  readonly peers: () => readonly string[];
  readonly resolver: Pick<Resolver, "addresses">;
  /** Told of all of them when they have changed. */
  readonly onChange: (all: readonly string[]) => void;
  /** Milliseconds between two looks. Default 60,000. */
  readonly interval?: number;
}

/** Systems tell of link-local addresses with their zones. */
const addressOf = (host: string): readonly string[] => {
  const address = host.replace(/%.*$/, "");
  return isIP(address) ? [address] : [];
};

/** The addresses that are this node's and its mesh's: public ones among them, which nothing else would keep strangers from. */
export class OwnAddresses {
  readonly #options: OwnAddressesOptions;
  readonly #end = new AbortController();
  /** Of names; what was found last holds on where a name cannot be looked up. */
  readonly #ofNames = new Map<string, readonly string[]>();
  #now: ReadonlySet<string>;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: OwnAddressesOptions) {
    this.#options = options;
    this.#now = this.#gathered();
  }

  /** All that are known now. */
  get all(): readonly string[] {
    return [...this.#now];
  }

  /** Looks again, now and every so often. Resolves after the first look, and never rejects. */
  start(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#look(), this.#options.interval ?? 60_000);
    Deno.unrefTimer(Number(this.#timer));
    return this.#look();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#end.abort();
  }

  async #look(): Promise<void> {
    const { hosts, peers } = this.#options;
    const names = [...hosts, ...peers()].filter((host) => addressOf(host).length === 0);
    await Promise.all(names.map(async (name) => {
      try {
        this.#ofNames.set(name, await this.#options.resolver.addresses(name, this.#end.signal));
      } catch {
        // It may be known to this machine's files alone, and those lead to inner addresses.
      }
    }));
    const before = this.#now;
    this.#now = this.#gathered();
    if (before.symmetricDifference(this.#now).size > 0) this.#options.onChange(this.all);
  }

  #gathered(): ReadonlySet<string> {
    const { interfaces, hosts, peers } = this.#options;
    const all = [...interfaces(), ...hosts, ...peers(), ...[...this.#ofNames.values()].flat()];
    return new Set(all.flatMap(addressOf));
  }
}
