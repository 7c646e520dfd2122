import { deepEqual, equal, ok } from "node:assert/strict";
import { AddressRange, readAddress, type Span, subtract } from "../../../../services/egress/targets/ranges.ts";
import { ipv4, randomFrom } from "./support/random.ts";

const spans = (...texts: readonly string[]): readonly Span[] => texts.map((text) => AddressRange.of(text).span!);

Deno.test("what is taken out of a range leaves the fewest blocks around it", () => {
  deepEqual(subtract(spans("10.0.0.0/8"), []), ["10.0.0.0/8"]);
  deepEqual(subtract(spans("10.0.0.0/30"), spans("10.0.0.1/32")), ["10.0.0.0/32", "10.0.0.2/31"]);
  deepEqual(subtract(spans("10.0.0.0/8"), spans("10.0.0.0/8")), []);
  deepEqual(subtract(spans("10.0.0.0/8"), spans("0.0.0.0/0")), []);
  deepEqual(subtract(spans("10.0.0.0/8"), spans("11.0.0.0/8", "9.0.0.0/8")), ["10.0.0.0/8"]);
  deepEqual(subtract(spans("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"), []), ["10.0.0.0/8"], "neighbours are one");
  deepEqual(subtract(spans("0.0.0.0/0"), []), ["0.0.0.0/0"]);
  deepEqual(subtract(spans("0.0.0.0/0"), spans("128.0.0.0/1")), ["0.0.0.0/1"]);
  deepEqual(subtract(spans("255.255.255.254/31"), spans("255.255.255.254")), ["255.255.255.255/32"]);
  equal(subtract(spans("0.0.0.0/0"), spans("255.255.255.255/32")).length, 32);
  equal(subtract(spans("0.0.0.0/0"), spans("0.0.0.0/32")).length, 32);
  deepEqual(subtract([], spans("10.0.0.0/8")), []);
});

Deno.test("what is left is exactly what was in the ranges and not in the holes, for many of both", () => {
  const random = randomFrom(5);
  // Eight bits of addresses can be looked at one by one, and lie at the top, where signs would go wrong.
  const top = 2 ** 32 - 256;
  for (let round = 0; round < 3_000; round++) {
    const few = () =>
      Array.from({ length: random(5) }, () => {
        const bits = 24 + random(9), size = 2 ** (32 - bits);
        return `${ipv4(top + Math.floor(random(256) / size) * size)}/${bits}`;
      });
    const from = few(), holes = few();
    const left = subtract(spans(...from), spans(...holes));
    const has = (texts: readonly string[]) => {
      const found = new Uint8Array(256);
      for (const [start, end] of spans(...texts)) for (let i = start; i < end; i++) found[i - top]!++;
      return found;
    };
    const all = has(from), out = has(holes), rest = has(left);
    for (let i = 0; i < 256; i++) {
      equal(rest[i], all[i]! > 0 && out[i] === 0 ? 1 : 0, `${ipv4(top + i)} of ${from} without ${holes}: ${left}`);
    }
    ok(left.every((text, i) => i === 0 || spans(left[i - 1]!)[0]![1] <= spans(text)[0]![0]), "in order");
  }
});

Deno.test("a range has its first and last address and not those beside them", () => {
  const random = randomFrom(6);
  for (let round = 0; round < 2_000; round++) {
    const bits = 1 + random(32), size = 2 ** (32 - bits);
    const first = random(2 ** bits) * size, text = `${ipv4(first)}/${bits}`, range = AddressRange.of(text);
    const has = (number: number) => range.has(readAddress(ipv4(number))!);
    deepEqual(range.span, [first, first + size], text);
    ok(has(first) && has(first + size - 1), text);
    if (first > 0) equal(has(first - 1), false, text);
    if (first + size < 2 ** 32) equal(has(first + size), false, text);
  }
});

Deno.test("addresses of one kind are never in a range of the other", () => {
  equal(AddressRange.of("0.0.0.0/0").has(readAddress("::ffff:10.0.0.1")!), false);
  equal(AddressRange.of("0.0.0.0/0").has(readAddress("::1")!), false);
  equal(AddressRange.of("::/0").has(readAddress("10.0.0.1")!), false);
  equal(AddressRange.of("::/0").has(readAddress("::1")!), true);
  equal(AddressRange.of("fd00::/8").span, undefined);
});
