import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { EgressFailure } from "../../../src/contracts/egress.ts";
import { Resolver } from "../../../services/egress/resolver.ts";
import { type DnsAnswer, dnsServer } from "../../support/dns_server.ts";
import { freeUdpPort } from "../../support/udp_port.ts";

const { signal } = new AbortController();
const isNotFound = (error: unknown) => error instanceof EgressFailure && error.code === "EGRESS_NAME_NOT_FOUND";

Deno.test("a name has the addresses that its server says, through as many other names as there are", async () => {
  const names: Record<string, DnsAnswer> = {
    "plain.test": { a: ["192.0.2.1", "192.0.2.2"], aaaa: ["2001:db8::1"] },
    "first.test": { cname: "second.test" },
    "second.test": { cname: "plain.test" },
    "six.test": { aaaa: ["2001:db8::6"] },
  };
  await using server = await dnsServer((name) => names[name]);
  const four = new Resolver({ servers: [server], ipv6: false });
  const both = new Resolver({ servers: [server], ipv6: true });
  deepEqual((await four.addresses("plain.test", signal)).toSorted(), ["192.0.2.1", "192.0.2.2"]);
  deepEqual((await four.addresses("first.test", signal)).toSorted(), ["192.0.2.1", "192.0.2.2"]);
  deepEqual((await both.addresses("plain.test", signal)).toSorted(), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
  deepEqual(await both.addresses("six.test", signal), ["2001:db8::6"]);
  await rejects(four.addresses("six.test", signal), isNotFound);
});

Deno.test("nothing is kept from one look to the next, so that a name leads where it leads now", async () => {
  let at = 0;
  await using server = await dnsServer(() => ({ a: [`192.0.2.${++at}`] }));
  const resolver = new Resolver({ servers: [server], ipv6: false });
  deepEqual(await resolver.addresses("moving.test", signal), ["192.0.2.1"]);
  deepEqual(await resolver.addresses("moving.test", signal), ["192.0.2.2"]);
});

Deno.test("a name is looked up as it stands, and never below a domain of this machine", async () => {
  await using server = await dnsServer(() => "no such name");
  const resolver = new Resolver({ servers: [server], ipv6: false });
  await rejects(resolver.addresses("nothing.test", signal), isNotFound);
  ok(server.asked.every((question) => /^nothing\.test (A|AAAA)$/.test(question)), server.asked.join());
});

Deno.test("who answers nothing, or refuses, is followed by the next server; the last one's silence is a failure in time", async () => {
  await using silent = await dnsServer(() => "silence");
  await using sound = await dnsServer(() => ({ a: ["192.0.2.7"] }));
  const servers = [silent, { host: "127.0.0.1", port: await freeUdpPort("127.0.0.1") }, sound];
  deepEqual(await new Resolver({ servers, ipv6: false, timeout: 200 }).addresses("some.test", signal), ["192.0.2.7"]);
  await rejects(
    new Resolver({ servers: [silent], ipv6: false, timeout: 200 }).addresses("some.test", signal),
    isNotFound,
  );
});

Deno.test("whoever leaves is not kept waiting", async () => {
  await using silent = await dnsServer(() => "silence");
  const leaving = new AbortController();
  const looked = new Resolver({ servers: [silent], ipv6: false }).addresses("some.test", leaving.signal);
  const reason = new Error("gone");
  leaving.abort(reason);
  await rejects(looked, (error) => equal(error, reason) === undefined);
});
