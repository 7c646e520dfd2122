import ipaddr from "ipaddr.js";
import { type Address, AddressRange, readAddress, type Span, subtract } from "./ranges.ts";
import { IPV4_IN_IPV6, METADATA, SPECIAL_IPV4, SPECIAL_IPV6 } from "./special_ranges.ts";

/** What an operator knows of the addresses around a gateway. */
export interface AddressLists {
  /** Addresses of this node, and of the others of its mesh, whichever network they are in. */
  readonly own: readonly string[];
  /** Ranges in CIDR notation to which nobody is sent either. */
  readonly denied: readonly string[];
  /** Ranges in CIDR notation to which people are sent all the same. */
  readonly allowed: readonly string[];
}

/** What {@link AddressRules} are made of. */
export interface AddressRuleOptions extends AddressLists {
  /** Whether anything is sent over IPv6 at all. */
  readonly ipv6: boolean;
}

/** Tells to which addresses nobody may be sent: whatever is no ordinary host of the internet, or is the back end's own. */
export class AddressRules {
  readonly #own: ReadonlySet<string>;
  readonly #denied: readonly AddressRange[];
  readonly #allowed: readonly AddressRange[];
  readonly #ipv6: boolean;

  /** @throws RangeError that names an address or range that is none: a rule that were left out would protect nobody */
  constructor({ own, denied, allowed, ipv6 }: AddressRuleOptions) {
    this.#own = new Set(own.map((address) => ownAddress(address).toString()));
    this.#denied = denied.map((range) => AddressRange.of(range));
    this.#allowed = allowed.map((range) => AddressRange.of(range));
    this.#ipv6 = ipv6;
  }

  /**
   * Why nobody may be sent to an address. What is allowed wins over every range, and over what is denied or own; but an IPv4 address in
   * IPv6 clothes is refused always, and every IPv6 address where IPv6 is switched off.
   * @param address as a resolver or a URL gives it: IPv4 as four decimal numbers, IPv6 after RFC 5952 without brackets and zone;
   * in any other spelling it is refused
   * @returns `undefined` when it may be connected to, else a few words that may be told to anybody, such as `loopback`
   */
  refusal(address: string): string | undefined {
    const parsed = readAddress(address);
    if (parsed === undefined) return "not an address";
    if (isIpv4InIpv6(parsed)) return "IPv4 in IPv6";
    const canonical = parsed.toString();
    if (canonical !== address) return "not the usual spelling of an address";
    if (parsed.kind() === "ipv6" && !this.#ipv6) return "IPv6 is switched off";
    if (this.#allowed.some((range) => range.has(parsed))) return undefined;
    if (this.#own.has(canonical)) return "own address";
    const special = kindOf(parsed);
    if (special !== undefined) return METADATA.has(canonical) ? `${special} (metadata)` : special;
    return this.#denied.some((range) => range.has(parsed)) ? "denied" : undefined;
  }
}

/**
 * The IPv4 addresses to which {@link AddressRules} would send nobody, as ranges in CIDR notation for the rights of a process: the second
 * line behind the check. For IPv6 there is no such line, because Deno's `--deny-net` takes ranges of IPv4 alone.
 * @throws RangeError that names an address or range that is none
 */
export function deniedNetworks({ own, denied, allowed }: AddressLists): readonly string[] {
  const owned = own.map((address) => ownAddress(address)).filter((address) => address.kind() === "ipv4");
  const all = [...owned.map(String), ...denied].map((range) => AddressRange.of(range));
  return subtract(
    spansOf([...SPECIAL_IPV4.map(({ range }) => range), ...all]),
    spansOf(allowed.map((range) => AddressRange.of(range))),
  );
}

const spansOf = (ranges: readonly AddressRange[]): readonly Span[] =>
  ranges.flatMap(({ span }) => span === undefined ? [] : [span]);

/** Systems tell of their own addresses with zones, and of IPv4 ones in IPv6 clothes. */
function ownAddress(text: string): Address {
  const address = readAddress(text.replace(/%[\w.-]+$/, ""));
  if (address === undefined) throw new RangeError(`${text} is not an address`);
  return ipaddr.process(address.toString());
}

function isIpv4InIpv6(address: Address): boolean {
  if (address.kind() === "ipv4") return false;
  const isSingle = /^::1?$/.test(address.toString());
  return !isSingle && (IPV4_IN_IPV6.some(({ range }) => range.has(address)) || isIsatap(address));
}

/** The second half of an address of a tunnel within a site ends with the IPv4 address of its host (RFC 5214, 6.1). */
function isIsatap(address: Address): boolean {
  const [high, low, third, fourth] = address.toByteArray().slice(8, 12);
  return (high! & 0xfd) === 0 && low === 0 && third === 0x5e && fourth === 0xfe;
}

/** The narrowest range that fits counts: 255.255.255.255 lies in a reserved one too. Rows stand in that order. */
function kindOf(address: Address): string | undefined {
  const table = address.kind() === "ipv4" ? SPECIAL_IPV4 : SPECIAL_IPV6;
  return table.find(({ range }) => range.has(address))?.kind;
}
