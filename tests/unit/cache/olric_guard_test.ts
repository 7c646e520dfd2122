import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Redis } from "ioredis";
import { Connection } from "../../../services/cache/olric/connection.ts";
import { Call, Deadlines } from "../../../services/cache/olric/deadlines.ts";
import { OlricDriver } from "../../../services/cache/olric/driver.ts";
import { NoAnswer } from "../../../services/cache/olric/replies.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { entry, FakeOlric } from "./support/fake_olric.ts";

const WAITER = { signal: new AbortController().signal };
const at = { map: "m", key: "k" };
const NOTHING = new Error("KEYNOTFOUND key not found"), NO_LOCK = new Error("NOSUCHLOCK no such lock");

Deno.test("who finds its lock gone behind a change is not told that it was made", async () => {
  using member = new FakeOlric(([name, map]) => {
    if (name === "DM.UNLOCK") return NO_LOCK;
    if (name === "DM.GET") return map === "2:ns/d/m" ? entry("k", "1", 7n) : NOTHING;
    return name === "DM.DEL" ? 1 : "OK";
  });
  const driver = await OlricDriver.open({ addresses: [member.address] });
  const value = { json: "1" };
  const changes = [
    () => driver.put("ns", at, value, { condition: { version: "7" } }, WAITER),
    () => driver.put("ns", at, value, { versioned: true }, WAITER),
    () => driver.swap("ns", at, value, undefined, WAITER),
    () => driver.expire("ns", at, 1_000, WAITER),
    () => driver.delete("ns", at, "7", WAITER),
  ];
  try {
    for (const change of changes) {
      member.asked.length = 0;
      await rejects(change(), (error) => {
        ok(error instanceof GatewayError && error.code === "UNAVAILABLE", String(error));
        ok(/may have happened/.test(error.message), error.message);
        return true;
      });
      equal(member.asked.filter(([name]) => name === "DM.UNLOCK").length, 1, "it is not tried again");
    }
    await rejects(driver.put("ns", at, value, { condition: { version: "8" } }, WAITER), (error) => {
      return error instanceof GatewayError && error.code === "PRECONDITION_FAILED";
    });
  } finally {
    await driver.close();
  }
});

Deno.test("nothing is sent of a call that has no time left, however it came to that", async () => {
  let now = 0;
  using member = new FakeOlric();
  const deadlines = new Deadlines(() => now);
  const dialler = { timeout: 1_000, password: undefined, deadlines, Redis };
  const connection = await Connection.open(member.address, dialler, () => {});
  try {
    const call = new Call(WAITER, now, 100);
    now = 99;
    equal((await connection.send([["DM.PUT", "m", "k", "in time"]], call)).length, 1);
    now = 100;
    await rejects(connection.send([["DM.PUT", "m", "k", "too late"]], call), (error) => {
      return error instanceof NoAnswer && !error.sent;
    });
    equal((await connection.send([["PING"]], new Call(WAITER, now, 100))).length, 1, "the connection is of use");
    deepEqual(member.asked.map(([name]) => name), ["DM.PUT", "PING"]);
  } finally {
    connection.close();
    deadlines.close();
  }
});
