import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { del, get, incr, lease, put, scan, unlock } from "../../../services/cache/olric/commands.ts";
import { judge, MemberFailure } from "../../../services/cache/olric/replies.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

Deno.test("commands have every option with its value", () => {
  deepEqual(put("m", "k", "1"), ["DM.PUT", "m", "k", "1"]);
  deepEqual(put("m", "k", "1", { ttl: 5, only: "NX" }), ["DM.PUT", "m", "k", "1", "PX", "5", "NX"]);
  deepEqual(put("m", "k", "1", { expiresAt: 1_900_000_000_000, only: "XX" }), [
    "DM.PUT",
    "m",
    "k",
    "1",
    "PXAT",
    "1900000000000",
    "XX",
  ]);
  deepEqual(get("m", "k"), ["DM.GET", "m", "k", "RW"]);
  deepEqual(del("m", "k"), ["DM.DEL", "m", "k"]);
  deepEqual(incr("m", "k", -9_007_199_254_740_991), ["DM.INCR", "m", "k", "-9007199254740991"]);
  deepEqual(incr("m", "k", -0), ["DM.INCR", "m", "k", "0"]);
  deepEqual(unlock("m", "k", "00ff"), ["DM.UNLOCK", "m", "k", "00ff"]);
  deepEqual(lease("m", "k", "00ff", 7), ["DM.PLOCKLEASE", "m", "k", "00ff", "7"]);
  deepEqual(scan(3, "m", 2n ** 64n - 1n, 10), ["DM.SCAN", "3", "m", "18446744073709551615", "COUNT", "10"]);
});

Deno.test("a command that would end a member, or mean nothing, cannot be made", () => {
  for (
    const make of [
      () => put("m", "k", "1", { ttl: 0 }),
      () => put("m", "k", "1", { ttl: -1 }),
      () => put("m", "k", "1", { ttl: 1.5 }),
      () => put("m", "k", "1", { ttl: NaN }),
      () => put("m", "k", "1", { ttl: Infinity }),
      () => put("m", "k", "1", { ttl: 1e300 }),
      () => put("m", "k", "1", { expiresAt: 0 }),
      () => incr("m", "k", 0.5),
      () => incr("m", "k", 2 ** 53),
      () => unlock("m", "k", ""),
      () => unlock("m", "k", "0"),
      () => unlock("m", "k", "zz"),
      () => lease("m", "k", "00 PX", 1),
      () => lease("m", "k", "00", 0),
      () => scan(-1, "m", 0n, 10),
      () => scan(0.5, "m", 0n, 10),
      () => scan(0, "m", -1n, 10),
      () => scan(0, "m", 2n ** 64n, 10),
      () => scan(0, "m", 0n, 0),
    ]
  ) throws(make, RangeError);
});

Deno.test("error replies are judged by their first word", () => {
  equal(judge("KEYNOTFOUND key not found"), "KEYNOTFOUND");
  equal(judge("KEYFOUND key found"), "KEYFOUND");
  equal(judge("NOSUCHLOCK no such lock"), "NOSUCHLOCK");
  const large = judge("ENTRYTOOLARGE entry too large for the configured table size");
  ok(large instanceof GatewayError && large.code === "BODY_TOO_LARGE" && /tableSize/.test(large.message));
  for (
    const text of [
      "ERR tcp 10.0.0.1:3320: connect: connection refused",
      "ERR client is closed",
      "CLUSTERQUORUM cannot be reached cluster quorum to operate",
      "OPERATIONTIMEOUT operation timeout",
      "NOAUTH Authentication required.",
      "KEYNOTFOUNDER",
      "keynotfound",
      "",
    ]
  ) ok(judge(text) instanceof MemberFailure, text);
});
