import { equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver } from "../support/test_database.ts";

const suite = gatewaySuite();

/** These need a second gateway on the same control plane; embedded there is room for one alone. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: chosenDriver() === "sqlite" || Deno.env.has("TEST_BASE_URL"), fn });
}

test("logout with a token that was made from a key ends it on the other gateway within a second, though it is warm there", async () => {
  await using second = await suite.gateway.twin();
  await using owner = await newOwner(suite.gateway);
  for (let round = 0; round < 3; round++) {
    const made = await suite.gateway.call("POST", "/v1/auth/token", { key: owner.apiKey });
    const token = made.expect(200).string("access_token");
    const elsewhere = async () => (await second.call("GET", "/v1/auth/whoami", { token })).status;
    equal(await elsewhere(), 200);
    (await suite.gateway.call("POST", "/v1/auth/logout", { token })).expect(200);
    const start = performance.now();
    await until("it is dead there", async () => await elsewhere() === 401);
    ok(performance.now() - start < 1_000);
  }
});

test("two tabs that refresh at once on two gateways get the same token, and keep their session", async () => {
  await using second = await suite.gateway.twin();
  await using owner = await newOwner(suite.gateway);
  let refresh_token = owner.refreshToken;
  for (let round = 0; round < 5; round++) {
    const both = [suite.gateway, second, suite.gateway, second];
    const answers = await Promise.all(
      both.map((gateway) => gateway.call("POST", "/v1/auth/refresh", { body: { refresh_token } })),
    );
    const tokens = new Set(answers.map((answer) => answer.expect(200).string("refresh_token")));
    equal(tokens.size, 1);
    [refresh_token = ""] = tokens;
  }
});
