import { deepEqual } from "node:assert/strict";
import { createClient, createRealtime } from "../../src/client/index.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { browser, openPage } from "../support/browser.ts";
import { TestGateway } from "../support/gateway.ts";
import { Relay } from "../support/relay.ts";

/** Serves the page, and keeps what it tells. */
function servePage(script: string, target: unknown, told: unknown[]): Deno.HttpServer<Deno.NetAddr> {
  const answers: Readonly<Record<string, () => Response>> = {
    "/": () =>
      new Response('<script type="module" src="/page.js"></script>', { headers: { "content-type": "text/html" } }),
    "/page.js": () => new Response(script, { headers: { "content-type": "text/javascript" } }),
    "/target": () => Response.json(target),
  };
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/told") return answers[pathname]?.() ?? new Response(null, { status: 404 });
    told.push(await request.json());
    return new Response();
  });
}

async function bundle(folder: string): Promise<string> {
  const output = `${folder}/page.js`;
  const entry = new URL("../support/client/on_page.ts", import.meta.url).pathname;
  const args = ["bundle", "--quiet", "--platform", "browser", "--output", output, entry];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return await Deno.readTextFile(output);
}

Deno.test({
  name: `a page in a browser goes on after a break, and is told when its gateway took messages with it${
    browser ? "" : " [needs chromium on PATH]"
  }`,
  ignore: browser === undefined,
  async fn() {
    await using owned = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "orama-page-" });
    owned.defer(() => Deno.remove(folder, { recursive: true }));
    const embedded = { driver: "sqlite", cacheDriver: "memory", storageDriver: "local", folder } as const;
    const first = owned.use(await TestGateway.start(embedded));
    const { apiKey } = await newOwner(first);
    const relay = owned.use(new Relay(first.url));
    const told: unknown[] = [];
    const page = servePage(await bundle(folder), { url: relay.url, apiKey }, told);
    owned.defer(() => page.shutdown());
    const hears = async (...expected: readonly unknown[]) => {
      await until(`the page tells ${JSON.stringify(expected)}`, () => told.length >= expected.length);
      deepEqual(told.splice(0), expected);
    };
    const writerTo = ({ url }: TestGateway) => {
      const writer = createRealtime(createClient({ url, apiKey }));
      owned.defer(() => writer.close());
      return writer;
    };

    const address = `http://127.0.0.1:${page.addr.port}/`;
    const chromium = owned.use(await openPage(address));
    await hears(["live"], ["message", "from the page"]);
    const writer = writerTo(first);
    await writer.publish("page", 1);
    await hears(["message", 1]);

    relay.cut();
    await writer.publish("page", 2);
    await hears(["waiting"], ["live"], ["recovered", true], ["message", 2]);

    writer.close();
    first.signal("SIGKILL");
    await first.exitCode();
    await hears(["waiting"]);
    const second = owned.use(await TestGateway.start(embedded));
    relay.target = second.url;
    await hears(["live"], ["recovered", false], ["gap", "gateway_lost"]);
    const later = writerTo(second);
    await later.publish("page", 3);
    await hears(["message", 3]);
    deepEqual((await later.presence("page")).members.map(({ id }) => id), ["page"]);
    await chromium[Symbol.asyncDispose]();
    await until("the page has left", async () => (await later.presence("page")).count === 0);
  },
});
