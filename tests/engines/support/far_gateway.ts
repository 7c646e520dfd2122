import { OlricDriver } from "../../../services/cache/olric/driver.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Machine } from "./network.ts";

/** What it is asked to do. `from`: only while the entry has this version. */
interface Question {
  readonly id: number;
  readonly key: string;
  /** What is to be written; absent: it is read. */
  readonly json?: string;
  readonly from?: string;
  /** At which of its looks at the clock it stops its own process. Default: at none. */
  readonly stopsAt?: number;
}
type Answer = Outcome & { readonly id: number };

/** What became of an operation: a value with its version where there is one, the code of the error and its text where there is one. */
export interface Outcome {
  readonly value?: string;
  readonly version?: string;
  readonly code?: string;
  readonly message?: string;
}

/** How it runs. */
export interface FarGatewayOptions {
  /** Default: here. */
  readonly machine?: Machine;
  /** Milliseconds that an operation may take. Default: the driver's own. */
  readonly timeout?: number;
}

/** The cache as a gateway on another machine has it: a process of its own, asked through pipes, which no network cuts. */
export class FarGateway implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #questions: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  readonly #ended: Promise<void>;
  #last = 0;

  constructor(addresses: readonly string[], { machine, timeout = 0 }: FarGatewayOptions = {}) {
    const { pathname: config } = new URL("../../../deno.json", import.meta.url),
      { pathname: self } = new URL(import.meta.url);
    const args = [String(timeout), ...addresses];
    const run = [Deno.execPath(), "run", "-A", "--no-check", "--config", config, self, ...args];
    const [program, ...rest] = machine?.run(run) ?? run;
    this.#process = new Deno.Command(program!, { args: rest, stdin: "piped", stdout: "piped" }).spawn();
    this.#questions = this.#process.stdin.getWriter();
    this.#ended = this.#listen();
  }

  get(key: string): Promise<Outcome> {
    return this.#ask({ key });
  }

  put(key: string, json: string): Promise<Outcome> {
    return this.#ask({ key, json });
  }

  /**
   * Writes only while the entry has a version.
   * @param stopsAt at which of its looks at the clock, counted from 1, it stops its own process. Default: at none
   */
  change(key: string, json: string, from: string, stopsAt = 0): Promise<Outcome> {
    return this.#ask({ key, json, from, stopsAt });
  }

  /** Whether its process stands still (Linux). */
  get isStopped(): boolean {
    const stat = Deno.readTextFileSync(`/proc/${this.#process.pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  }

  /** `SIGSTOP`: it stands still in the middle of whatever it does. Only where it runs here. */
  stop(): void {
    this.#process.kill("SIGSTOP");
  }

  /** `SIGCONT`. */
  goOn(): void {
    this.#process.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goOn();
    await this.#questions.close();
    await this.#process.status;
    await this.#ended;
  }

  #ask(question: Omit<Question, "id">): Promise<Outcome> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve);
      this.#questions.write(new TextEncoder().encode(`${JSON.stringify({ id, ...question })}\n`)).catch(reject);
    });
  }

  async #listen(): Promise<void> {
    for await (const line of linesOf(this.#process.stdout)) {
      const { id, ...outcome } = JSON.parse(line) as Answer;
      this.#waiting.get(id)!(outcome);
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

/** The clock of this machine, which can stop the process while it tells the time: whoever asked has an old one when it goes on. */
class StoppingClock {
  /** Looks until then; 0 or less: it does not. */
  looks = 0;

  now(): number {
    return Date.now();
  }

  monotonic(): number {
    const time = performance.now();
    if (--this.looks === 0) Deno.kill(Deno.pid, "SIGSTOP");
    return time;
  }
}

async function answer(driver: OlricDriver, clock: StoppingClock, question: Question): Promise<Answer> {
  const { id, key, json, from, stopsAt = 0 } = question, at = { map: "far", key };
  try {
    if (json !== undefined) {
      clock.looks = stopsAt;
      const condition = from === undefined ? {} : { condition: { version: from } };
      const { version } = await driver.put("ns", at, { json }, condition, WAITER);
      return { id, ...(version !== undefined && { version }) };
    }
    const found = await driver.get("ns", at, WAITER);
    return found && "json" in found.value ? { id, value: found.value.json, version: found.version } : { id };
  } catch (error) {
    if (error instanceof GatewayError) return { id, code: error.code, message: error.message };
    return { id, code: String(error) };
  } finally {
    if (json !== undefined) clock.looks = 0;
  }
}

async function serve([timeout, ...addresses]: readonly string[]): Promise<void> {
  const clock = new StoppingClock();
  const driver = await OlricDriver.open({ addresses, clock, ...(timeout !== "0" && { timeout: Number(timeout) }) });
  const encoder = new TextEncoder();
  for await (const line of linesOf(Deno.stdin.readable)) {
    answer(driver, clock, JSON.parse(line) as Question)
      .then((told) => Deno.stdout.write(encoder.encode(`${JSON.stringify(told)}\n`)));
  }
  await driver.close();
}

if (import.meta.main) await serve(Deno.args);
