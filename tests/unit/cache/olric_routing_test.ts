import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import xxhash from "xxhash-wasm";
import { type Reply } from "../../../services/cache/olric/replies.ts";
import { Routing } from "../../../services/cache/olric/routing.ts";

const { h64Raw } = await xxhash();
const utf8 = (text: string) => new TextEncoder().encode(text);
const member = (address: string): Reply => [utf8(address), "1795296356", utf8("false")];
const row = (partition: number | string, owners: readonly string[], replicas: readonly string[] = []): Reply => [
  typeof partition === "number" ? `${partition}` as `${bigint}` : utf8(partition),
  owners.map(utf8),
  replicas.map(utf8),
];
const routing = (rows: readonly Reply[], members = ["a:1", "b:2"]) => Routing.of(members.map(member), rows, h64Raw);

Deno.test("a key is in the partition in which a real cluster of 271 partitions had it", () => {
  const table = routing(Array.from({ length: 271 }, (_, i) => row(i, ["a:1"])));
  const seen: readonly (readonly [string, string, number])[] = [
    ["m", "k", 151],
    ["3:abc/d/m", "ké", 105],
    ["3:abc/d/m", "\u0000", 130],
    ["3:abc/d/", "🎉".repeat(60), 231],
    ["2:ab/d/c", "m", 141],
    ["2:ab/d/", "cm", 141],
    ["x".repeat(300), "y", 66],
  ];
  for (const [map, key, partition] of seen) equal(table.partitionOf(map, key), partition, `${map} ${key}`);
});

Deno.test("writes go to the last of the owners; those before it still have keys", () => {
  const table = routing([row("0", ["old:1", "older:2", "a:1"], ["b:2"]), row("1", ["b:2"])]);
  equal(table.partitions, 2);
  equal(table.ownerOf(0), "a:1");
  deepEqual(table.ownersOf(0), ["old:1", "older:2", "a:1"]);
  deepEqual(table.involvedIn(0), ["old:1", "older:2", "a:1", "b:2"]);
  deepEqual(table.involvedIn(1), ["b:2"]);
  equal(table.isAlone, false);
  equal(routing([row(0, ["a:1"])], ["a:1"]).isAlone, true);
});

Deno.test("what a cursor remembers changes when others have the partition, and only then", () => {
  const one = routing([row(0, ["a:1"]), row(1, ["a:1"])]);
  const other = routing([row(0, ["a:1"]), row(1, ["a:1", "b:2"])]);
  equal(one.fingerprintOf(0), other.fingerprintOf(0));
  notEqual(one.fingerprintOf(1), other.fingerprintOf(1));
});

Deno.test("a table that makes no sense is refused, whatever is wrong with it", () => {
  for (
    const rows of [
      [],
      [row(1, ["a:1"])],
      [row(0, ["a:1"]), row(2, ["a:1"])],
      [row(0, [])],
      [["0"]],
      [["0", utf8("a:1"), []]],
      [null],
      ["KEYNOTFOUND"],
    ] as readonly (readonly Reply[])[]
  ) throws(() => routing(rows));
  throws(() => routing([row(0, ["a:1"])], []));
  throws(() => Routing.of(null, [], h64Raw));
  throws(() => Routing.of("KEYNOTFOUND", [], h64Raw));
});
