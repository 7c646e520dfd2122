import { deepEqual, equal } from "node:assert/strict";
import { readCid } from "../../../services/storage/cids.ts";
import { CID } from "multiformats/cid";
import { base58btc } from "multiformats/bases/base58";
import { base32nopad } from "@scure/base";
import { Chance } from "../control_plane/support/chance.ts";
import { cidOf } from "../../support/memory_content.ts";
import { utf8 } from "./support/storage.ts";

const V0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG";
const V1 = "bafybeie5nqv6kd3qnfjupgvz34woh3oksc3iau6abmyajn7qvtf47mlsz4";

Deno.test("a CID is one, however it is spelled; version 0 is written as it was given", () => {
  deepEqual(readCid(V0), { canonical: V1, written: V0 });
  deepEqual(readCid(V1), { canonical: V1, written: V1 });
  deepEqual(readCid(CID.parse(V1).toString(base58btc)), { canonical: V1, written: V1 });
});

Deno.test("every CID of a random digest is read as the standard library reads it", () => {
  const chance = new Chance(1);
  for (let i = 0; i < 300; i++) {
    const digest = chance.bytes(32);
    const codec = chance.pick([0x55, 0x70, 0x71, 0x0129]);
    const varint = codec < 0x80 ? [codec] : [codec & 0x7f | 0x80, codec >> 7];
    const bytes = Uint8Array.of(1, ...varint, 0x12, 0x20, ...digest);
    const text = `b${base32nopad.encode(bytes).toLowerCase()}`;
    equal(readCid(text)?.canonical, CID.parse(text).toString());
    equal(readCid(CID.parse(text).toString(base58btc))?.canonical, text);
    if (codec === 0x70) equal(readCid(CID.parse(text).toV0().toString())?.canonical, text);
  }
});

Deno.test("what is no CID, or another spelling of one, is not read", () => {
  const raw = cidOf(utf8("hello"));
  const of = (...bytes: readonly number[]) => `b${base32nopad.encode(Uint8Array.from(bytes)).toLowerCase()}`;
  const digest = Array<number>(32).fill(7);
  for (
    const text of [
      "",
      "b",
      "Qm",
      "QmInvalidCID123456789",
      `${V0}a`,
      V0.slice(0, -1),
      V0.replace("Y", "0"),
      `${V1}=`,
      V1.toUpperCase(),
      ` ${V1}`,
      `${V1}\n`,
      `/ipfs/${V1}`,
      raw.slice(0, -1),
      `${raw}a`,
      `${raw.slice(0, -1)}z`,
      "bafkqaaa", // identity, empty
      of(1, 0x55, 0x00, 32, ...digest), // identity
      of(0, 0x55, 0x12, 32, ...digest), // version 0 in base32
      of(2, 0x55, 0x12, 32, ...digest), // a later version
      of(1, 0x55, 0x12, 31, ...digest), // something behind the digest
      of(1, 0x55, 0x12, 33, ...digest), // a digest that is cut
      of(1, 0xd5, 0x00, 0x12, 32, ...digest), // a number that is longer than it need be
      of(1, 0x55, 0x12, 4, 1, 2, 3, 4), // a digest that anybody could find again
      of(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x12, 32, ...digest),
      of(1),
      "z",
      "z0",
      `b${"a".repeat(500)}`,
      `m${btoa("hello world, this is no CID at all")}`,
    ]
  ) equal(readCid(text), undefined, text);
});
