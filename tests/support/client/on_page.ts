import { createClient, createRealtime } from "../../../src/client/index.ts";

/** Listens to a topic in a page, and tells what comes of it to where the page is from. Bundled for a browser by its test. */
const { url, apiKey } = await (await fetch("/target")).json() as { readonly url: string; readonly apiKey: string };
let telling: Promise<unknown> = Promise.resolve();
const tell = (...what: readonly unknown[]): void => {
  telling = telling.then(() => fetch("/told", { method: "POST", body: JSON.stringify(what) }));
};
globalThis.addEventListener("error", ({ message }) => tell("error", message));

const realtime = createRealtime<Record<string, unknown>>(createClient({ url, apiKey }), {
  retry: { firstPause: 100, longestPause: 500 },
});
const subscription = realtime.subscribe("page", { member: { id: "page" } });
subscription.on("message", ({ data }) => tell("message", data));
subscription.on("gap", ({ reason }) => tell("gap", reason));
subscription.on("recovered", ({ recovered }) => tell("recovered", recovered));
subscription.on("state", ({ state }) => tell(state));
await subscription.ready;
await realtime.publish("page", "from the page");
