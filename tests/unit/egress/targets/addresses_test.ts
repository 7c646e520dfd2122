import { deepEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import { BlockList } from "node:net";
import ipaddr from "ipaddr.js";
import {
  type AddressRuleOptions,
  AddressRules,
  deniedNetworks,
} from "../../../../services/egress/targets/addresses.ts";
import { ipv4, ipv6, randomFrom } from "./support/random.ts";

const NONE: AddressRuleOptions = { own: [], denied: [], allowed: [], ipv6: true };
const DEFAULTS = new AddressRules(NONE);
const rules = (options: Partial<AddressRuleOptions>) => new AddressRules({ ...NONE, ...options });

/** The registries once more, as their pages have them, for what only numbers should tell. */
const IPV4 = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"],
  ...["198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"],
];
const IPV6 = [
  ...["::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"],
  ...["2001::/23", "2001::/32", "2001:1::1/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28"],
  ...["2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16"],
  ...["fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "::/3", "4000::/2", "8000::/1"],
];
const numberOf = (address: string) =>
  ipaddr.parse(address).toByteArray().reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);

function blockList(texts: readonly string[], family: "ipv4" | "ipv6"): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [net, bits] = text.split("/");
    list.addSubnet(net!, Number(bits), family);
  }
  return list;
}

/** The first and last addresses of ranges, and those beside them. */
const edgesOf = (texts: readonly string[], width: number) =>
  texts.flatMap((text) => {
    const [net, bits] = text.split("/");
    const first = numberOf(net!), last = first + 2n ** BigInt(width - Number(bits)) - 1n;
    return [first - 1n, first, first + 1n, last - 1n, last, last + 1n];
  }).filter((number) => number >= 0n && number < 2n ** BigInt(width));

const isIsatap = (address: string) => /:(0|200)?:?5efe:[\da-f]+:[\da-f]+$/.test(address);

Deno.test("IPv4 addresses are refused where the registries have them, and nowhere else", () => {
  const list = blockList(IPV4, "ipv4"), random = randomFrom(1);
  const samples = [
    ...edgesOf(IPV4, 32).map(Number),
    ...Array.from({ length: 5_000 }, () => random(2 ** 32)),
    // Half of them within some range, or random ones would hardly ever hit the small.
    ...IPV4.flatMap((text) => {
      const [net, bits] = text.split("/"), first = Number(numberOf(net!));
      return Array.from({ length: 100 }, () => first + random(2 ** (32 - Number(bits))));
    }),
  ];
  let refused = 0;
  for (const address of samples.map(ipv4)) {
    const kind = DEFAULTS.refusal(address);
    equal(kind !== undefined, list.check(address, "ipv4"), address);
    if (ipaddr.parse(address).range() !== "unicast") notEqual(kind, undefined, address);
    if (kind !== undefined) refused++;
  }
  ok(refused > 2_000 && samples.length - refused > 3_000, String(refused));
});

Deno.test("IPv6 addresses are refused where the registries have them or outside 2000::/3, and nowhere else", () => {
  const list = blockList(IPV6, "ipv6"), random = randomFrom(2);
  const randomBits = (bits: number) => {
    let number = 0n;
    for (let i = 0; i < 8; i++) number = number << 16n | BigInt(random(65_536));
    return number % 2n ** BigInt(bits);
  };
  const samples = [
    ...edgesOf(IPV6, 128),
    ...Array.from({ length: 2_000 }, () => randomBits(128)),
    ...Array.from({ length: 3_000 }, () => (1n << 125n) + randomBits(125)),
    ...IPV6.flatMap((text) => {
      const [net, bits] = text.split("/");
      return Array.from({ length: 50 }, () => numberOf(net!) + randomBits(128 - Number(bits)));
    }),
  ];
  let refused = 0;
  for (const address of samples.map(ipv6)) {
    const kind = DEFAULTS.refusal(address);
    equal(kind !== undefined, list.check(address, "ipv6") || isIsatap(address), address);
    if (ipaddr.parse(address).range() !== "unicast") notEqual(kind, undefined, address);
    if (kind !== undefined) refused++;
  }
  ok(refused > 2_000 && samples.length - refused > 2_000, String(refused));
});

