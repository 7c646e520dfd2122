import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { OPEN, Outside } from "../support/outside.ts";
import { engineTest } from "./support/engine_test.ts";
import { Tor } from "./support/socks_programs.ts";
import { until } from "./support/wait.ts";

const sent = async ({ gateway, port }: Outside, key: string, host: string): Promise<Answer> =>
  await gateway.call("POST", "/v1/proxy/anon", { key, body: { url: `http://${host}:${port}/` } });

engineTest(
  "tor tells namespaces apart, refuses names of inner addresses, and nothing goes past it while it finds no way",
  ["tor"],
  async () => {
    await using tor = await Tor.start({ names: { "inner.example": OPEN, "inner2.example": "127.0.0.1" } });
    await using outside = await Outside.start({ proxies: tor.urls, connect_timeout: "2s" });
    const { gateway, port } = outside;
    await until(
      "the handshake succeeds",
      async () => (await gateway.call("GET", "/v1/status")).get("services.egress.details.proxies") === 1,
    );
    await using one = await newOwner(gateway);
    await using other = await newOwner(gateway);
    for (const host of ["inner.example", "inner2.example"]) {
      equal((await sent(outside, one.apiKey, host)).expect(502).get("code"), "EGRESS_UNREACHABLE");
    }
    const began = performance.now();
    const answers = await Promise.all([one, other, one].map(({ apiKey }) => sent(outside, apiKey, "open.example")));
    for (const answer of answers) equal(answer.expect(422).get("code"), "EGRESS_TIMEOUT");
    ok(performance.now() - began < 10_000);
    const headers = { "x-target-url": `http://open.example:${port}/` };
    const stream = await gateway.call("POST", "/v1/proxy/anon/stream", { key: one.apiKey, headers, raw: "a body" });
    equal(stream.expect(422).get("code"), "EGRESS_TIMEOUT");

    const target = `open.example:${port}`;
    const streams = () => tor.streams.filter((stream) => stream.target === target);
    await until("tor has told of all", () => streams().length === 4);
    const users = Map.groupBy(streams(), ({ username, password }) => `${username}:${password}`);
    deepEqual([...users.values()].map(({ length }) => length).toSorted(), [1, 3]);
    for (const { username, password, isolatedBy } of streams()) {
      ok(username.length >= 16 && password.length >= 16);
      notEqual(username, password);
      ok(isolatedBy.includes("SOCKS_USERNAME") && isolatedBy.includes("SOCKS_PASSWORD"), isolatedBy.join());
      for (const { namespace } of [one, other]) ok(!`${username} ${password}`.includes(namespace));
    }
    ok(tor.streams.every((stream) => !/^[\d.]+:/.test(stream.target)), "names go to it, not addresses");
    deepEqual(outside.got, []);
    deepEqual(outside.dns.asked, []);
    equal(outside.canary, 0);
  },
);
