import { deepEqual, equal } from "node:assert/strict";
import { Delegates } from "../../../services/storage/requests/delegates.ts";
import { usableDelegates } from "../../../services/storage/ipfs/origins.ts";

const PEER = "/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm";
const at = (host: string) => `/ip4/${host}/tcp/4001${PEER}`;

Deno.test("addresses of nodes are told in turn, at most 20, and those of private networks only where they are allowed", () => {
  const told = [[at("127.0.0.1"), at("9.9.9.1"), at("9.9.9.2")], [], [at("9.9.9.3"), at("10.0.0.1")]];
  deepEqual(usableDelegates(told, false), [at("9.9.9.1"), at("9.9.9.3"), at("9.9.9.2")]);
  deepEqual(usableDelegates(told, true), [
    at("127.0.0.1"),
    at("9.9.9.3"),
    at("9.9.9.1"),
    at("10.0.0.1"),
    at("9.9.9.2"),
  ]);
  const many = [0, 1, 2].map((node) => Array.from({ length: 15 }, (_, i) => at(`9.9.${node}.${i}`)));
  const some = usableDelegates(many, false);
  equal(some.length, 20);
  for (const [node, addresses] of many.entries()) {
    equal(some.filter((one) => addresses.includes(one)).length, node === 2 ? 6 : 7);
  }
  deepEqual(
    usableDelegates([["/ip4/9.9.9.9/tcp/1", "x", `/unix/a${PEER}`]], true),
    [],
    "nobody could connect to these",
  );
  deepEqual(usableDelegates([], true), []);
});

Deno.test("addresses hold for a minute; while nodes cannot be asked, those known before are told", async () => {
  let now = 0, asked = 0, fails = false;
  const delegates = new Delegates({
    delegates() {
      asked++;
      return fails ? Promise.reject(new Error("down")) : Promise.resolve([`address ${asked}`]);
    },
  }, () => now);
  const seen = async () => [...await delegates.get(), asked];
  deepEqual(await seen(), ["address 1", 1]);
  now += 59_999;
  deepEqual(await seen(), ["address 1", 1]);
  fails = true;
  now += 1;
  deepEqual(await seen(), ["address 1", 2]);
  deepEqual(await seen(), ["address 1", 2], "who is down is not asked each time");
  fails = false;
  now += 5_000;
  deepEqual(await seen(), ["address 3", 3]);
});

Deno.test("an engine without a network has no addresses", async () => {
  deepEqual(await new Delegates({}).get(), []);
});
