import { deepEqual, equal, match } from "node:assert/strict";
import { CacheCaller } from "../support/cache.ts";
import type { Answer } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { engineTest } from "./support/engine_test.ts";

const TABLE = 65_536;
const LARGE = "x".repeat(TABLE);
/** Beyond what the namespace may store, whatever the members take. */
const FORBIDDEN = "x".repeat(300_000);

for (const members of [1, 3] as const) {
  engineTest(
    `over HTTP, a value that the tables of ${members} of Olric do not take is 413 with the reason, however it is written`,
    ["olric-server"],
    async (engines) => {
      const cluster = await engines.olric({ members, tableSize: TABLE });
      const config = { cache: { driver: "olric", olric: { addresses: cluster.addresses } } };
      await using gateway = await TestGateway.start({
        cache: { driver: "olric", config, cluster, [Symbol.asyncDispose]: () => Promise.resolve() },
        config: { limits: { cache: { value_bytes: "200KiB" } } },
      });
      const key = await gateway.defaultKey();
      const cache = new CacheCaller(gateway, { key });
      const at = (key: string) => ({ dmap: "m", key });
      const { version } = (await cache.put("m", "kept", "small", { versioned: true })).body;
      const ways: Readonly<Record<string, (value: string) => Promise<Answer>>> = {
        plainly: (value) => cache.call("put", { ...at("kept"), value }),
        "for a while": (value) => cache.call("put", { ...at("kept"), value, ttl: "1h" }),
        "where nothing is": (value) => cache.call("put", { ...at("new"), value, nx: true }),
        "where something is": (value) => cache.call("put", { ...at("kept"), value, xx: true }),
        "over a version": (value) => cache.call("put", { ...at("kept"), value, if_version: version }),
        "for another version": (value) => cache.call("put", { ...at("kept"), value, versioned: true }),
        "in exchange": (value) => cache.call("getset", { ...at("kept"), value }),
        "with others": (value) =>
          cache.call("mput", {
            dmap: "m",
            entries: [at("a"), at("b")].map(({ key }) => ({ key, value: key === "b" ? value : 1 })),
          }),
        "as JSON": (value) =>
          cache.raw("PUT", ["m", "kept"], {
            raw: JSON.stringify(value),
            headers: { "content-type": "application/json" },
          }),
        "as bytes": (value) =>
          cache.raw("PUT", ["m", "kept"], { raw: value, headers: { "content-type": "text/plain" } }),
      };
      for (const [way, write] of Object.entries(ways)) {
        const field = way === "with others" ? "entries.1.value" : "value";
        const answers = [[LARGE, /is larger than the tables of the cache .*tableSize/], [
          FORBIDDEN,
          /limit of this namespace/,
        ]] as const;
        for (const [value, reason] of answers) {
          const answer = await write(value);
          deepEqual(
            [answer.status, answer.get("code"), answer.get("details.field")],
            [413, "BODY_TOO_LARGE", field],
            `${way}: ${answer.text}`,
          );
          match(answer.string("error"), reason, way);
        }
      }
      equal(await cache.value("m", "kept"), "small");
      equal((await cache.get("m", "kept")).get("version"), version);
      deepEqual((await cache.keys("m")).filter((key) => key !== "a"), ["kept"], "nothing came of it");
      await cache.put("m", "fits", "x".repeat(TABLE - 1_000));
      equal((await gateway.call("GET", "/v1/cache/health", { key })).status, 200);
      deepEqual(gateway.log().split("\n").filter((line) => /"level":"(warning|error|fatal)"/.test(line)), []);
    },
  );
}
