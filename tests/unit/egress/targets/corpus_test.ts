import { deepEqual, equal, ok } from "node:assert/strict";
import { AddressRules } from "../../../../services/egress/targets/addresses.ts";
import { TargetRules } from "../../../../services/egress/targets/hosts.ts";
import { isLocalName, isProxyOnlyName, targetOf, urlOf } from "../../../../services/egress/targets/target.ts";
import type { Target } from "../../../../services/egress/parts.ts";
import { EgressFailure } from "../../../../src/contracts/egress.ts";
import { type AddressCase, addressCases } from "../../../fixtures/egress/addresses.ts";

const CANARY = 18_080;
const addresses = new AddressRules({ own: [], denied: [], allowed: [], ipv6: true });
const hosts = new TargetRules({ allow_hosts: null, deny_hosts: [], ports: [80, 443, CANARY], methods: null });

type Judgement = Pick<AddressCase, "verdict" | "by">;

function judge(url: string): Judgement {
  let target: Target;
  try {
    target = targetOf(url);
  } catch (error) {
    ok(error instanceof EgressFailure, `${url}: ${error}`);
    return { verdict: error.code, by: "url" };
  }
  return judgeTarget(target);
}

function judgeTarget(target: Target): Judgement {
  if (target.kind === "name") {
    if (isProxyOnlyName(target.host)) return { verdict: "EGRESS_TARGET_REFUSED", by: "name" };
    if (isLocalName(target.host)) return { verdict: "EGRESS_ADDRESS_REFUSED", by: "name" };
  } else if (addresses.refusal(target.host) !== undefined) return { verdict: "EGRESS_ADDRESS_REFUSED", by: "address" };
  if (hosts.refusal(target, "GET") !== undefined) return { verdict: "EGRESS_TARGET_REFUSED", by: "port" };
  return { verdict: "taken", by: "url" };
}

const shown = (url: string) => JSON.stringify(url.slice(0, 120));

for (const canary of [80, CANARY]) {
  Deno.test(`every URL of the corpus gets its verdict from what it should, with a canary at ${canary}`, () => {
    const wrong = addressCases(canary).flatMap(({ url, verdict, by, why }) => {
      const got = judge(url);
      return got.verdict === verdict && got.by === by ? [] : [`${shown(url)} (${why}): ${got.verdict} by ${got.by}`];
    });
    deepEqual(wrong, []);
  });
}

Deno.test("the corpus has many URLs, each once, and some for each verdict", () => {
  const all = addressCases();
  ok(all.length > 450, String(all.length));
  equal(new Set(all.map(({ url }) => url)).size, all.length);
  for (const by of ["url", "name", "address", "port"]) ok(all.filter((entry) => entry.by === by).length >= 10, by);
  ok(all.filter(({ verdict }) => verdict === "taken").length > 40);
  ok(all.filter(({ url }) => url.includes("127.0.0.1")).length > 30);
  ok(
    addressCases(CANARY).filter(({ url }) => url.includes(`:${CANARY}`)).length > 300,
    "the canary is what they lead to",
  );
});

Deno.test("a redirect to a URL of the corpus is judged as a request to it, or is a reference within the same server", () => {
  const base = targetOf("https://redirects.example/a/b");
  const relative: string[] = [];
  for (const { url, verdict, by } of addressCases()) {
    let target: Target;
    try {
      target = targetOf(url, base);
    } catch (error) {
      ok(error instanceof EgressFailure, shown(url));
      equal(by === "url" && verdict !== "taken", true, shown(url));
      continue;
    }
    if (verdict !== "EGRESS_REQUEST_INVALID") deepEqual(judgeTarget(target), { verdict, by }, shown(url));
    else if (url.startsWith("//")) equal(judgeTarget(target).verdict, "EGRESS_ADDRESS_REFUSED", shown(url));
    else {
      relative.push(url);
      equal(`${target.scheme} ${target.host} ${target.port}`, "https redirects.example 443", shown(url));
    }
  }
  deepEqual(relative.toSorted(), ["", "/etc/passwd", "127.0.0.1", "http//127.0.0.1/"]);
});

Deno.test("what a URL has become is read as itself once more", () => {
  for (const { url, verdict, by } of addressCases()) {
    if (verdict === "EGRESS_REQUEST_INVALID" && by === "url") continue;
    const target = targetOf(url);
    deepEqual(targetOf(urlOf(target)), target, shown(url));
    deepEqual(targetOf(urlOf(target), new URL("https://a.example/")), target, shown(url));
  }
});

Deno.test("no sentence of a refusal has a line break, or what a URL may hold secret", () => {
  for (const { url } of addressCases()) {
    try {
      targetOf(url);
    } catch (error) {
      ok(error instanceof EgressFailure && /^[^\n\r]{20,160}$/.test(error.message), shown(url));
      ok(!error.message.includes("password@"), shown(url));
    }
  }
});
