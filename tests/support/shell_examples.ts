import { equal, ok } from "node:assert/strict";
import { newOwner } from "./accounts.ts";
import type { AnyGateway, Suite } from "./suite.ts";

/** What a page says that an example answers, as expressions: `…` stands for anything. JSON, or any text behind `→`. */
const answersOf = (script: string) =>
  [...script.matchAll(/# (?:(\{.*?\})(?:; .*)?|→ (.*))$/gm)].map(([, json, text]) =>
    new RegExp(
      `^${(json ?? text)!.split("…").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join(".*")}\r?$`,
    )
  );

const isThere = (program: string) =>
  new Deno.Command(program, { args: ["--version"] }).output().then(({ success }) => success, () => false);
const lacking = [await isThere("bash") ? [] : ["bash"], await isThere("curl") ? [] : ["curl"]].flat();

/** A test that the examples of a page run, in its order, and answer what it says. @param page within `docs` */
export function testShellExamples(suite: Suite<AnyGateway>, page: string): void {
  const name = `the examples of docs/${page} run, and answer what the page says`;
  if (lacking.length > 0) Deno.test.ignore(`${name} [needs ${lacking.join(" and ")}]`, () => {});
  else suite.test(name, () => examplesRun(suite.gateway, new URL(`../../docs/${page}`, import.meta.url)));
}

async function examplesRun(gateway: AnyGateway, page: URL): Promise<void> {
  await using owner = await newOwner(gateway);
  const text = await Deno.readTextFile(page);
  const examples = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, example]) => example!).join("\n");
  const folder = await Deno.makeTempDir({ prefix: "orama-examples-" });
  try {
    // An answer that is no success ends the script.
    const script = `curl() { command curl -sS --fail-with-body "$@" && echo; }\n${examples}`;
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-euo", "pipefail", "-c", script],
      env: { URL: gateway.url, KEY: owner.apiKey },
      cwd: folder,
    }).output();
    const printed = new TextDecoder().decode(stdout);
    equal(code, 0, printed + new TextDecoder().decode(stderr));
    const lines = printed.split("\n");
    const answers = answersOf(examples);
    ok(answers.length > 10, String(answers.length));
    for (const answer of answers) {
      // In their order, so that no line stands for two.
      const found = lines.findIndex((line) => answer.test(line));
      ok(found >= 0, `no answer is ${answer} in\n${lines.join("\n")}`);
      lines.splice(0, found + 1);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
