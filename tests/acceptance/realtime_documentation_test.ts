import { deepEqual, equal, ok } from "node:assert/strict";
import { loadConfig } from "../../config/index.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { shellTest, testShellExamples } from "../support/shell_examples.ts";
import { TestSocket, type Told } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

/** The examples of a page in one language; that of those that name none is empty. */
const examples = (page: string, language: string): string[] =>
  [...page.matchAll(/^```(\S*)\n(.*?)^```$/gms)].filter(([, name]) => name === language).map(([, , text]) => text!);

testShellExamples(suite, "realtime.md");

/** Whether something is as a page shows it, which may show less: text that ends with `…` stands for any, and so does a time. */
function isShown(shown: unknown, told: unknown, name = ""): boolean {
  if (name === "at") return typeof told === "number";
  if (typeof shown === "string" && shown.endsWith("…")) return typeof told === "string";
  if (typeof shown !== "object" || shown === null) return shown === told;
  if (typeof told !== "object" || told === null || Array.isArray(shown) !== Array.isArray(told)) return false;
  return Object.entries(shown).every(([name, value]) => isShown(value, (told as Told)[name], name));
}

suite.test("the frames that docs/realtime.md shows are answered as it shows", async () => {
  await using owner = await newOwner(suite.gateway);
  const [frames = ""] = examples(await read("docs/realtime.md"), "").filter((text) => text.startsWith("→"));
  const lines = frames.trimEnd().replaceAll(/\n +/g, "").split("\n");
  const of = (arrow: string) =>
    lines.filter((line) => line.startsWith(arrow)).map((line) =>
      line.slice(1).replace("ak_…", owner.apiKey).replace('"shop"', JSON.stringify(owner.namespace))
    );
  deepEqual([of("→").length, of("←").length, lines.length], [3, 4, 7]);
  await using socket = await TestSocket.open(suite.gateway.url, "/v1/realtime");
  for (const frame of of("→")) socket.socket.send(frame);
  await until("all is answered", () => socket.told.length >= 4 || socket.ended !== undefined);
  const { told } = socket;
  for (const text of of("←")) {
    const found = told.findIndex((one) => isShown(JSON.parse(text), one));
    ok(found >= 0, `nothing told is ${text} in\n${socket.frames.join("\n")}`);
    told.splice(found, 1);
  }
  deepEqual(told, []);
});

