// The corpus of hostile URLs against a gateway: what became of each by `http_fetch` and through the anonymous proxy, and whether
// anything arrived where nothing may. deno task bench:egress_corpus
import { out } from "../../src/cli/output.ts";
import { type AddressCase, addressCases } from "../fixtures/egress/addresses.ts";
import { newOwner } from "../support/accounts.ts";
import { deploy, hostCalls } from "../support/functions.ts";
import { Outside } from "../support/outside.ts";
import { machine } from "./load.ts";

/** URLs in one call of the function. */
const MANY = 20;
/** Characters of the longest URL that a line of the function takes. */
const LONGEST = 1_000;

await using outside = await Outside.start();
const { gateway, socks } = outside;
await using owner = await newOwner(gateway);
const credential = { token: owner.accessToken };
await deploy(gateway, credential, "calls", "calls.wat", { timeout_seconds: "30" });

const cases = addressCases(outside.port).filter(({ verdict }) => verdict !== "taken");
const byFunction = await fetched(cases);
const byProxy = new Map<string, string>();
for (const { url } of cases) {
  const answer = await gateway.call("POST", "/v1/proxy/anon", { key: owner.apiKey, body: { url } });
  byProxy.set(url, `${answer.status} \`${String(answer.get("code") ?? "")}\``);
}

out(`# ${machine()}\n`);
out("| what it is | spellings | by `http_fetch` | through the proxy | refused for |\n|---|---|---|---|---|");
const groups = Map.groupBy(
  cases,
  (one) => [one.why, byFunction.get(one.url) ?? "–", byProxy.get(one.url), one.by].join("\0"),
);
for (const [key, all] of groups) {
  const [why, direct, proxied, by] = key.split("\0");
  out(`| ${why} | ${all.map(({ url }) => shown(url)).join(" ")} | \`${direct}\` | ${proxied} | its ${by} |`);
}
const named = socks.sessions.filter(({ host }) => host !== undefined).map(({ host }) => host);
out(
  `\n${cases.length} URLs. Connections to the canary: ${outside.canary}; requests at the open server: ${outside.got.length}; ` +
    `names that the proxy was asked for: ${[...new Set(named)].join(", ") || "none"}.`,
);

async function fetched(all: readonly AddressCase[]): Promise<ReadonlyMap<string, string>> {
  // Lines of the function's input hold no line ends and tabs.
  const urls = all.map(({ url }) => url).filter((url) => !/[\t\n\r\0]/.test(url) && url !== "" && url.length < LONGEST);
  const codes = new Map<string, string>();
  for (let at = 0; at < urls.length; at += MANY) {
    const some = urls.slice(at, at + MANY);
    const lines = await hostCalls(
      gateway,
      credential,
      "calls",
      ...some.map((url) => ["http_fetch", "GET", url, "{}", ""]),
    );
    some.forEach((url, i) => codes.set(url, String(JSON.parse(lines[i]!).code)));
  }
  return codes;
}

/** As code in a table, whatever is in it. */
function shown(url: string): string {
  const short = url.length > 80 ? `${url.slice(0, 40)}… (${url.length} characters)` : url;
  const text = short.replace(
    /[^\x21-\x7e\u00a1-\uffff…]|[\u200b-\u2060\u3000\ufe0f\u00ad]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
  return text === "" ? "(nothing)" : `\`${text.replaceAll("|", "\\|").replaceAll("`", "\\u{60}")}\``;
}
