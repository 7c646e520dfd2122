import { deepEqual, equal, match } from "node:assert/strict";
import { printConfig } from "../../../config/index.ts";
import type { Kind } from "../../../config/kinds/kind.ts";
import { nameServer } from "../../../config/kinds/name_server.ts";
import { ports } from "../../../config/kinds/ports.ts";
import { socksProxy } from "../../../config/kinds/socks_proxy.ts";
import { readPorts } from "../../../src/contracts/egress_rules.ts";
import { CERTIFICATES } from "../../support/certificates/index.ts";
import { load, problemOf, problemsOf } from "./support.ts";

function becomes<T>(kind: Kind<T>, cases: readonly (readonly [input: unknown, output: T | undefined])[]): void {
  for (const [input, output] of cases) {
    const result = kind.schema.safeParse(input);
    deepEqual(result.success ? result.data : undefined, output, `${kind.name} of ${JSON.stringify(input)}`);
    if (result.success) deepEqual(kind.schema.parse(kind.toYaml(result.data)), output, "it is taken as it is printed");
  }
}

const NOT_TEXTS = [null, undefined, {}, [], true, NaN];

Deno.test("ports are one or several in a row, from 1 to 65535, and are read by others as they were written", () => {
  becomes(ports, [
    [443, "443"],
    ["443", "443"],
    ["8000-8999", "8000-8999"],
    ["1-65535", "1-65535"],
    ["443-443", "443"],
    ...[0, -1, 1.5, 65_536, "0", "0-5", "", "-", "5-", "-5", "9-8", "0443", "1-65536", "https", "1 - 2", "1-2-3", "1e3"]
      .map((wrong) => [wrong, undefined] as const),
    ...NOT_TEXTS.map((wrong) => [wrong, undefined] as const),
  ]);
  for (const text of ["443", "8000-8999", "1-65535"]) {
    const { from, to } = readPorts(text)!;
    equal(from === to ? `${from}` : `${from}-${to}`, text);
  }
  for (const wrong of ["", "0", "9-8", "65536", "1-65536", "0443", "1-2-3", " 1", "1\n"]) {
    equal(readPorts(wrong), undefined, wrong);
  }
});

Deno.test("a name server is an address, with a port where it is not 53, and never a name", () => {
  becomes(nameServer, [
    ["9.9.9.9", { host: "9.9.9.9", port: 53 }],
    ["10.0.0.1:5353", { host: "10.0.0.1", port: 5353 }],
    ["FD00::53", { host: "fd00::53", port: 53 }],
    ["[fd00:0::53]:5353", { host: "fd00::53", port: 5353 }],
    ...[
      "dns.example",
      "dns.example:53",
      "9.9.9.9:0",
      "9.9.9.9:65536",
      "9.9.9.9:",
      "09.9.9.9",
      "9.9.9",
      "[9.9.9.9]:53",
      "[fd00::53]",
      "fe80::1%eth0",
      "[fe80::1%eth0]:53",
      "udp://9.9.9.9",
      "",
    ].map((wrong) => [wrong, undefined] as const),
    ...[53, ...NOT_TEXTS].map((wrong) => [wrong, undefined] as const),
  ]);
});

Deno.test("a proxy is a socks5 URL with a port, and with a user only together with a password", () => {
  const at = (host: string, port: number) => ({ host, port });
  becomes(socksProxy, [
    ["socks5://127.0.0.1:9050", { name: "socks5://127.0.0.1:9050", ...at("127.0.0.1", 9050) }],
    ["SOCKS5H://Anyone:9050/", { name: "socks5://anyone:9050", ...at("anyone", 9050) }],
    ["socks5://[FD00::1]:1080", { name: "socks5://[fd00::1]:1080", ...at("fd00::1", 1080) }],
    ["socks5://u%40x:p%3A%2Fq$&@h:1", {
      name: "socks5://h:1",
      ...at("h", 1),
      credentials: { username: "u@x", password: "p:/q$&" },
    }],
    ...[
      "127.0.0.1:9050",
      "http://127.0.0.1:9050",
      "socks4://127.0.0.1:9050",
      "socks5:127.0.0.1:9050",
      "socks5://127.0.0.1",
      "socks5://127.0.0.1:0",
      "socks5://127.0.0.1:65536",
      "socks5://:9050",
      "socks5://user@h:1",
      "socks5://user:@h:1",
      "socks5://:password@h:1",
      "socks5://u:p%zz@h:1",
      `socks5://u:${"p".repeat(256)}@h:1`,
      `socks5://${"%C3%BC".repeat(128)}:p@h:1`,
      "socks5://h:1/path",
      "socks5://h:1?x",
      "socks5://h:1#x",
      " socks5://h:1",
      "socks5://a b:1",
      "",
    ].map((wrong) => [wrong, undefined] as const),
    ...[9050, ...NOT_TEXTS].map((wrong) => [wrong, undefined] as const),
  ]);
});

