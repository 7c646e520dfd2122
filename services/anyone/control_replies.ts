/** A line of a reply, and the data behind it if it announced some. */
export interface ReplyLine {
  readonly text: string;
  /** Without the dots that the protocol adds; lines end with `\n`. */
  readonly data: string | undefined;
}

/** What a control port answered to one command (control-spec, 2.3). */
export interface ControlReply {
  /** That of the last line: 250 is a success. */
  readonly code: number;
  readonly lines: readonly ReplyLine[];
}

/** The control port is not there, does not answer, or is none. Its message completes "the control port …". */
export class ControlError extends Error {
  override readonly name = "ControlError";
}

/** Bytes of one line, and of one reply: what is asked for here is far below. */
const MAX_LINE = 16_384, MAX_REPLY = 262_144;
const CONTROL_CHARACTERS = /(?!\t)\p{Cc}/u;

/** Reads replies. Whoever is at the other end may be anybody: lines and replies have bounds, and no control characters. */
export class ReplyReader {
  #buffer = new Uint8Array(0);
  #taken = 0;

  /** @param read gives the next bytes; `null` at the end */
  constructor(private readonly read: () => Promise<Uint8Array | null>) {}

  /** The next reply; what is told unasked (control-spec, 4.1) is passed over. @throws ControlError, and what `read` throws */
  async next(): Promise<ControlReply> {
    this.#taken = 0;
    for (;;) {
      const reply = await this.#reply();
      if (reply.code < 600 || reply.code > 699) return reply;
    }
  }

  async #reply(): Promise<ControlReply> {
    const lines: ReplyLine[] = [];
    for (;;) {
      const [, code, kind, text] = /^(\d{3})([ +-])(.*)$/.exec(await this.#line()) ?? [];
      if (code === undefined) throw new ControlError("does not speak the control protocol");
      lines.push({ text: text!, data: kind === "+" ? await this.#data() : undefined });
      if (kind === " ") return { code: Number(code), lines };
    }
  }

  async #data(): Promise<string> {
    let data = "";
    for (;;) {
      const line = await this.#line();
      if (line === ".") return data;
      data += `${line.replace(/^\./, "")}\n`;
    }
  }

  async #line(): Promise<string> {
    for (let from = 0;;) {
      const end = this.#buffer.indexOf(10, from);
      if (end >= 0) {
        const bytes = this.#buffer.subarray(0, end);
        this.#buffer = this.#buffer.slice(end + 1);
        return this.#checked(bytes);
      }
      from = this.#buffer.length;
      if (from > MAX_LINE) throw new ControlError("sends a line without end");
      const more = await this.read();
      if (more === null) throw new ControlError("closes the connection instead of answering");
      const joined = new Uint8Array(from + more.length);
      joined.set(this.#buffer);
      joined.set(more, from);
      this.#buffer = joined;
    }
  }

  #checked(bytes: Uint8Array): string {
    this.#taken += bytes.length + 1;
    if (bytes.length > MAX_LINE) throw new ControlError("sends a line without end");
    if (this.#taken > MAX_REPLY) throw new ControlError("sends a reply without end");
    const line = new TextDecoder().decode(bytes).replace(/\r$/, "");
    if (CONTROL_CHARACTERS.test(line)) throw new ControlError("does not speak the control protocol");
    return line;
  }
}
