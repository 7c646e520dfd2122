import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { decode as decodeCbor, encode as encodeCbor } from "@ipld/dag-cbor";
import { decode as decodePb, encode as encodePb } from "@ipld/dag-pb";
import { CID } from "multiformats/cid";
import { keyOf } from "../../../services/storage/car/cids.ts";
import { linksOfDagCbor } from "../../../services/storage/car/dag_cbor.ts";
import { decodeDagPb } from "../../../services/storage/car/dag_pb.ts";
import { CidList, Links } from "../../../services/storage/car/links.ts";
import { Message } from "../../../services/storage/local/message.ts";
import { anyBlock, cidOf, CODES, joined, pbBlock, UNIXFS, varint } from "../../support/blocks.ts";
import { Chance } from "../control_plane/support/chance.ts";

const NAMES = ["", "a", "ü", "😀", "\ufeffmark", "x".repeat(300), "00", "FFname"];

function cidBy(chance: Chance): CID {
  const cid = cidOf(chance.pick([CODES.raw, CODES.dagPb, CODES.dagCbor, 0x0129]), chance.bytes(8));
  return cid.code === CODES.dagPb && chance.below(2) === 0 ? cid.toV0() : cid;
}

/** Links as this reads them, or that it does not. */
function ours(bytes: Uint8Array) {
  try {
    const { data, links } = decodeDagPb(bytes);
    return { data: data?.toHex(), links: [...links].map(({ cid, name }) => [cid.toString(), name]) };
  } catch {
    return undefined;
  }
}

function theirs(bytes: Uint8Array) {
  try {
    const { Data, Links } = decodePb(bytes);
    return {
      data: Data?.toHex(),
      // Their reader takes a mark of the byte order away from the beginning of a name.
      links: Links.map(({ Hash, Name = "" }) => [Hash.toString(), Name === "mark" ? "\ufeffmark" : Name]),
    };
  } catch {
    return undefined;
  }
}

Deno.test("blocks of dag-pb are read as the library of its authors reads them", () => {
  const chance = new Chance(7);
  for (let round = 0; round < 300; round++) {
    const Links = Array.from({ length: chance.below(6) }, () => ({
      Hash: cidBy(chance),
      ...(chance.below(4) > 0 && { Name: chance.pick(NAMES) }),
      ...(chance.below(4) > 0 && { Tsize: chance.below(2 ** 31) * chance.pick([1, 1_000]) }),
    })).toSorted((a, b) => Buffer.compare(Buffer.from(a.Name ?? ""), Buffer.from(b.Name ?? "")));
    const bytes = encodePb({ Links, ...(chance.below(3) > 0 && { Data: chance.bytes(chance.below(9)) }) });
    const read = ours(bytes);
    ok(read !== undefined);
    deepEqual(read, theirs(bytes));
  }
});

Deno.test("what is no dag-pb is no dag-pb for either, wherever it stops making sense", () => {
  const chance = new Chance(8);
  const whole = pbBlock([{ name: "a", cid: cidBy(chance) }, { name: "bc", cid: cidBy(chance) }], {
    type: UNIXFS.directory,
  }).bytes;
  let refused = 0;
  for (let round = 0; round < 4_000; round++) {
    const bytes = whole.slice(0, chance.below(3) === 0 ? chance.below(whole.length) : whole.length);
    for (let i = chance.below(3); i >= 0 && bytes.length > 0; i--) {
      bytes[chance.below(bytes.length)] = chance.below(256);
    }
    const read = ours(bytes), expected = theirs(bytes);
    // A CID that says its version in a way of its own is nothing that anybody makes; it is refused here.
    if (read === undefined && expected?.links.every(([cid]) => CID.parse(cid!).version === 1) !== true) refused++;
    else deepEqual(read, expected, bytes.toHex());
  }
  ok(refused > 100, String(refused));
});

Deno.test("links of dag-cbor are those that the library of its authors finds", () => {
  const chance = new Chance(9);
  const value = (depth: number): unknown => {
    const kind = chance.below(depth > 4 ? 8 : 11);
    if (kind === 8) return Array.from({ length: chance.below(4) }, () => value(depth + 1));
    if (kind > 8) {
      return Object.fromEntries(Array.from({ length: chance.below(4) }, (_, i) => [`k${i}`, value(depth + 1)]));
    }
    return [null, true, 7, -2_000_000_000, 1.5, "text", chance.bytes(chance.below(300)), cidBy(chance)][kind];
  };
  const cidsIn = (one: unknown): string[] => {
    const cid = CID.asCID(one);
    if (cid !== null) return [cid.toString()];
    return typeof one === "object" && one !== null && !(one instanceof Uint8Array)
      ? Object.values(one).flatMap(cidsIn)
      : [];
  };
  let found = 0;
  for (let round = 0; round < 1_000; round++) {
    const bytes = encodeCbor([value(0), value(0)]), expected = cidsIn(decodeCbor(bytes));
    deepEqual([...linksOfDagCbor(bytes)].map(({ cid }) => cid.toString()), expected);
    found += expected.length;
    if (bytes.length > 1) throws(() => linksOfDagCbor(bytes.subarray(0, bytes.length - 1)));
    throws(() => linksOfDagCbor(joined([bytes, [0]])));
  }
  ok(found > 100, String(found));
});

