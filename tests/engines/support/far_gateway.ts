import { OlricDriver } from "../../../services/cache/olric/driver.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Machine } from "./network.ts";

/** What it can be asked to do. */
type Operation = "get" | "put";
type Question = readonly [id: number, operation: Operation, key: string, json: string];
type Answer = readonly [id: number, value: string | undefined | null, code: string | undefined | null];

/** What became of an operation: a value where there is one, the code of the error where there is one. */
export interface Outcome {
  readonly value: string | undefined;
  readonly code: string | undefined;
}

/** The cache as a gateway on another machine has it: a process of its own, asked through pipes, which no network cuts. */
export class FarGateway implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #questions: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  readonly #ended: Promise<void>;
  #last = 0;

  constructor(machine: Machine, addresses: readonly string[]) {
    const { pathname: config } = new URL("../../../deno.json", import.meta.url),
      { pathname: self } = new URL(import.meta.url);
    const run = [Deno.execPath(), "run", "-A", "--no-check", "--config", config, self, ...addresses];
    const [program, ...args] = machine.run(run);
    this.#process = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#questions = this.#process.stdin.getWriter();
    this.#ended = this.#listen();
  }

  get(key: string): Promise<Outcome> {
    return this.#ask("get", key, "");
  }

  put(key: string, json: string): Promise<Outcome> {
    return this.#ask("put", key, json);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#questions.close();
    await this.#process.status;
    await this.#ended;
  }

  #ask(operation: Operation, key: string, json: string): Promise<Outcome> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve);
      const question: Question = [id, operation, key, json];
      this.#questions.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`)).catch(reject);
    });
  }

  async #listen(): Promise<void> {
    for await (const line of linesOf(this.#process.stdout)) {
      const [id, value, code] = JSON.parse(line) as Answer;
      this.#waiting.get(id)!({ value: value ?? undefined, code: code ?? undefined });
      this.#waiting.delete(id);
    }
  }
}

async function* linesOf(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

const WAITER = { signal: new AbortController().signal };

async function answer(driver: OlricDriver, [id, operation, key, json]: Question): Promise<Answer> {
  const at = { map: "far", key };
  try {
    if (operation === "put") {
      await driver.put("ns", at, { json }, {}, WAITER);
      return [id, undefined, undefined];
    }
    const found = await driver.get("ns", at, WAITER);
    return [id, found && "json" in found.value ? found.value.json : undefined, undefined];
  } catch (error) {
    return [id, undefined, error instanceof GatewayError ? error.code : String(error)];
  }
}

async function serve(): Promise<void> {
  const driver = await OlricDriver.open({ addresses: Deno.args });
  const encoder = new TextEncoder();
  for await (const line of linesOf(Deno.stdin.readable)) {
    answer(driver, JSON.parse(line) as Question)
      .then((told) => Deno.stdout.write(encoder.encode(`${JSON.stringify(told)}\n`)));
  }
  await driver.close();
}

if (import.meta.main) await serve();
