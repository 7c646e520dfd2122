import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { buildExample, functionExamples } from "../support/function_examples.ts";
import { deploy, invoke } from "../support/functions.ts";
import { testShellExamples } from "../support/shell_examples.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
/** Those that ask the database for a word; the others count in the cache. */
const ASKING: readonly string[] = ["go", "extism-rust"];
const examples = await functionExamples();

for (const { name, lacks } of examples) {
  const sentence = `examples/functions/${name} is built, deployed and called`;
  if (lacks === undefined) suite.test(sentence, () => called(name));
  else Deno.test.ignore(`${sentence} [needs ${lacks}]`, () => {});
}

async function called(name: string): Promise<void> {
  const { gateway } = suite;
  await using owner = await newOwner(gateway);
  const credential = { key: owner.apiKey };
  const deployed = await deploy(gateway, credential, "greet", await buildExample(name));
  const abi = name.startsWith("extism") ? "extism" : "wasi";
  deepEqual((deployed.get("function") as Record<string, unknown>)["abi"], abi);

  const asks = ASKING.includes(name);
  const greet = async (who: string, language?: string) =>
    (await invoke(gateway, credential, "greet", JSON.stringify({ name: who, language }))).expect(200).body;
  const answer = (who: string, count: number) => ({ greeting: `Hello, ${who}!`, ...(!asks && { count }) });
  deepEqual(await greet("E2E Tester"), answer("E2E Tester", 1));
  deepEqual(await greet("Zoë"), answer("Zoë", 2));
  if (asks) deepEqual(await greet("Zoë", "de"), { greeting: "Hallo, Zoë!" });
  // Each in an instance of its own.
  deepEqual(
    new Set(
      (await Promise.all(["a", "b", "c", "d"].map((who) => greet(who)))).map((body) =>
        (body as { greeting: string }).greeting
      ),
    ),
    new Set(["Hello, a!", "Hello, b!", "Hello, c!", "Hello, d!"]),
  );

  const refused = await invoke(gateway, credential, "greet", "no JSON");
  equal(refused.status, 422, refused.text);
  equal(refused.string("code"), "FUNCTION_FAILED");
}

const logging = examples.find(({ name }) => name === "rust");
if (logging?.lacks === undefined) {
  suite.test("what the Rust example logs, and why a call of it failed, stands in its log", async () => {
    const { gateway } = suite;
    await using owner = await newOwner(gateway);
    const credential = { key: owner.apiKey };
    await deploy(gateway, credential, "greet", await buildExample("rust"));
    (await invoke(gateway, credential, "greet", `{"name":"Ada"}`)).expect(200);
    (await invoke(gateway, credential, "greet", "no JSON")).expect(422);
    const messages = async () => {
      const answer = await gateway.call("GET", "/v1/functions/greet/logs", credential);
      return answer.expect(200).list("logs").map(({ message }) => String(message)).join("\n");
    };
    await until("the lines are there", async () => /greeting Ada/.test(await messages()));
    await until("the failure is there", async () => /the input must be JSON/.test(await messages()));
    ok(/FUNCTION_FAILED/.test(await messages()));
  });
}

const page = "functions.md";
const rustup = await new Deno.Command("rustup", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);
if (logging?.lacks === undefined && rustup) testShellExamples(suite, page);
else Deno.test.ignore(`the examples of docs/${page} run, and answer what the page says [needs rustup]`, () => {});
