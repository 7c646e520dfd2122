import { deepEqual, equal, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const ROOT = new URL("../../", import.meta.url);

/** All examples of the page, as one program against a gateway. */
function programOf(page: string, url: string, apiKey: string): string {
  const examples = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, example]) => example!);
  ok(examples.length > 3, "the page has examples");
  return examples.join("\n").replaceAll("./src/client/", new URL("src/client/", ROOT).href)
    .replace('"https://gateway.example"', JSON.stringify(url)).replace('"ak_…"', JSON.stringify(apiKey));
}

/** What the page says that its examples print. */
const printed = (page: string) => [...page.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text!);

for (const name of ["docs/client.md", "docs/realtime_client.md"]) {
  suite.test(`the examples of ${name} compile, run, and print what the page says`, async () => {
    await using owner = await newOwner(suite.gateway);
    const page = await Deno.readTextFile(new URL(name, ROOT));
    const folder = await Deno.makeTempDir({ prefix: "orama-examples-" });
    try {
      await Deno.writeTextFile(`${folder}/examples.ts`, programOf(page, suite.gateway.url, owner.apiKey));
      const config = new URL("deno.json", ROOT).pathname;
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--check", "--allow-net", "--config", config, `${folder}/examples.ts`],
        env: { NO_COLOR: "1" },
      }).output();
      equal(code, 0, new TextDecoder().decode(stderr));
      deepEqual(new TextDecoder().decode(stdout).trimEnd().split("\n"), printed(page));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

suite.test("one file of the client is made by the command of docs/client.md", async () => {
  const folder = await Deno.makeTempDir({ prefix: "orama-bundle-" });
  try {
    const output = `${folder}/orama_client.js`;
    const page = await Deno.readTextFile(new URL("docs/client.md", ROOT));
    const [, command = ""] = /^```sh\ndeno (bundle .*)\n```/m.exec(page) ?? [];
    const args = command.replace("orama_client.js", output).split(" ");
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
    equal(code, 0, new TextDecoder().decode(stderr));
    const text = await Deno.readTextFile(output);
    ok(!/\b(Deno|process|require)\b[.(]|^import /m.test(text), "it needs nothing else");
    const { createClient } = await import(`file://${output}`);
    equal(typeof createClient, "function");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}, { namespaces: 0 });
