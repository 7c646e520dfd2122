import { deepEqual, equal, match, notDeepEqual, rejects } from "node:assert/strict";
import { EgressFailure } from "../../../src/contracts/egress.ts";
import { HopFailure, type SocksProxy } from "../../../services/egress/parts.ts";
import { type ConfiguredProxy, Proxies, type ProxyWay } from "../../../services/egress/proxies.ts";

const key = new Uint8Array(32).fill(7);
const first: ConfiguredProxy = { host: "127.0.0.1", port: 1, name: "first" };
const second: ConfiguredProxy = { host: "127.0.0.1", port: 2, name: "second" };
const gone = () => new HopFailure("EGRESS_PROXY_UNAVAILABLE", "nobody answers");

/** Proxies of which those are down whose ports are named. */
function proxiesOf({ proxies = [first, second], down = new Set<number>() } = {}) {
  const changes: string[] = [];
  const probed: string[] = [];
  const all = new Proxies({
    proxies,
    key,
    interval: 60_000,
    hops: {
      probe({ port }: SocksProxy, { username }) {
        probed.push(username);
        return down.has(port) ? Promise.reject(gone()) : Promise.resolve(port);
      },
    },
    onChange: (name, state) => changes.push(`${name} ${state}`),
  });
  const tried: number[] = [];
  const attempt = ({ proxy: { port } }: ProxyWay) => {
    tried.push(port);
    return down.has(port) ? Promise.reject(gone()) : Promise.resolve(port);
  };
  return { all, changes, probed, down, tried, attempt };
}

Deno.test("the first proxy that is not known to be down is taken, and the next where it is", async () => {
  const { all, down, tried, attempt, changes } = proxiesOf();
  equal(await all.through("shop", false, attempt), 1);
  down.add(1);
  equal(await all.through("shop", false, attempt), 2);
  deepEqual(tried.splice(0), [1, 1, 2]);
  // It is known now.
  equal(await all.through("shop", false, attempt), 2);
  deepEqual(tried, [2]);
  deepEqual(changes, ["first back", "first lost", "second back"]);
  all.close();
});

Deno.test("where none answers, it is told that nothing was sent, and each is tried again the next time", async () => {
  const { all, down, tried, attempt } = proxiesOf({ down: new Set([1, 2]) });
  const isUnavailable = (error: unknown) =>
    error instanceof EgressFailure && error.code === "EGRESS_PROXY_UNAVAILABLE" &&
    /nothing was sent/.test(error.message);
  await rejects(all.through("shop", false, attempt), isUnavailable);
  await rejects(all.through("shop", false, attempt), isUnavailable);
  deepEqual(tried.splice(0), [1, 2, 1, 2]);
  equal(all.state, "absent");
  down.clear();
  equal(await all.through("shop", false, attempt), 1);
  equal(all.state, "ok");
  all.close();
});

Deno.test("what fails behind a proxy is not tried with the next one", async () => {
  const { all, tried } = proxiesOf();
  await rejects(
    all.through("shop", false, ({ proxy: { port } }) => {
      tried.push(port);
      return Promise.reject(new HopFailure("EGRESS_UNREACHABLE", "nobody answers there"));
    }),
    ({ code }: HopFailure) => code === "EGRESS_UNREACHABLE",
  );
  deepEqual(tried, [1]);
  all.close();
});

Deno.test("what can be sent once alone is tried with one proxy alone", async () => {
  const { all, tried, attempt } = proxiesOf({ down: new Set([1]) });
  await rejects(all.through("shop", true, attempt), ({ code }: EgressFailure) => code === "EGRESS_PROXY_UNAVAILABLE");
  deepEqual(tried, [1]);
  all.close();
});

Deno.test("each namespace has credentials of its own, the same at any time, which tell nobody who it is", () => {
  const { all } = proxiesOf();
  const shop = all.credentialsOf("shop", first), bank = all.credentialsOf("bank", first);
  deepEqual(shop, proxiesOf().all.credentialsOf("shop", second));
  notDeepEqual(shop.username, bank.username);
  notDeepEqual(shop.password, bank.password);
  match(shop.username, /^[\da-f]{32}$/);
  match(shop.password, /^[\da-f]{32}$/);
  const named = { ...first, credentials: { username: "node", password: "secret" } };
  deepEqual(all.credentialsOf("shop", named), { username: "node", password: "secret" });
});

Deno.test("handshakes tell who is up without a request, and nobody's credentials are used for them", async () => {
  const { all, down, probed, changes } = proxiesOf({ down: new Set([1]) });
  equal(all.state, "unknown");
  await all.probe();
  equal(all.state, "ok");
  deepEqual(all.figures(), [
    { name: "first", healthy: false, latency: undefined },
    { name: "second", healthy: true, latency: 2 },
  ]);
  deepEqual(new Set(probed).size, 1);
  notDeepEqual(probed[0], all.credentialsOf("shop", first).username);
  down.add(2);
  await all.probe();
  equal(all.state, "lost");
  deepEqual(changes, ["first absent", "second back", "second lost"]);
  all.close();
});

Deno.test("without a proxy nothing is ever sent", async () => {
  const { all, attempt, tried } = proxiesOf({ proxies: [] });
  await rejects(
    all.through("shop", false, attempt),
    ({ code }: EgressFailure) => code === "EGRESS_PROXY_UNAVAILABLE",
  );
  deepEqual(tried, []);
  equal(all.state, "absent");
});
