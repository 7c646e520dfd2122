import { deepEqual, equal } from "node:assert/strict";
import { mayDial } from "../../../../services/egress/process/addresses.ts";
import { answering, HostileHttp } from "../../../support/hostile_http.ts";
import { hopTo, Sender } from "./support/sender.ts";

Deno.test("nothing but dotted IPv4 is dialled, in its only spelling", () => {
  for (const good of ["1.2.3.4", "127.77.0.1", "0.0.0.0", "255.255.255.255", "100.64.9.10"]) {
    equal(mayDial(good, false), true, good);
  }
  const wrong = [
    ..."1.2.3|1.2.3.4.5|01.2.3.4|1.2.3.04|256.1.1.1|1.2.3.4 | 1.2.3.4|0x7f.0.0.1|2130706433|127.1|017700000001|1.2.3.4\n"
      .split("|"),
    ..."::ffff:127.0.0.1|::ffff:7f00:1|::1|::|2001:4860:4860::8888|localhost|egress.test|1.2.3.4%lo|[1.2.3.4]||١.2.3.4"
      .split("|"),
  ];
  deepEqual(wrong.filter((address) => mayDial(address, false)), []);
});

Deno.test("with IPv6 only global addresses are dialled, none that holds one of IPv4", () => {
  for (const good of ["2001:4860:4860::8888", "2606:4700::1111", "2a00:1450:4001:80e::200e", "3fff::1"]) {
    equal(mayDial(good, true), true, good);
  }
  const wrong =
    "::1|::|::ffff:127.0.0.1|::ffff:7f00:1|64:ff9b::7f00:1|fe80::1|fe80::1%lo|fc00::1|fd12::1|ff02::1|2002:7f00:1::|2001::1|" +
    "2001:0:1::1|2001:0000:1::1|2001:db8::1|2001:DB8::1|[2606:4700::1]|2606:4700::1%lo|2606:4700::127.0.0.1|100::1|4000::1|20000::1";
  deepEqual(wrong.split("|").filter((address) => mayDial(address, true)), []);
});

Deno.test("the system keeps the process from a denied address, whatever it is asked: the canary sees nobody", async () => {
  await using canary = new HostileHttp(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), {
    hostname: "127.0.0.1",
  });
  await using sender = await Sender.start();
  const asked = ["127.0.0.1", "::ffff:127.0.0.1", "::1", "0.0.0.0", "localhost", "127.1", "2130706433", "127.0.0.01"];
  for (const address of asked) {
    const hop = hopTo(canary.port, { addresses: [address] });
    await sender.fails(hop, "EGRESS_ADDRESS_REFUSED", /^The address is none that requests may be sent to\.$/, address);
    const second = hopTo(canary.port, { addresses: ["127.77.0.1", address] });
    if (mayDial(address, false)) {
      await sender.fails(second, "EGRESS_ADDRESS_REFUSED", /address/, `${address} as the second`);
    }
  }
  equal(canary.connections, 0);
});

Deno.test("with IPv6 on, the system and the strict check still keep the process from the canary", async () => {
  await using canary = new HostileHttp(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), {
    hostname: "127.0.0.1",
  });
  await using sender = await Sender.start({
    ipv6: true,
    net: { allow: [], deny: ["127.0.0.0/10", "0.0.0.0/8", "[::1]", "[::]"] },
  });
  for (const address of ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1"]) {
    await sender.fails(hopTo(canary.port, { addresses: [address] }), "EGRESS_ADDRESS_REFUSED", /./, address);
  }
  equal(canary.connections, 0);
});

Deno.test("a process takes its own way alone, and the anonymous one reaches the proxies and nothing else", async () => {
  await using canary = new HostileHttp(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const socks = { kind: "socks", username: "a", password: "b" } as const;
  await using direct = await Sender.start();
  const through = hopTo(canary.port, { way: { ...socks, proxy: { host: "127.77.0.1", port: canary.port } } });
  await direct.fails(through, "EGRESS_ADDRESS_REFUSED", /./, "a proxy from the direct process");
  await using anonymous = await Sender.start({ kind: "anonymous", net: { allow: ["127.77.0.2:1"], deny: [] } });
  await anonymous.fails(hopTo(canary.port), "EGRESS_ADDRESS_REFUSED", /./, "an address from the anonymous process");
  // Its own code would connect; the system does not.
  await anonymous.fails(through, "EGRESS_PROXY_UNAVAILABLE", /cannot be reached/, "a proxy that is none of its own");
  equal(canary.connections, 0);
});

Deno.test("of the rights of a process only those of the network are left", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", new URL("support/rights.ts", import.meta.url).pathname],
    stderr: "null",
  }).output();
  deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    before: ["read", "write", "net", "env", "sys", "ffi", "import", "run"],
    after: ["net"],
  });
});
