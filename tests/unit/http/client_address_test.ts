import { equal, throws } from "node:assert/strict";
import type { Context } from "hono";
import { addressGroup, clientAddresses } from "../../../src/http/client_address.ts";

/** A request from a socket, with what it says of the addresses before. */
const call = (remote: string | undefined, forwarded?: string): Context => ({
  env: remote === undefined
    ? { remoteAddr: { transport: "unix", path: "/s" } }
    : { remoteAddr: { hostname: remote, port: 1, transport: "tcp" } },
  req: { raw: { headers: new Headers(forwarded === undefined ? {} : { "x-forwarded-for": forwarded }) } },
} as unknown as Context);

const PROXIES = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "fd00::/8"];
const of = (remote: string | undefined, forwarded?: string, proxies: readonly string[] = PROXIES) =>
  clientAddresses(proxies)(call(remote, forwarded));

Deno.test("without proxies nobody is believed", () => {
  equal(of("198.51.100.1", "203.0.113.9", []), "198.51.100.1");
  equal(of("10.0.0.1", "203.0.113.9", []), "10.0.0.1");
});

Deno.test("a stranger's X-Forwarded-For is not believed", () => {
  for (const claim of ["203.0.113.9", "10.0.0.1", "127.0.0.1", "::1", "garbage", ""]) {
    equal(of("198.51.100.1", claim), "198.51.100.1", claim);
  }
});

Deno.test("a proxy is believed for the one hop it saw; what is left of that is the client's own claim", () => {
  equal(of("10.0.0.1", "203.0.113.9"), "203.0.113.9");
  equal(of("10.0.0.1", "1.1.1.1, 2.2.2.2, 203.0.113.9"), "203.0.113.9");
  equal(
    of("10.0.0.1", "10.9.9.9, 203.0.113.9"),
    "203.0.113.9",
    "an address that claims to be a proxy, left of the client's",
  );
});

Deno.test("proxies behind proxies are gone through to the first address that is none", () => {
  equal(of("10.0.0.1", "1.1.1.1, 203.0.113.9, 192.0.2.7, 10.3.3.3"), "203.0.113.9");
  equal(of("10.0.0.1", "10.1.1.1, 10.2.2.2"), "10.1.1.1", "all of them ours: the farthest");
  equal(of("10.0.0.1"), "10.0.0.1");
  equal(of("10.0.0.1", ""), "10.0.0.1");
});

Deno.test("what is no address ends the search at the nearest one that is", () => {
  for (
    const junk of [
      "unknown",
      "_hidden",
      "",
      "1.2.3",
      "1.2.3.4.5",
      "999.1.1.1",
      "::g",
      "[::1",
      "evil\u00e9",
      "203.0.113.9/24",
    ]
  ) {
    equal(of("10.0.0.1", `203.0.113.1, ${junk}`), "10.0.0.1", junk);
    equal(of("10.0.0.1", `203.0.113.1, ${junk}, 10.2.2.2`), "10.2.2.2", junk);
  }
});

Deno.test("ports and brackets are taken off", () => {
  equal(of("10.0.0.1", "203.0.113.9:4711"), "203.0.113.9");
  equal(of("10.0.0.1", "[2001:db9::5]:4711"), "2001:db9::5");
  equal(of("10.0.0.1", "[2001:db9::5]"), "2001:db9::5");
  equal(of("10.0.0.1", " 2001:db9::5 "), "2001:db9::5");
});

Deno.test("IPv6 is compared as an address, not as a text", () => {
  equal(of("2001:db8::1", "2001:DB9:0:0::5"), "2001:db9::5");
  equal(of("2001:db8::1", "203.0.113.9, 2001:0db8:0000::0002"), "203.0.113.9");
  equal(of("2001:db9::1", "203.0.113.9"), "2001:db9::1");
});

Deno.test("an IPv4 address in IPv6 clothes is that IPv4 address", () => {
  equal(of("::ffff:10.0.0.1", "203.0.113.9"), "203.0.113.9");
  equal(of("10.0.0.1", "203.0.113.9, ::ffff:10.2.2.2"), "203.0.113.9");
  equal(of("10.0.0.1", "::ffff:203.0.113.9"), "203.0.113.9");
});

Deno.test("a socket without an address has a name of its own and is trusted with nothing", () => {
  equal(of(undefined, "203.0.113.9"), "unix");
  equal(clientAddresses([])({ env: undefined } as unknown as Context), "unix");
});

Deno.test("a header of thousands of hops costs no time", () => {
  const start = performance.now();
  equal(of("10.0.0.1", "10.1.1.1, ".repeat(5_000) + "203.0.113.9"), "203.0.113.9");
  equal(of("10.0.0.1", "203.0.113.9, " + "10.1.1.1, ".repeat(5_000) + "10.1.1.1"), "203.0.113.9");
  equal(performance.now() - start < 2_000, true);
});

Deno.test("ranges that are none stop the start", () => {
  throws(() => clientAddresses(["10.0.0.0"]));
  throws(() => clientAddresses(["everyone"]));
});

Deno.test("IPv4 addresses count one by one, IPv6 by their /64", () => {
  equal(addressGroup("203.0.113.9"), "203.0.113.9");
  equal(addressGroup("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2");
  equal(addressGroup("2001:db8:1:2::"), "2001:db8:1:2");
  equal(addressGroup("2001:db8:1:2:ffff::1"), addressGroup("2001:0db8:0001:0002::99"));
  equal(addressGroup("2001:db8:1:2::") === addressGroup("2001:db8:1:3::"), false);
  equal(addressGroup("::1"), "0:0:0:0");
  equal(addressGroup("unix"), "unix");
  equal(addressGroup("not:an:address"), "not:an:address");
});

Deno.test("IPv4 addresses in IPv6 clothes are not one group", () => {
  equal(addressGroup("::ffff:203.0.113.9") === addressGroup("::ffff:203.0.113.10"), false);
});
