import { equal, match, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { dnsServer } from "../support/dns_server.ts";
import { TestGateway } from "../support/gateway.ts";
import { OPEN } from "../support/outside.ts";
import { runShellExamples, shellExamplesIn, shellTest } from "../support/shell_examples.ts";
import { CERTIFICATES } from "../unit/egress/process/support/certificates/index.ts";

const ROOT = new URL("../../", import.meta.url);
const PAGE = await Deno.readTextFile(new URL("docs/webhooks.md", ROOT));
const CONFIG = new URL("deno.json", ROOT).pathname;
/** Whom the test's certificate is for, in place of the page's receiver. */
const HOST = "egress.test";

/** The page's receiver as a program, and the page's commands, for a receiver at this port. */
function examplesFor(port: number) {
  const page = PAGE.replaceAll("app.example", `${HOST}:${port}`);
  const programs = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, example]) => example!);
  equal(programs.length, 1);
  const program = programs[0]!.replaceAll("./src/client/", new URL("src/client/", ROOT).href);
  return { program, commands: shellExamplesIn(page) };
}

/** @throws Error where a program does not compile */
async function compile(file: string): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--config", CONFIG, file],
    env: { NO_COLOR: "1" },
  }).output();
  equal(code, 0, new TextDecoder().decode(stderr));
}

/** What a program has printed, and where it listens. */
class Receiver implements AsyncDisposable {
  printed = "";
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;

  constructor(file: string, secret: string) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", "--allow-env", "--config", CONFIG, file],
      env: { NO_COLOR: "1", WEBHOOK_SECRET: secret, DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#reading = Promise.all([this.#read(this.#process.stdout), this.#read(this.#process.stderr)]);
  }

  /** Where it listens, once it does. */
  async url(): Promise<string> {
    const found = () => /Listening on (http:\/\/[\d.:]+)\//.exec(this.printed)?.[1];
    await until("the page's receiver listens", () => found() !== undefined).catch((cause) => {
      throw new Error(`the page's receiver does not listen:\n${this.printed}`, { cause });
    });
    return found()!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#reading;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) this.printed += decoder.decode(bytes, { stream: true });
  }
}

/** A dead delivery: no part of the gateway raises what could become one, and eight tries take a day. */
function giveUpOne(folder: string, webhook: string, namespace: string): void {
  using database = new DatabaseSync(`${folder}/control.sqlite`, { timeout: 10_000, enableForeignKeyConstraints: true });
  const now = Date.now(), id = `evt_${"0".repeat(32)}`;
  const event = { id, type: "function.failed", namespace, created_at: new Date(now).toISOString(), data: { n: 7 } };
  const body = JSON.stringify(event);
  database.prepare(
    `INSERT INTO webhook_deliveries (id, endpoint_id, namespace, event_id, type, state, bytes, tries, sends,
      created_at, queued_at, due_at, last_at, last_status, last_error, body)
    VALUES (?, ?, ?, ?, 'function.failed', 'dead', ?, 8, 8, ?, ?, ?, ?, 500, 'the receiver answered 500', ?)`,
  )
    .run(`whd_${"0".repeat(32)}`, webhook, namespace, id, body.length, now, now, now, now, body);
}

shellTest(
  { test: (name, run) => Deno.test(name, async () => await run()) },
  "the examples of docs/webhooks.md run against a receiver that is the page's own program",
  async () => {
    await using owned = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "orama-examples-" });
    owned.defer(() => Deno.remove(folder, { recursive: true }));
    const dns = owned.use(await dnsServer((name) => name === HOST ? { a: [OPEN] } : "no such name"));
    const made: { gateway?: TestGateway; receiver?: Receiver; program?: string } = {};
    /** What ends TLS before the page's receiver: the secret it is started with is known once the page made its webhook. */
    const front = owned.use(Deno.serve({
      hostname: OPEN,
      port: 0,
      cert: CERTIFICATES.server,
      key: CERTIFICATES.key,
      onListen: () => {},
    }, async (request) => {
      const body = await request.text();
      if (made.receiver === undefined) {
        const { id, secret } = JSON.parse(await Deno.readTextFile(`${folder}/webhook.json`));
        made.receiver = new Receiver(`${folder}/receiver.ts`, secret);
        giveUpOne(made.gateway!.dataFolder, id, JSON.parse(body).namespace);
      }
      const { pathname } = new URL(request.url);
      const answer = await fetch(`${await made.receiver.url()}${pathname}`, {
        method: request.method,
        headers: request.headers,
        body,
      });
      return new Response(await answer.text() || null, { status: answer.status });
    }));
    owned.defer(async () => await made.receiver?.[Symbol.asyncDispose]());
    const { port } = front.addr;
    const { program, commands } = examplesFor(port);
    await Deno.writeTextFile(`${folder}/receiver.ts`, program);
    await compile(`${folder}/receiver.ts`);
    const egress = {
      allow_networks: [`${OPEN}/32`],
      dns: [`${dns.host}:${dns.port}`],
      ports: ["443", String(port)],
      ca: CERTIFICATES.authority,
    };
    // The receiver is started while the first event waits for it.
    const config = { egress, webhooks: { timeout: "30s" } };
    const gateway = made.gateway = owned.use(await TestGateway.start({ driver: "sqlite", config }));
    await using owner = await newOwner(gateway);
    const key = (await gateway.call("POST", "/v1/auth/keys", {
      token: owner.accessToken,
      body: { name: "webhooks", scopes: ["namespace:admin"] },
    })).expect(201).string("api_key");

    const { said } = await runShellExamples(commands, { env: { URL: gateway.url, KEY: key }, folder });
    ok(said >= 8, `the page says only ${said} answers`);
    const receiver = made.receiver!;
    await until(
      "what was dead is taken, signed by the former key as well",
      () => /function\.failed/.test(receiver.printed),
    );
    match(receiver.printed, /^webhook\.test \{ webhook: "whe_[0-9a-f]{32}" \}$/m);
    match(receiver.printed, /^function\.failed \{ n: 7 \}$/m);
    const forged = await fetch(`${await receiver.url()}/hook`, { method: "POST", body: "{}" });
    equal(forged.status, 401, "what nobody signed is refused");
  },
);