Deno.test("every IPv4 address in IPv6 clothes is refused, whatever is allowed", () => {
  const random = randomFrom(3);
  const strict = rules({}), loose = rules({ allowed: ["::/0", "0.0.0.0/0"] });
  for (let i = 0; i < 500; i++) {
    const number = BigInt(random(2 ** 32 - 2) + 2);
    const dressed = [
      number,
      numberOf("::ffff:0:0") + number,
      numberOf("::ffff:0:0:0") + number,
      numberOf("64:ff9b::") + number,
      numberOf("64:ff9b:1::") + (number << 40n),
      numberOf("2002::") + (number << 80n) + 1n,
      numberOf("2001::") + number,
      numberOf("2606:4700::5efe:0:0") + number,
      numberOf("2606:4700::200:5efe:0:0") + number,
    ].map(ipv6);
    for (const address of dressed) {
      equal(strict.refusal(address), "IPv4 in IPv6", address);
      equal(loose.refusal(address), "IPv4 in IPv6", address);
    }
  }
  for (const address of ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "::FFFF:7F00:1"]) {
    equal(loose.refusal(address), "IPv4 in IPv6", address);
  }
});

Deno.test("a refusal says of what kind an address is", () => {
  const kinds = {
    "0.0.0.0": "unspecified",
    "127.0.0.1": "loopback",
    "10.1.2.3": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "shared with a provider",
    "100.100.100.200": "shared with a provider (metadata)",
    "169.254.1.1": "link-local",
    "169.254.169.254": "link-local (metadata)",
    "168.63.129.16": "platform of a provider (metadata)",
    "192.0.0.192": "reserved (metadata)",
    "192.0.2.1": "documentation",
    "198.18.0.1": "benchmarking",
    "224.0.0.251": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "fe80::1": "link-local",
    "fec0::1": "site-local",
    "fd12::1": "private",
    "fd00:ec2::254": "private (metadata)",
    "ff02::1": "multicast",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "2001:20::1": "reserved",
    "100::1": "discarded",
    "4000::1": "reserved",
    "::2": "IPv4 in IPv6",
    "2002:7f00:1::": "IPv4 in IPv6",
  };
  deepEqual(Object.fromEntries(Object.keys(kinds).map((address) => [address, DEFAULTS.refusal(address)])), kinds);
});

Deno.test("an address in any spelling but the usual one is refused, though it be public or allowed", () => {
  const loose = rules({ allowed: ["0.0.0.0/0", "::/0"] });
  for (
    const [text, kind] of [
      ...[
        "8.8.8",
        "8.8.8.8.",
        "08.8.8.8",
        "010.8.8.8",
        "0x8.8.8.8",
        "134744072",
        " 8.8.8.8",
        "8.8.8.8 ",
        "8.8.8.256",
        "",
      ]
        .map((text) => [text, "not an address"]),
      ...[
        "dns.example",
        "8.8.8.8:53",
        "8.8.8.8/32",
        "8.8.8.8\n",
        "８.8.8.8",
        "[2606:4700::1]",
        "2606:4700::1%eth0",
        "::1%1",
      ]
        .map((text) => [text, "not an address"]),
      ...["2606:4700:0:0:0:0:0:1", "2606:4700::0001", "2606:4700::A", "2606:4700::1.2.3.4", "2606:4700:0::1", "0::1"]
        .map((text) => [text, "not the usual spelling of an address"]),
    ] as const
  ) {
    equal(DEFAULTS.refusal(text!), kind, JSON.stringify(text));
    equal(loose.refusal(text!), kind, JSON.stringify(text));
  }
  equal(DEFAULTS.refusal("8.8.8.8"), undefined);
  equal(DEFAULTS.refusal("2606:4700::1"), undefined);
});

Deno.test("the back end's own addresses are refused in all their spellings, public ones too", () => {
  const own = ["93.184.216.34", "2606:4700:0:0::A", "fe80::1%eth0", "::ffff:93.184.216.35"];
  const strict = rules({ own });
  equal(strict.refusal("93.184.216.34"), "own address");
  equal(strict.refusal("93.184.216.35"), "own address");
  equal(strict.refusal("2606:4700::a"), "own address");
  equal(strict.refusal("fe80::1"), "own address");
  equal(strict.refusal("93.184.216.36"), undefined);
  equal(strict.refusal("2606:4700::b"), undefined);
});

