import { deepEqual, equal, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { type Got, OPEN } from "../support/outside.ts";
import { runShellExamples, shellExamplesIn, shellTest } from "../support/shell_examples.ts";
import { SocksServer } from "../support/socks_server.ts";
import { CERTIFICATES } from "../unit/egress/process/support/certificates/index.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/egress.md", import.meta.url));
/** Whom the test's certificate is for, in place of the page's server. */
const HOST = "egress.test";

/** What the page's own answer is, in its sentence behind the first command. */
function answerOf(page: string): { readonly status_code: number; readonly headers: Readonly<Record<string, string>> } {
  const [, text] = /^answers `(\{.*?\})`\./m.exec(page) ?? [];
  ok(text, "the page says what is answered");
  return JSON.parse(text);
}

/** What the page says that an owner sends to narrow what its namespace reaches. */
function settingsOf(page: string): { readonly egress: Readonly<Record<string, readonly string[]>> } {
  const [, text] = /^```json\n(\{ "egress".*?)^```/ms.exec(page) ?? [];
  ok(text, "the page has settings");
  return JSON.parse(text);
}

shellTest(
  { test: (name, run) => Deno.test(name, async () => await run()) },
  "the commands and settings of docs/egress.md do what the page says, through a SOCKS5 server and TLS",
  async () => {
    await using owned = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "orama-examples-" });
    owned.defer(() => Deno.remove(folder, { recursive: true }));
    const got: Got[] = [];
    const server = owned.use(Deno.serve({
      hostname: OPEN,
      port: 0,
      cert: CERTIFICATES.server,
      key: CERTIFICATES.key,
      onListen: () => {},
    }, async (request) => {
      const { method, url, headers } = request;
      got.push({ method, url, headers, body: await request.text() });
      return new Response(method === "GET" ? "<h1>Hello.</h1>" : "stored", {
        headers: { "content-type": "text/html" },
      });
    }));
    const socks = owned.use(new SocksServer());
    socks.target = { hostname: OPEN, port: server.addr.port };
    const egress = {
      proxies: [`socks5://${socks.address.host}:${socks.address.port}`],
      ca: CERTIFICATES.authority,
    };
    const gateway = owned.use(await TestGateway.start({ config: { egress } }));
    await using owner = await newOwner(gateway);
    await Deno.writeTextFile(`${folder}/film.mp4`, "frames");
    const commands = shellExamplesIn(PAGE);
    const script = commands.replaceAll("http://127.0.0.1:6001", gateway.url).replaceAll("example.com", HOST);
    equal(commands.match(/^curl /gm)?.length, 2, "the page has two commands");
    const { printed } = await runShellExamples(script, { env: { KEY: owner.apiKey }, folder });

    const [first, ...rest] = printed.trimEnd().split("\n");
    const { status_code, headers, body, ...others } = JSON.parse(first!);
    const said = answerOf(PAGE);
    deepEqual([status_code, others], [said.status_code, {}]);
    for (const [name, value] of Object.entries(said.headers)) equal(headers[name], value, name);
    equal(new TextDecoder().decode(Uint8Array.fromBase64(body)), "<h1>Hello.</h1>");
    deepEqual(rest, ["stored"], "a stream's answer is the server's, as it is");
    deepEqual(got.map(({ method, url, body }) => [method, url, body]), [
      ["GET", `https://${HOST}/`, ""],
      ["PUT", `https://${HOST}/upload`, "frames"],
    ]);
    deepEqual(
      [got[0]!.headers.get("accept"), got[0]!.headers.get("accept-encoding"), got[1]!.headers.get("authorization")],
      ["text/html", "identity", "Bearer token"],
    );
    const asked = socks.sessions.filter(({ host }) => host !== undefined);
    deepEqual(
      [...new Set(asked.map(({ host, port }) => `${host}:${port}`))],
      [`${HOST}:443`],
      "names are the proxy's to look up",
    );

    const settings = settingsOf(PAGE);
    const path = `/v1/namespaces/${owner.namespace}/settings`;
    const changed = (await gateway.call("PATCH", path, { token: owner.accessToken, body: settings })).expect(200);
    for (const [name, value] of Object.entries(settings.egress)) {
      deepEqual(
        changed.get(`settings.egress.${name}`),
        value,
        name,
      );
    }
    const refused = await gateway.call("POST", "/v1/proxy/anon", {
      key: owner.apiKey,
      body: { url: `https://${HOST}/` },
    });
    equal(refused.expect(403).get("code"), "EGRESS_TARGET_REFUSED");
    equal(got.length, 2);
  },
);
