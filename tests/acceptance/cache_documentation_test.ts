import { equal, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const PAGE = new URL("../../docs/cache.md", import.meta.url);

/** What the page says that an example answers, as expressions: `…` stands for anything. */
const answersOf = (script: string) =>
  [...script.matchAll(/# (\{.*?\})(?:; .*)?$/gm)].map(([, answer = ""]) =>
    new RegExp(`^${answer.split("…").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join(".*")}$`)
  );

const NAME = "the examples of docs/cache.md run, and answer what the page says";
const isThere = (program: string) =>
  new Deno.Command(program, { args: ["--version"] }).output().then(({ success }) => success, () => false);
const lacking = [await isThere("bash") ? [] : ["bash"], await isThere("curl") ? [] : ["curl"]].flat();
if (lacking.length > 0) Deno.test.ignore(`${NAME} [needs ${lacking.join(" and ")}]`, () => {});
else suite.test(NAME, examplesRun);

async function examplesRun(): Promise<void> {
  await using owner = await newOwner(suite.gateway);
  const page = await Deno.readTextFile(PAGE);
  const examples = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(([, example]) => example!).join("\n");
  const folder = await Deno.makeTempDir({ prefix: "orama-examples-" });
  try {
    // An answer that is no success ends the script.
    const script = `curl() { command curl -sS --fail-with-body "$@" && echo; }\n${examples}`;
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-euo", "pipefail", "-c", script],
      env: { URL: suite.gateway.url, KEY: owner.apiKey },
      cwd: folder,
    }).output();
    const text = new TextDecoder().decode(stdout);
    equal(code, 0, text + new TextDecoder().decode(stderr));
    const lines = text.split("\n");
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