Deno.test("proxies keep their passwords to themselves, printed and where one is wrong", () => {
  const yaml = `egress:\n  driver: socks5\n  proxies: ["socks5://me:hunter2@a:1", "socks5://b:2"]\n`;
  const loaded = load({ yaml });
  deepEqual(loaded.config.egress.proxies.map(({ name }) => name), ["socks5://a:1", "socks5://b:2"]);
  equal(printConfig(loaded).includes("hunter2"), false);
  const wrong = problemOf({ yaml: yaml.replace("@a:1", "@a") });
  equal(wrong.line, 3);
  equal(JSON.stringify(wrong).includes("hunter2"), false);
  const twice = problemOf({ yaml: yaml.replace("b:2", "a:1") });
  deepEqual([twice.key, JSON.stringify(twice).includes("hunter2")], ["egress.proxies.1", false]);
  const file = load({ yaml: "egress: {proxies_file: /proxies}", files: { "/proxies": "socks5://me:hunter2@a:1\n" } });
  deepEqual(file.config.egress.proxies[0]?.credentials, { username: "me", password: "hunter2" });
});

Deno.test("to send through proxies takes one; without any there is merely no anonymous proxy", () => {
  const problem = problemOf({ yaml: "egress:\n  driver: socks5\n  proxies: []\n" });
  equal(problem.key, "egress.proxies");
  match(problem.problem, /because egress\.driver is socks5/);
  for (const driver of ["direct", "off"]) {
    deepEqual(load({ yaml: `egress: {driver: ${driver}, proxies: []}` }).config.egress.proxies, []);
  }
});

Deno.test("what may be reached is told by variables as by a file", () => {
  const { config: { egress } } = load({
    env: {
      ORAMA_EGRESS__DRIVER: "off",
      ORAMA_EGRESS__PORTS: "443,8000-8999",
      ORAMA_EGRESS__ALLOW_HOSTS: "*.Example.com,203.0.113.0/24",
      ORAMA_EGRESS__DENY_NETWORKS: "198.51.100.0/24",
      ORAMA_EGRESS__DNS: "9.9.9.9,[fd00::53]:5353",
      ORAMA_EGRESS__CA_FILE: "/ca",
    },
    files: { "/ca": CERTIFICATES.authority },
  });
  const fromFile = load({
    yaml: `egress:
  driver: off
  ports: [443, "8000-8999"]
  allow_hosts: ["*.Example.com", 203.0.113.0/24]
  deny_networks: [198.51.100.0/24]
  dns: [9.9.9.9, "[fd00::53]:5353"]
  ca_file: /ca
`,
    files: { "/ca": CERTIFICATES.authority },
  });
  deepEqual(egress, fromFile.config.egress);
  deepEqual(egress.ports, ["443", "8000-8999"]);
  deepEqual(egress.allow_hosts, ["*.example.com", "203.0.113.0/24"]);
  deepEqual(egress.dns, [{ host: "9.9.9.9", port: 53 }, { host: "fd00::53", port: 5353 }]);
  equal(egress.ca, CERTIFICATES.authority.trim());
  // What is printed says the same again, but for the proxies, which are a secret.
  const printed = printConfig(fromFile).replace(/^ {2}proxies: .*$/m, "");
  deepEqual(load({ yaml: printed }).config.egress, egress);
});

Deno.test("what cannot be meant is refused by its place", () => {
  for (
    const [wrong, key] of [
      ["driver: tor", "driver"],
      ["ports: [http]", "ports.0"],
      ["allow_hosts: [a.example, 'https://b.example']", "allow_hosts.1"],
      ["deny_hosts: ['*']", "deny_hosts.0"],
      ["allow_networks: [10.0.0.1/8]", "allow_networks.0"],
      ["dns: [dns.example]", "dns.0"],
      ["ca: no certificate", "ca"],
      ["max_in_flight: 0", "max_in_flight"],
      ["connect_timeout: 0", "connect_timeout"],
      ["proxy: 'socks5://a:1'", "proxy"],
    ] as const
  ) {
    deepEqual(problemsOf({ yaml: `egress: {${wrong}}` }).map((problem) => problem.key), [`egress.${key}`], wrong);
  }
});