Deno.test("what dag-cbor does not allow is refused, also where it claims to be longer or deeper than anything", () => {
  const wrong: readonly (readonly number[])[] = [
    [0x9f, 0xff],
    [0x5f, 0xff],
    [0xc0, 0x60],
    [0xd8, 42, 0x60],
    [0xd8, 42, 0x40],
    [0xd8, 42, 0x41, 1],
    [0xd8, 42, 0x42, 0, 1],
    [0xf8, 0x20],
    [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    Array(2_000).fill(0x81),
    [],
  ];
  for (const bytes of wrong) throws(() => linksOfDagCbor(Uint8Array.from(bytes)), String(bytes.slice(0, 10)));
  equal(linksOfDagCbor(Uint8Array.from([...Array(1_000).fill(0x81), 0xf6])).length, 0);
});

Deno.test("a CID as a key is as the library writes it, and comes back from a list as it was", () => {
  const chance = new Chance(10), list = new CidList();
  const cids = Array.from({ length: 200 }, () => cidBy(chance));
  for (const cid of cids) {
    equal(keyOf(cid), cid.toV1().toString());
    if (cid.code !== 0x0129) list.push(cid);
  }
  const taken = cids.filter(({ code }) => code !== 0x0129);
  taken.forEach((cid, i) => ok(list.at(i).equals(cid) && list.at(i).version === cid.version));
  for (const cid of taken.toReversed()) ok(list.pop()!.equals(cid));
  equal(list.pop(), undefined);
});

Deno.test("links are found by the bytes of their names, and say which of them are not taken", () => {
  const cids = [
    cidOf(CODES.raw, Uint8Array.of(1)),
    cidOf(0x0129, Uint8Array.of(2)),
    cidOf(CODES.dagPb, Uint8Array.of(3)),
  ];
  const { links } = decodeDagPb(pbBlock(cids.map((cid, i) => ({ name: ["a", "ab", "é"][i]!, cid }))).bytes);
  deepEqual(["a", "ab", "é", "e", "", "abc"].map((name) => links.find(name)), [0, 1, 2, -1, -1, -1]);
  deepEqual([links.problem(0), links.problem(2)], [undefined, undefined]);
  ok(links.problem(1)?.includes("0x129"));
  deepEqual([links.code(0), links.code(2)], [CODES.raw, CODES.dagPb]);
  equal(links.digest(2).toHex(), cids[2]!.multihash.digest.toHex());
  equal(new Links(new Uint8Array(0)).length, 0);
});

Deno.test("blocks of dag-pb are written as the library of its authors writes them", () => {
  const chance = new Chance(11);
  for (const count of [0, 1, 3, 200]) {
    const Links = Array.from({ length: count }, (_, i) => ({
      Hash: cidBy(chance),
      Name: `${String(i).padStart(3, "0")}${chance.pick(NAMES)}`,
      Tsize: chance.pick([0, 127, 128, 2 ** 32, 2 ** 50]),
    }));
    const message = new Message();
    for (const { Hash, Name, Tsize } of Links) message.link(Hash.bytes, new TextEncoder().encode(Name), Tsize);
    equal(message.node([8, 1]).toHex(), encodePb({ Links, Data: Uint8Array.of(8, 1) }).toHex());
  }
});

Deno.test("a shard with more links than places is none", async () => {
  const { decodeNode, MalformedBlock } = await import("../../../services/storage/car/nodes.ts");
  const cid = cidOf(CODES.raw, Uint8Array.of(1));
  const shard = (count: number) =>
    pbBlock(Array.from({ length: count }, (_, i) => ({ name: `${i.toString(16).padStart(2, "0")}n`, cid })), {
      type: UNIXFS.shard,
      fanout: 8,
    });
  // Eight places are told by one letter.
  equal(decodeNode(shard(8).cid, shard(8).bytes).links.length, 8);
  throws(() => decodeNode(shard(9).cid, shard(9).bytes), MalformedBlock);
  const further = pbBlock([{ name: "0", cid: cidOf(0x0129, Uint8Array.of(1)) }], { type: UNIXFS.shard, fanout: 8 });
  throws(() => decodeNode(further.cid, further.bytes), MalformedBlock, "a further shard that nobody takes");
  const sizes = anyBlock(CODES.dagPb, joined([[10, 4, 8, UNIXFS.file, 32], varint(5)]));
  throws(() => decodeNode(sizes.cid, sizes.bytes), MalformedBlock, "a size without a link");
});