/** A program that runs until the test is done with it, and what it has written. */
class Running implements AsyncDisposable {
  written = "";
  readonly #process: Deno.ChildProcess;
  readonly #read: Promise<void>;

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#process = new Deno.Command(program, { args: [...args], env, stdout: "piped", stderr: "null" }).spawn();
    this.#read = awaitedLater(
      this.#process.stdout.pipeThrough(new TextDecoderStream())
        .pipeTo(new WritableStream({ write: (text) => void (this.written += text) })),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await Promise.all([this.#process.status, this.#read]);
  }
}

shellTest(suite, "the live messages of the README come by both of its ways", async () => {
  await using owner = await newOwner(suite.gateway);
  const page = (await read("README.md")).replaceAll("localhost:6001", new URL(suite.gateway.url).host);
  const lines = examples(page, "sh").flatMap((text) => text.split("\n")).filter((line) => line.includes("/v1/pubsub/"));
  equal(lines.length, 2);
  const [receive = "", send = ""] = lines;
  const env = { KEY: owner.apiKey, NO_COLOR: "1" };
  await using stream = new Running("bash", ["-c", `exec ${receive}`], env);
  const [program = ""] = examples(page, "js");
  const script = `const KEY = Deno.env.get("KEY");\n${program}`;
  await using socket = new Running(Deno.execPath(), ["eval", "--quiet", script], env);
  await until("the stream has begun", () => stream.written.includes("event: subscribed"));
  await until("the socket is subscribed", () => socket.written.includes('"type":"ok"'));
  const { success } = await new Deno.Command("bash", { args: ["-c", send], env, stderr: "null" }).output();
  ok(success, send);
  for (const reader of [stream, socket]) {
    await until("the message comes", () => reader.written.includes('"data":{"title":"Hello"}'));
  }
});

/** What the files hold that configurations of the documentation name. */
const readSecret = (path: string) => path.endsWith(".key") ? "ab".repeat(32) : "a password";
const loaded = (yaml: string) =>
  loadConfig({
    file: "orama.yaml",
    readFile: (path) => path === "orama.yaml" ? yaml : readSecret(path),
    env: {},
    flags: [],
  }).config;

Deno.test("the configurations of the three gateways are right, and are those of one cluster", async () => {
  const page = await read("docs/operation.md");
  const files = examples(page, "yaml").filter((text) => /^# orama\.yaml on /.test(text));
  const addresses = files.map((text) => /^# orama\.yaml on (\S+)/.exec(text)![1]!);
  deepEqual(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  const [one, ...others] = files.map((text, i) => {
    const { http, network, ...config } = loaded(text);
    equal(http.listen.hostname, addresses[i]);
    deepEqual(network.listen, [`/ip4/${addresses[i]}/tcp/4001`]);
    equal(config.pubsub.driver, "libp2p");
    return { config, http: { ...http, listen: undefined }, network: { ...network, listen: undefined } };
  });
  for (const other of others) deepEqual(other, one);
});

Deno.test("the other configurations that the documentation shows are taken", async () => {
  let found = 0;
  for (const path of ["README.md", "docs/operation.md", "docs/configuration.md"]) {
    for (const text of examples(await read(path), "yaml").filter((text) => text.startsWith("# orama.yaml"))) {
      loaded(text);
      found++;
    }
  }
  ok(found > 5, String(found));
});

/** What begins like a metric in the documentation, and is a service that metrics tell of. */
const SERVICES = ["cache_engine", "storage_engine"];

suite.test("every figure that the documentation names is told, and every one of live messages is named", async () => {
  const { key } = await suite.gateway.makeKey("--operator");
  const { text } = (await suite.gateway.call("GET", "/metrics", { key })).expect(200);
  const told = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!));
  const families = new Set([...told].map((name) => name.split("_")[0]!));
  const named = new Set<string>();
  for (const page of ["docs/operation.md", "docs/realtime.md"]) {
    for (const [, name, , label] of (await read(page)).matchAll(/`([a-z\d]+(?:_[a-z\d]+)+)(\{([^`]*)\})?`/g)) {
      if (!families.has(name!.split("_")[0]!) || SERVICES.includes(name!)) continue;
      ok(told.has(name!), `${page} names ${name}, which no gateway tells`);
      named.add(name!);
      // Others are told once there is something to tell of them.
      if (!label?.includes("=") || !/^(pubsub_recoveries|pubsub_gaps|service_up)/.test(name!)) continue;
      ok(text.split("\n").some((line) => line.startsWith(`${name}{`) && line.includes(label)), `${name}{${label}}`);
    }
  }
  const unnamed = [...told].filter((name) => /^(pubsub|live|network)_/.test(name) && !named.has(name));
  deepEqual(unnamed, []);
});

suite.test("every setting of live messages and the network that docs/operation.md names is one", async () => {
  const reference = await read("docs/configuration.md");
  const names = [...(await read("docs/operation.md")).matchAll(/`((?:pubsub|network|http|limits)\.[a-z_.]+)`/g)]
    .map(([, name]) => name!);
  ok(names.length > 20, String(names.length));
  for (const name of new Set(names)) ok(reference.includes(`| \`${name}\` |`), name);
});

/** What a heading is called in an address, as GitHub makes it. */
const anchor = (heading: string) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");

Deno.test("links from one page of the documentation to a part of another lead there", async () => {
  const pages = new Map<string, string>();
  for await (const { name } of Deno.readDir(new URL("docs/", ROOT))) pages.set(name, await read(`docs/${name}`));
  let found = 0;
  const look = (from: string, text: string) => {
    for (const [link, , page, part] of text.matchAll(/\]\((docs\/)?([a-z_]+\.md)?(?:#([^)]+))?\)/g)) {
      const target = page === undefined ? text : pages.get(page);
      ok(target !== undefined, `${from}: ${link}`);
      if (part === undefined) continue;
      const headings = [...target.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading!));
      ok(headings.includes(part), `${from}: ${link}`);
      found++;
    }
  };
  for (const [name, text] of pages) look(name, text);
  look("README.md", await read("README.md"));
  ok(found > 10, String(found));
});
