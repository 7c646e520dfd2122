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

/** A test that runs commands of a shell, which call `curl`. */
export function shellTest(suite: Pick<Suite<AnyGateway>, "test">, name: string, run: () => Promise<void>): void {
  if (lacking.length > 0) Deno.test.ignore(`${name} [needs ${lacking.join(" and ")}]`, () => {});
  else suite.test(name, run);
}

/** A test that the examples of a page run, in its order, and answer what it says. @param page within `docs` */
export function testShellExamples(suite: Suite<AnyGateway>, page: string): void {
  const run = () => examplesRun(suite.gateway, new URL(`../../docs/${page}`, import.meta.url));
  shellTest(suite, `the examples of docs/${page} run, and answer what the page says`, run);
}

/** An answer that is no success ends the script. A stream of events (`-N`) has no end: its first message is waited for, 30 s at most. */
const CURL = `
curl() {
  case " $* " in
    *" -N "*) stream "$@" ;;
    *) command curl -sS --fail-with-body "$@" && echo ;;
  esac
}
stream() {
  local tries=0
  command curl -sS --fail-with-body "$@" > stream &
  until grep -q '^data: {"type":"message".*}$' stream || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
  kill $!
  cat stream
}`;

async function examplesRun(gateway: AnyGateway, page: URL): Promise<void> {
  await using owner = await newOwner(gateway);
  const folder = await Deno.makeTempDir({ prefix: "orama-examples-" });
  try {
    const examples = shellExamplesIn(await Deno.readTextFile(page));
    const env = { URL: gateway.url, KEY: owner.apiKey };
    const { said } = await runShellExamples(examples, { env, folder });
    ok(said > 10, `the page says only ${said} answers`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The commands of a page, as one script. */
export const shellExamplesIn = (text: string): string =>
  [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, example]) => example!).join("\n");

/** Runs a script, and looks whether it answers what it says. @returns how many answers it says, and all that it printed */
export async function runShellExamples(
  script: string,
  { env, folder }: { readonly env: Readonly<Record<string, string>>; readonly folder: string },
): Promise<{ readonly said: number; readonly printed: string }> {
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", `${CURL}\n${script}`],
    env,
    cwd: folder,
  }).output();
  const printed = new TextDecoder().decode(stdout);
  equal(code, 0, printed + new TextDecoder().decode(stderr));
  const lines = printed.split("\n");
  const answers = answersOf(script);
  for (const answer of answers) {
    // In their order, so that no line stands for two.
    const found = lines.findIndex((line) => answer.test(line));
    ok(found >= 0, `no answer is ${answer} in\n${lines.join("\n")}`);
    lines.splice(0, found + 1);
  }
  return { said: answers.length, printed };
}
