/** Who listens, and who publishes. `%t` stands for a topic's number. */
export interface SocketLoad {
  readonly url: string;
  readonly sockets: number;
  readonly topics: number;
  /** How many of the sockets never read. */
  readonly silent: number;
  readonly path: string;
  /** A text frame that each socket sends first, and whose answer it waits for. */
  readonly subscribe?: string;
  readonly publisherPath: string;
  /** The text frame that publishes in a topic. */
  readonly publish: (topic: number) => string;
  /** Of the requests that open a socket: a line such as `X-API-Key: …`. */
  readonly header?: string;
}

/** What was seen while messages were published. Times in milliseconds, from when one was due to each of its deliveries. */
export interface Delivered {
  readonly published: number;
  readonly seconds: number;
  /** Messages that came to a socket, per second. */
  readonly per_second: number;
  readonly frames_per_message: number;
  readonly bytes_per_message: number;
  readonly p50: number;
  readonly p99: number;
  /** Messages that did not come to a socket that reads within 15 seconds of the end. */
  readonly missing: number;
  readonly gaps: number;
  /** Sockets that were closed. */
  readonly closed: number;
  /** CPU seconds of the load itself. */
  readonly cpu: number;
}

/** Many open sockets in a process of their own, in C: readers share the two cores with what is measured. */
export class SocketCrowd implements AsyncDisposable {
  #text = "";

  private constructor(
    private readonly process: Deno.ChildProcess,
    private readonly reader: ReadableStreamDefaultReader<string>,
    private readonly writer: WritableStreamDefaultWriter<Uint8Array>,
  ) {}

  /** Opens them all. @throws Error when a C compiler is missing, or the server refuses one */
  static async open(load: SocketLoad): Promise<SocketCrowd> {
    const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
    try {
      const program = `${folder}/load`, publishes = `${folder}/publishes`;
      const source = new URL("load.c", import.meta.url).pathname;
      const { success } = await new Deno.Command("cc", { args: ["-O2", "-o", program, source] }).output();
      if (!success) throw new Error("the load generator needs a C compiler, `cc`");
      const frames = Array.from({ length: load.topics }, (_, topic) => `${load.publish(topic)}\n`);
      await Deno.writeTextFile(publishes, frames.join(""));
      const process = new Deno.Command(program, {
        args: [
          new URL(load.url).port,
          ...[load.sockets, load.topics, load.silent].map(String),
          load.path,
          load.subscribe ?? "-",
          load.publisherPath,
          publishes,
          load.header ?? "X-Nothing: 1",
        ],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const crowd = new SocketCrowd(process, reader, process.stdin.getWriter());
      await crowd.#line();
      return crowd;
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Publishes whenever fewer than `window` messages are on their way. */
  closed(seconds: number, window: number): Promise<Delivered> {
    return this.#run(`closed ${seconds} ${window}`);
  }

  /** Publishes so many messages per second. */
  paced(seconds: number, rate: number): Promise<Delivered> {
    return this.#run(`paced ${seconds} ${rate}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer.close();
    await this.process.status;
    await this.reader.cancel();
  }

  async #run(command: string): Promise<Delivered> {
    await this.writer.write(new TextEncoder().encode(command));
    return JSON.parse(await this.#line()) as Delivered;
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.reader.read();
      if (done) throw new Error("the load generator ended");
      this.#text += value;
    }
  }
}
