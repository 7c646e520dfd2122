import { deepEqual, equal, ok } from "node:assert/strict";
import { canonicalName, isLocalName, isProxyOnlyName } from "../../../../services/egress/targets/target.ts";

Deno.test("local names are told in any letter case, with dots at their end, and by their last label alone", () => {
  for (
    const name of [
      ...[
        "localhost",
        "LOCALHOST",
        "localhost.",
        "localhost..",
        "a.localhost",
        "x",
        "",
        ".",
        "printer.local",
        "a.b.internal",
      ],
      ...[
        "metadata.google.internal",
        "Metadata.Google.Internal.",
        "home.arpa",
        "a.home.arpa",
        "1.in-addr.arpa",
        "a.ip6.arpa",
      ],
      ...[
        "a.lan",
        "a.corp",
        "a.home",
        "a.intranet",
        "a.localdomain",
        "a.invalid",
        "kubernetes.default.svc",
        "a.1",
        "a.0x7f",
      ],
    ]
  ) equal(isLocalName(name), true, name);
  for (
    const name of [
      ...[
        "example.com",
        "a.test",
        "a.example",
        "localhost.example.com",
        "local.example.com",
        "internal.com",
        "a.xlocal",
      ],
      ...["127.0.0.1", "::1", "2606:4700::1", "a.onion", "a.anyone", "1.2.3.4a", "a.0xg", "a.b.co.uk"],
    ]
  ) equal(isLocalName(name), false, name);
});

Deno.test("names that a proxy alone knows are told, and no others", () => {
  for (const name of ["a.onion", "A.B.ONION.", "onion", "a.anyone"]) equal(isProxyOnlyName(name), true, name);
  for (const name of ["onion.example", "a.xonion", "anyone.com", "a.onion.to", "127.0.0.1", "::1", ""]) {
    equal(isProxyOnlyName(name), false, name);
  }
});

Deno.test("a name that a library would read as an address is none, whoever has read it before", () => {
  for (const name of ["a.1", "127.1", "a.0x7f", "1.2.3.4.5", "0x", "a.1.", "09"]) {
    deepEqual(canonicalName(name), { problem: "ends as an address, but is none" }, name);
  }
  deepEqual(canonicalName("a.1a."), { name: "a.1a" });
  for (const name of ["", ".", "a..b", "a..", ".a", "A", "é", "a b", "a\n", "a/b"]) {
    ok("problem" in canonicalName(name), name);
  }
});
