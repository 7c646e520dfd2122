import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { SPELLINGS } from "../fixtures/functions/index.ts";
import { newOwner } from "../support/accounts.ts";
import { deploy, invoke, tryToDeploy } from "../support/functions.ts";
import { RawConnection } from "../support/raw_http.ts";
import { gatewaySuite } from "../support/suite.ts";
import { wasmOf } from "../support/wat.ts";

const suite = gatewaySuite();
const { test } = suite;

test(
  "no spelling of a name in an address leads to a function of another namespace, not even to a public one",
  async () => {
    await using owner = await newOwner(suite.gateway);
    await using victim = await newOwner(suite.gateway);
    const credential = { token: owner.accessToken }, theirs = { token: victim.accessToken };
    await deploy(suite.gateway, theirs, "name", "hello.wat", { is_public: "true" });
    for (const spelling of SPELLINGS) {
      const name = spelling.replaceAll("other", victim.namespace).replaceAll("Other", victim.namespace.toUpperCase());
      // No address has room for it.
      if (name.length > 10_000) continue;
      const { status, text } = await invoke(suite.gateway, credential, encodeURIComponent(name), '{"name":"x"}');
      // A path that is not in normal form leads to the one that is.
      ok(status === 308 || status >= 400 && status < 500, `${name}: ${status} ${text}`);
      equal(text.includes("Hello"), false, name);
    }
    match((await invoke(suite.gateway, theirs, "name", '{"name":"x"}')).expect(200).text, /Hello/, "it is there");
  },
  { namespaces: 2 },
);

test("hostile names and references are refused as what they are, never as a failure of the gateway", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  const names = [
    "a@b",
    "@1",
    " ",
    "..",
    "a/b",
    "a\0b",
    "é",
    "__proto__",
    "constructor",
    "-x",
    "x".repeat(65),
    "x".repeat(4_000),
    "secrets",
    "'; DROP TABLE functions; --",
  ];
  for (const name of names) {
    const { status, text } = await tryToDeploy(suite.gateway, credential, name, "echo.wat");
    ok(status === 400 || status === 201, `${name.slice(0, 20)}: ${status} ${text}`);
    if (status === 201) match(name, /^[A-Za-z\d_][\w-]{0,63}$/);
  }
  await deploy(suite.gateway, credential, "f", "echo.wat");
  for (
    const reference of [
      "0",
      "-1",
      "1.5",
      "1e1",
      "9".repeat(40),
      "nowhere",
      "__proto__",
      "%00",
      "a%2Fb",
      "1@1",
      "x".repeat(200),
    ]
  ) {
    const { status, text } = await invoke(suite.gateway, credential, `f@${reference}`);
    ok(status === 404 || status === 400, `@${reference}: ${status} ${text}`);
    const read = await suite.gateway.call("GET", `/v1/functions/f@${reference}`, credential);
    ok(read.status === 404 || read.status === 400, `@${reference}: ${read.status} ${read.text}`);
  }
});

test("a body beyond the limit is refused as it comes, declared or not", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  await deploy(gateway, credential, "echo", "echo.wat");
  const large = await invoke(gateway, credential, "echo", new Uint8Array(2 ** 20 + 1));
  deepEqual([large.status, large.get("code"), large.get("status")], [413, "BODY_TOO_LARGE", "error"]);
  const whole = await invoke(gateway, credential, "echo", `[${" ".repeat(2 ** 20 - 2)}]`);
  equal(whole.expect(200).text.length, 2 ** 20, "not a byte is cut off");
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${owner.accessToken}\r\nTransfer-Encoding: chunked\r\n`;
  using endless = await RawConnection.open(gateway.url);
  await endless.send(`${head("/v1/functions/echo/invoke")}\r\n`);
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  for (let i = 0; i < 100 && await endless.send(chunk); i++);
  await until("it was refused", () => endless.received.includes("413") || endless.ended);
  const module = new Uint8Array(16 * 2 ** 20 + 1);
  module.set(await wasmOf("echo.wat"));
  equal((await tryToDeploy(gateway, credential, "huge", module)).status, 413);
});

test("a credential that is revoked calls nothing any more", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  await deploy(gateway, credential, "echo", "echo.wat");
  const body = { name: "caller", scopes: ["functions:invoke"] };
  const made = (await gateway.call("POST", "/v1/auth/keys", { ...credential, body })).expect(201);
  const key = made.string("api_key");
  (await invoke(gateway, { key }, "echo", "[1]")).expect(200);
  (await gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, credential)).expect(200);
  equal((await invoke(gateway, { key }, "echo", "[1]")).expect(401).get("code"), "INVALID_CREDENTIAL");
});
