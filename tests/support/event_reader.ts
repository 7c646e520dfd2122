import { until } from "../engines/support/wait.ts";

/** One event as it came. */
export interface ReadEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** Reads server-sent events as a browser's `EventSource` does. */
export class EventReader implements AsyncDisposable {
  readonly events: ReadEvent[] = [];
  /** What a browser would send when it comes back. */
  lastId: string | undefined = undefined;
  /** Whether the other side has ended the stream. */
  ended = false;

  private constructor(readonly response: Response, private readonly leaving: AbortController) {
    void this.#read();
  }

  /** Connects. The answer may be a refusal: look at its status. */
  static async open(url: string, headers: Readonly<Record<string, string>>): Promise<EventReader> {
    const leaving = new AbortController();
    return new EventReader(await fetch(url, { headers, signal: leaving.signal }), leaving);
  }

  /** The first events of these kinds, so many of them, once they are there. */
  async take(count: number, kinds = ["insert", "update", "delete", "dropped", "truncated"]): Promise<ReadEvent[]> {
    const found = () => this.events.filter(({ event }) => kinds.includes(event));
    await until(`${count} events have come`, () => found().length >= count);
    return found();
  }

  leave(): void {
    this.leaving.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave();
    await until("the reader has left", () => this.ended);
  }

  async #read(): Promise<void> {
    let text = "";
    try {
      for await (const piece of this.response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + piece).split("\n\n");
        text = blocks.pop()!;
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // Cut off, by us or by them.
    } finally {
      this.ended = true;
    }
  }

  #take(block: string): void {
    const field = (name: string) =>
      block.split("\n").filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
    const [id] = field("id");
    if (id !== undefined) this.lastId = id;
    const data = field("data");
    if (data.length > 0) this.events.push({ event: field("event")[0] ?? "message", id, data: data.join("\n") });
  }
}
