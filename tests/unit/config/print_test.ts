import { deepEqual, equal, match } from "node:assert/strict";
import { printConfig } from "../../../config/index.ts";
import { inlineYaml } from "../../../config/print.ts";
import { CATALOGUE } from "../../../config/load.ts";
import { parseYaml, toPlain } from "../../../config/yaml.ts";
import { load } from "./support.ts";

Deno.test("printConfig() shows every setting with where it came from", () => {
  const text = printConfig(load({
    yaml: "http:\n  body: {max_bytes: 10MB}\n  trusted_proxies: [10.0.0.0/8]\n",
    env: { ORAMA_AUTH__NONCE_TTL: "90s", ORAMA_AUTH__SIGN_IN__STATEMENT: "a: b # c" },
    flags: [["http.listen", "[::1]:0", "--listen"]],
    defaults: { name: "dev", values: { "auth.simple_key": true } },
  }));
  const lines = text.split("\n");
  for (
    const line of [
      '  listen: "[::1]:0"  # --listen',
      "    max_bytes: 10MB  # orama.yaml:2",
      "  trusted_proxies: [10.0.0.0/8]  # orama.yaml:3",
      "  nonce_ttl: 1m30s  # env ORAMA_AUTH__NONCE_TTL",
      '    statement: "a: b # c"  # env ORAMA_AUTH__SIGN_IN__STATEMENT',
      "  simple_key: true  # default of dev",
      "  access: true  # default",
      "  # public_url:  # not set",
    ]
  ) equal(lines.includes(line), true, `${line}\nin\n${text}`);
  for (const { path, contentOf } of CATALOGUE.byPath.values()) {
    const name = path.split(".").at(-1)!;
    equal(lines.some((line) => line.trim().replace(/^# /, "").startsWith(`${name}:`)), !contentOf, path);
  }
});

Deno.test("printConfig() prints no secret, wherever it came from", () => {
  const loaded = load({
    yaml:
      "database: {rqlite: {username: u, password_file: /pw}}\nauth:\n  ethereum_rpc: {1: https://rpc.example/hunter2}\n",
    files: { "/pw": "hunter2" },
  });
  const text = printConfig(loaded);
  equal(text.includes("hunter2"), false);
  match(text, /password: "\[secret\]" {2}# orama\.yaml:1, content of \/pw\n/);
  match(text, /ethereum_rpc: "\[secret\]" {2}# orama\.yaml:3\n/);
});

Deno.test("printConfig() prints the ordinary default of a secret, which is none, but not what a mode put there", () => {
  match(printConfig(load()), /^ {2}proxies: \[socks5:\/\/127\.0\.0\.1:9050\] {2}# default$/m);
  const values = { "egress.proxies": ["socks5://me:hunter2@a:1"] };
  const text = printConfig(load({ defaults: { name: "dev", values } }));
  match(text, /^ {2}proxies: "\[secret\]" {2}# default of dev$/m);
  equal(text.includes("hunter2"), false);
});

Deno.test("printConfig() of a configuration without secrets is a file that says the same", () => {
  const loaded = load({
    env: {
      ORAMA_DATABASE__DRIVER: "rqlite",
      ORAMA_DATABASE__RQLITE__CONTROL: "http://a:1",
      ORAMA_DATABASE__RQLITE__POOL: "[{name: one, urls: [http://b:1, http://c:1]}]",
      ORAMA_AUTH__ISSUER: "true",
      ORAMA_AUTH__AUDIENCE: "[x]: {y} # 'z' \"",
      ORAMA_AUTH__SIGN_IN__STATEMENT: "10",
      ORAMA_LIMITS__KEY__RATE: "0.25",
      ORAMA_AUTH__REFRESH_GRACE: "1",
    },
  });
  deepEqual(load({ yaml: printConfig(loaded) }).config, loaded.config);
});

Deno.test("origins cannot break out of their comment", () => {
  const loaded = load({ flags: [["log.level", "info", "--x\nhttp: {listen: 1}"]] });
  equal(printConfig(loaded).includes("\nhttp: {listen: 1}"), false);
});

Deno.test("inlineYaml() keeps any value on one line and gives it back", () => {
  for (
    const value of ["a", "", "a\nb", "\u001b[2J", "- x", "null", "1", 1, true, ["a, b", "[c]"], {
      "k: ": ["v", { x: "y" }],
    }, "x".repeat(300)]
  ) {
    const text = inlineYaml(value);
    equal(text.includes("\n"), false);
    equal(text.includes("\u001b"), false);
    deepEqual(toPlain(parseYaml(`k: ${text}`).root!), { k: value });
  }
});
