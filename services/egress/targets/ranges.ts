import ipaddr from "ipaddr.js";

/** An IPv4 or IPv6 address that has been read. */
export type Address = ReturnType<typeof ipaddr.parse>;

/**
 * Reads an address: IPv4 as four decimal numbers, IPv6 in any of its spellings (RFC 4291, 2.2), without brackets and zone.
 * @returns `undefined` for anything else, so for the octal, hexadecimal and shortened IPv4 addresses of old libraries
 */
export function readAddress(text: string): Address | undefined {
  if (!text.includes(":")) return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
  return /^[\da-f:.]+$/i.test(text) && ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}

/** A range of addresses of one kind (RFC 4632, 3.1; RFC 4291, 2.3). */
export class AddressRange {
  readonly #network: Address;

  private constructor(network: Address, readonly bits: number) {
    this.#network = network;
  }

  /**
   * Reads a range such as `10.0.0.0/8` or `fd00::/8`; an address alone is a range of one.
   * @throws RangeError that names the text. Bits beyond the prefix are refused too: `10.0.0.5/8` allows or denies more than it seems to
   */
  static of(text: string): AddressRange {
    const [, host = "", prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const network = readAddress(host);
    if (network === undefined) throw new RangeError(`${text} is neither an address nor a range such as 10.0.0.0/8`);
    const width = network.kind() === "ipv4" ? 32 : 128;
    const bits = prefix === undefined ? width : Number(prefix);
    if (bits > width) throw new RangeError(`${text} has a prefix that is longer than the address, of ${width} bits`);
    const isZero = (byte: number, i: number) => (byte & (0xff >> Math.min(8, Math.max(0, bits - i * 8)))) === 0;
    if (!network.toByteArray().every(isZero)) throw new RangeError(`${text} has bits beyond its prefix`);
    return new AddressRange(network, bits);
  }

  /** Whether an address lies in it. An IPv6 address that stands for an IPv4 one lies in no IPv4 range. */
  has(address: Address): boolean {
    return address.kind() === this.#network.kind() && address.match(this.#network, this.bits);
  }

  /** What it covers, as numbers; `undefined` for IPv6. */
  get span(): Span | undefined {
    if (this.#network.kind() !== "ipv4") return undefined;
    const start = this.#network.toByteArray().reduce((sum, byte) => sum * 256 + byte, 0);
    return [start, start + 2 ** (32 - this.bits)];
  }
}

/** IPv4 addresses, as numbers, from the first to the one before the end. */
export type Span = readonly [start: number, end: number];

/**
 * Takes addresses out of others.
 * @returns what is left, in order and without overlap, as the fewest ranges in CIDR notation that cover it exactly
 */
export function subtract(spans: readonly Span[], holes: readonly Span[]): readonly string[] {
  const gaps = merged(holes);
  const left: Span[] = [];
  for (const [from, end] of merged(spans)) {
    let start = from;
    for (const [gap, after] of gaps) {
      if (after <= start || gap >= end) continue;
      if (gap > start) left.push([start, gap]);
      start = after;
    }
    if (start < end) left.push([start, end]);
  }
  return left.flatMap(blocksOf);
}

function merged(spans: readonly Span[]): readonly Span[] {
  const all: Span[] = [];
  for (const [start, end] of spans.toSorted(([a], [b]) => a - b)) {
    const last = all.at(-1);
    if (last !== undefined && start <= last[1]) all[all.length - 1] = [last[0], Math.max(last[1], end)];
    else all.push([start, end]);
  }
  return all;
}

function blocksOf([from, end]: Span): string[] {
  const blocks: string[] = [];
  for (let start = from; start < end;) {
    // A block begins at a multiple of its size, so the lowest bit of its first address is the largest that it can have.
    let size = start === 0 ? 2 ** 32 : (start & -start) >>> 0;
    while (size > end - start) size /= 2;
    const bytes = [24, 16, 8, 0].map((shift) => (start >>> shift) & 0xff);
    blocks.push(`${bytes.join(".")}/${32 - Math.log2(size)}`);
    start += size;
  }
  return blocks;
}
