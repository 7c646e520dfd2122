import { deepEqual, equal, ok } from "node:assert/strict";
import { printConfig } from "../../../config/index.ts";
import { certificates, privateKey } from "../../../config/kinds/pem.ts";
import { CERTIFICATES } from "../../support/certificates/index.ts";
import { load, problemsOf } from "./support.ts";

const { authority, node, key } = CERTIFICATES;
const takes = (kind: typeof certificates, text: unknown) => kind.schema.safeParse(text).success;

Deno.test("certificates are one or several in PEM, whatever stands around them, and nothing less", () => {
  for (const text of [node, node + authority, `Subject: CN=x\n${node}`, node.replaceAll("\n", "\r\n"), node.trim()]) {
    equal(takes(certificates, text), true, text);
  }
  const broken = [
    "",
    "MIIB",
    42,
    key,
    node + key,
    node.slice(0, 300),
    node + authority.slice(0, 300),
    node.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA"),
    node.replaceAll("CERTIFICATE", "CERTIFICATE REQUEST"),
  ];
  for (const text of broken) equal(takes(certificates, text), false, String(text));
});

Deno.test("a private key is one that can be used as it is, also beside its certificate", () => {
  for (const text of [key, node + key]) equal(takes(privateKey, text), true);
  const encrypted = key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
  for (const text of ["", node, key + key, key.slice(0, 100), encrypted, { key }]) {
    equal(takes(privateKey, text), false);
  }
});

const cluster = (urls: string, tls: string) =>
  `database:\n  driver: rqlite\n  rqlite:\n    control: [${urls}]\n    pool: [{name: x, urls: ["https://b:1"]}]\n    tls: ${tls}\n`;

Deno.test("certificates come from files, and the private key is never printed", () => {
  const files = { "/ca": authority, "/cert": node, "/key": key };
  const loaded = load({ yaml: cluster("https://a:1", "{ca_file: /ca, cert_file: /cert, key_file: /key}"), files });
  deepEqual(loaded.config.database.rqlite.tls, { ca: authority.trim(), cert: node.trim(), key: key.trim() });
  const text = printConfig(loaded);
  ok(!text.includes(key.split("\n")[1]!));
  // What is no secret can be given back as it was printed.
  const again = load({ yaml: text.replace('key: "[secret]"', `key: ${JSON.stringify(key.trim())}`) });
  deepEqual(again.config.database.rqlite.tls, loaded.config.database.rqlite.tls);
});

Deno.test("a file that holds something else is refused by its name, without a word of what is in it", () => {
  const files = { "/ca": key, "/cert": node, "/key": `${key}hunter2`.replace("BEGIN", "END") };
  const yaml = cluster("https://a:1", "{ca_file: /ca, cert_file: /cert, key_file: /key}");
  const problems = problemsOf({ yaml, files });
  deepEqual(problems.map(({ key }) => key), ["database.rqlite.tls.ca", "database.rqlite.tls.key"]);
  equal(problems[0]?.line, 6);
  ok(!JSON.stringify(problems).includes("hunter2"));
});

Deno.test("a certificate and its key come together, and certificates with addresses that have TLS", () => {
  const quoted = JSON.stringify(node), secret = JSON.stringify(key);
  const paths = (urls: string, tls: string) => problemsOf({ yaml: cluster(urls, tls) }).map(({ key }) => key);
  deepEqual(paths("https://a:1", `{cert: ${quoted}}`), ["database.rqlite.tls.key"]);
  deepEqual(paths("https://a:1", `{key: ${secret}}`), ["database.rqlite.tls.cert"]);
  // Nodes get TLS one after the other.
  equal(load({ yaml: cluster("http://a:1", `{ca: ${quoted}}`) }).config.database.rqlite.tls.ca, node);
  const plain = cluster("http://a:1", `{ca: ${quoted}, cert: ${quoted}, key: ${secret}}`).replace(
    "https://b",
    "http://b",
  );
  deepEqual(problemsOf({ yaml: plain }).map(({ key }) => key), [
    "database.rqlite.tls.ca",
    "database.rqlite.tls.cert",
  ]);
});