Deno.test("what an operator denies is refused; what is allowed wins over what is inner, denied and own", () => {
  const some = rules({
    own: ["127.0.0.2", "93.184.216.34"],
    denied: ["93.184.216.0/24", "2606:4700::/32", "8.8.8.8"],
    allowed: ["127.0.0.2/32", "fd00:1::/32", "93.184.216.128/25", "::1"],
  });
  const expected = {
    "93.184.216.1": "denied",
    "93.184.216.34": "own address",
    "93.184.216.129": undefined,
    "2606:4700::1": "denied",
    "8.8.8.8": "denied",
    "8.8.4.4": undefined,
    "127.0.0.1": "loopback",
    "127.0.0.2": undefined,
    "127.0.0.3": "loopback",
    "::1": undefined,
    "fd00:1::1": undefined,
    "fd00:2::1": "private",
  };
  deepEqual(Object.fromEntries(Object.keys(expected).map((address) => [address, some.refusal(address)])), expected);
});

Deno.test("without IPv6 every IPv6 address is refused, allowed ones too", () => {
  const old = rules({ ipv6: false, allowed: ["fd00::/8"] });
  for (const address of ["2606:4700::1", "fd00::1", "::1"]) equal(old.refusal(address), "IPv6 is switched off");
  equal(old.refusal("8.8.8.8"), undefined);
});

Deno.test("a list with what is no address or range is no list", () => {
  for (const own of ["", "localhost", "10.0.0.0/8", "127.1", "::1%", "1.2.3.4%"]) {
    throws(() => rules({ own: [own] }), RangeError, own);
    throws(() => deniedNetworks({ ...NONE, own: [own] }), RangeError, own);
  }
  for (
    const text of ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10/8", "fd00::1/8", "*", "0/0"]
  ) {
    for (const list of ["denied", "allowed"]) {
      throws(() => rules({ [list]: [text] }), { name: "RangeError" }, text);
      throws(() => deniedNetworks({ ...NONE, [list]: [text] }), { name: "RangeError" }, text);
    }
  }
});

Deno.test("the rights of a process leave out the same IPv4 addresses as the rules", () => {
  const random = randomFrom(4);
  for (let round = 0; round < 30; round++) {
    const range = () => {
      const bits = 4 + random(29);
      return `${ipv4(random(2 ** bits) * 2 ** (32 - bits))}/${bits}`;
    };
    const lists = {
      own: Array.from({ length: 5 }, () => ipv4(random(2 ** 32))),
      denied: Array.from({ length: 4 }, range),
      allowed: [...Array.from({ length: random(4) }, range), "127.0.0.2/32", "10.9.0.0/16"],
    };
    const some = rules(lists), networks = deniedNetworks(lists), list = blockList(networks, "ipv4");
    const samples = [
      ...edgesOf([...IPV4, ...lists.denied, ...lists.allowed, ...lists.own.map((own) => `${own}/32`), ...networks], 32)
        .map(Number),
      ...Array.from({ length: 200 }, () => random(2 ** 32)),
    ];
    for (const address of samples.map(ipv4)) {
      equal(list.check(address, "ipv4"), some.refusal(address) !== undefined, `${address} ${JSON.stringify(lists)}`);
    }
  }
});

Deno.test("the rights of a process around one address that is allowed are the blocks beside it", () => {
  const networks = deniedNetworks({ ...NONE, allowed: ["127.0.0.2/32"] });
  const beside = networks.filter((network) => network.startsWith("127."));
  equal(beside.length, 24);
  deepEqual(beside.slice(0, 4), ["127.0.0.0/31", "127.0.0.3/32", "127.0.0.4/30", "127.0.0.8/29"]);
  equal(beside.at(-1), "127.128.0.0/9");
  ok(networks.includes("0.0.0.0/8") && networks.includes("169.254.0.0/16") && networks.includes("224.0.0.0/3"));
  ok(networks.every((network) => !network.includes(":")), "Deno takes no IPv6 ranges");
  deepEqual(deniedNetworks({ ...NONE, allowed: ["0.0.0.0/0"] }), []);
  deepEqual(deniedNetworks({ ...NONE, own: ["::1", "fd00::1"], denied: ["fd00::/8"] }), deniedNetworks(NONE));
});
