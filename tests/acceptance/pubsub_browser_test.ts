import { deepEqual, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { browser, openPage } from "../support/browser.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();

/** The example of the page on live messages that listens in a browser. */
async function example(): Promise<string> {
  const page = await Deno.readTextFile(new URL("../../docs/realtime.md", import.meta.url));
  const [, text = ""] = /^```js\n(.*?)^```$/ms.exec(page) ?? [];
  ok(text.includes("function listen("));
  return text;
}

const TELLING = `
const read = (path) => fetch(path).then((answer) => answer.text());
const tell = (data) => fetch("/told", { method: "POST", body: JSON.stringify(data) });
listen(await read("/gateway"), ["news", "sport"], () => read("/token"), ({ data }) => tell(data));
`;

const name = "a page that listens as the documentation shows goes on when its token has ended, and misses nothing";
if (browser === undefined) Deno.test({ name: `${name} [needs chromium on PATH]`, ignore: true, fn() {} });
else {
  suite.test(name, async () => {
    await using owner = await newOwner(suite.gateway);
    await using owned = new AsyncDisposableStack();
    const post = async (path: string, body: unknown) =>
      (await suite.gateway.call("POST", `/v1/pubsub/${path}`, { key: owner.apiKey, body })).expect(200);
    const told: unknown[] = [];
    let tokens = 0;
    const script = `${await example()}${TELLING}`;
    const page = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      switch (new URL(request.url).pathname) {
        case "/":
          return new Response(`<script type="module">${script}</script>`, { headers: { "content-type": "text/html" } });
        case "/gateway":
          return new Response(suite.gateway.url);
        case "/token":
          tokens++;
          return new Response((await post("token", { topics: { subscribe: ["*"] }, ttl: "3s" })).string("token"));
        case "/told":
          told.push(await request.json());
          return new Response();
        default:
          return new Response(null, { status: 404 });
      }
    });
    owned.defer(() => page.shutdown());
    const address = `http://127.0.0.1:${page.addr.port}/`;
    owned.use(await openPage(address));

    const topics = async () =>
      (await suite.gateway.call("GET", "/v1/pubsub/topics", { key: owner.apiKey })).expect(200).get(
        "topics",
      ) as string[];
    await until("the page listens", async () => (await topics()).length === 2);
    const sent: number[] = [];
    const publish = async () => {
      sent.push(sent.length);
      await post("publish", { topic: sent.length % 2 ? "news" : "sport", data: sent.length - 1 });
    };
    for (let round = 1; round <= 2; round++) {
      await publish();
      await until("what was published has come", () => told.length === sent.length);
      await until("the token has ended", async () => (await topics()).length === 0);
      await publish();
      await until("another token was asked for", () => tokens > round);
    }
    await until("all has come", () => told.length >= sent.length);
    deepEqual(told.toSorted(), sent);
  });
}
