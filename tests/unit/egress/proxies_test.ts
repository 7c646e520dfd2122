import { deepEqual, equal, match, notDeepEqual, ok, rejects } from "node:assert/strict";
import { EgressFailure } from "../../../src/contracts/egress.ts";
import { HopFailure, type SocksProxy } from "../../../services/egress/parts.ts";
import { type ConfiguredProxy, Proxies, type ProxyWay } from "../../../services/egress/proxies.ts";
import { awaitedLater } from "../../support/awaited_later.ts";

const key = new Uint8Array(32).fill(7);
const first: ConfiguredProxy = { host: "127.0.0.1", port: 1, name: "first" };
const second: ConfiguredProxy = { host: "127.0.0.1", port: 2, name: "second" };
const gone = () => new HopFailure("EGRESS_PROXY_UNAVAILABLE", "nobody answers");

interface Given {
  readonly proxies?: readonly ConfiguredProxy[];
  readonly down?: Set<number>;
  /** In place of handshakes that know who is down, from when these were made. */
  readonly probe?: (signal: AbortSignal) => Promise<number>;
  readonly known?: boolean[];
}

/** Proxies of which those are down whose ports are named. */
function proxiesOf({ proxies = [first, second], down = new Set<number>(), probe, known = [] }: Given = {}) {
  const changes: string[] = [];
  const probed: string[] = [];
  const all = new Proxies({
    proxies,
    key,
    interval: 60_000,
    hops: {
      probe({ port }: SocksProxy, { username }, signal) {
        probed.push(username);
        if (known.length > 0) return known.shift() ? Promise.resolve(port) : Promise.reject(gone());
        if (probe) return probe(signal);
        return down.has(port) ? Promise.reject(gone()) : Promise.resolve(port);
      },
    },
    onChange: (name, state) => changes.push(`${name} ${state}`),
  });
  const tried: number[] = [];
  const through = <T>(attempt: (way: ProxyWay) => Promise<T>, once = false, signal = new AbortController().signal) =>
    all.through("shop", once, attempt, signal);
  const attempt = ({ proxy: { port } }: ProxyWay) => {
    tried.push(port);
    return down.has(port) ? Promise.reject(gone()) : Promise.resolve(port);
  };
  return { all, changes, probed, down, tried, attempt, through };
}

Deno.test("the first proxy that is not known to be down is taken, and the next where it is", async () => {
  const { all, down, tried, attempt, through, changes } = proxiesOf();
  equal(await through(attempt), 1);
  down.add(1);
  equal(await through(attempt), 2);
  deepEqual(tried.splice(0), [1, 1, 2]);
  // Before it is known, whoever comes next goes by the other first.
  equal(await through(attempt), 2);
  await all.probe();
  equal(await through(attempt), 2);
  deepEqual(tried, [2, 2]);
  deepEqual(changes, ["first absent", "second back"]);
  all.close();
});

Deno.test("what a request comes to tells nothing of a proxy: nobody takes one away from others", async () => {
  const { all, changes, probed, through } = proxiesOf({ proxies: [first] });
  await all.probe();
  // As where a target makes it close a connection in the middle of its reply.
  for (let i = 0; i < 3; i++) {
    await rejects(through(() => Promise.reject(gone())), { code: "EGRESS_PROXY_UNAVAILABLE" });
  }
  equal(all.state, "ok");
  deepEqual(all.figures(), [{ name: "first", healthy: true, latency: 1 }]);
  equal(await through(() => Promise.resolve("others go on")), "others go on");
  await all.probe();
  deepEqual(changes, ["first back"]);
  ok(probed.length > 1, "the proxy itself was asked");
  all.close();
});

Deno.test("however many requests fail by a proxy, it is asked one handshake at a time", async () => {
  const answered = Promise.withResolvers<number>();
  let handshakes = 0;
  const { all, through } = proxiesOf({
    proxies: [first],
    probe: () => {
      handshakes++;
      return answered.promise;
    },
  });
  for (let i = 0; i < 50; i++) {
    await rejects(through(() => Promise.reject(gone())), { code: "EGRESS_PROXY_UNAVAILABLE" });
  }
  equal(handshakes, 1);
  answered.resolve(1);
  await all.probe();
  all.close();
});

Deno.test("by one that failed its last handshake nothing is sent before it answers one, and then at once", async () => {
  const { all, down, tried, attempt, through } = proxiesOf({ down: new Set([1, 2]) });
  const isUnavailable = (error: unknown) =>
    error instanceof EgressFailure && error.code === "EGRESS_PROXY_UNAVAILABLE" &&
    /nothing was sent/.test(error.message) && error.cause instanceof HopFailure;
  await rejects(through(attempt), isUnavailable);
  deepEqual(tried.splice(0), [1, 2]);
  await all.probe();
  await rejects(through(attempt), isUnavailable);
  deepEqual(tried, [], "one that hangs would take all of the request's time");
  equal(all.state, "absent");
  down.delete(2);
  equal(await through(attempt), 2);
  equal(all.state, "ok");
  down.clear();
  equal(await through(attempt, true), 2);
  down.add(2);
  equal(await through(attempt), 1);
  deepEqual(tried, [2, 2, 2, 1]);
  all.close();
});

Deno.test("whoever leaves does not wait for a handshake that hangs", async () => {
  const { all, through, probed } = proxiesOf({
    proxies: [first],
    probe: (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    known: [false],
  });
  const left = new AbortController();
  await all.probe();
  const waiting = awaitedLater(through(() => Promise.resolve(1), false, left.signal));
  left.abort(new Error("left"));
  await rejects(waiting, /left/);
  equal(probed.length, 2);
  all.close();
});

Deno.test("what fails behind a proxy is not tried with the next one", async () => {
  const { all, tried, through } = proxiesOf();
  await rejects(
    through(({ proxy: { port } }) => {
      tried.push(port);
      return Promise.reject(new HopFailure("EGRESS_UNREACHABLE", "nobody answers there"));
    }),
    ({ code }: HopFailure) => code === "EGRESS_UNREACHABLE",
  );
  deepEqual(tried, [1]);
  all.close();
});

Deno.test("what can be sent once alone is tried with one proxy alone", async () => {
  const { all, tried, attempt, through } = proxiesOf({ down: new Set([1]) });
  await rejects(through(attempt, true), ({ code }: EgressFailure) => code === "EGRESS_PROXY_UNAVAILABLE");
  deepEqual(tried, [1]);
  // What failed is thought of for as long as nobody knows better.
  equal(await through(attempt, true), 2);
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
  const { all, attempt, tried, through } = proxiesOf({ proxies: [] });
  await rejects(through(attempt), ({ code }: EgressFailure) => code === "EGRESS_PROXY_UNAVAILABLE");
  deepEqual(tried, []);
  equal(all.state, "absent");
});

Deno.test("what sends being away says nothing of a proxy", async () => {
  let isAway = false;
  const away = () => Promise.reject(new HopFailure("EGRESS_UNAVAILABLE", "try again in a moment"));
  const { all, changes } = proxiesOf({ proxies: [first], probe: () => isAway ? away() : Promise.resolve(1) });
  await all.probe();
  isAway = true;
  await all.probe();
  deepEqual([all.state, changes], ["ok", ["first back"]]);
  all.close();
});
