import { until } from "../engines/support/wait.ts";

/** One object of a frame. */
export type Told = Readonly<Record<string, unknown>>;

/** A client of a WebSocket that keeps what comes. */
export class TestSocket implements AsyncDisposable {
  /** Frames as they came. */
  readonly frames: string[] = [];
  /** How it ended, once it has. */
  ended: { readonly code: number; readonly reason: string } | undefined;
  #answers = 0;
  #taken = 0;

  private constructor(readonly socket: WebSocket) {
    socket.addEventListener("message", ({ data }) => void this.frames.push(String(data)));
    socket.addEventListener("close", ({ code, reason }) => this.ended ??= { code, reason });
    socket.addEventListener("error", () => {});
  }

  /** Opens one. @throws Error when it is refused */
  static async open(url: string, path: string, protocols: string[] = []): Promise<TestSocket> {
    const socket = new TestSocket(new WebSocket(url.replace(/^http/, "ws") + path, protocols));
    await until("the socket is open, or refused", () => socket.socket.readyState !== WebSocket.CONNECTING);
    if (socket.socket.readyState !== WebSocket.OPEN) throw new Error("the socket was refused");
    return socket;
  }

  /** All objects that came. */
  get told(): Told[] {
    return this.frames.flatMap((frame) => frame.split("\n")).map((line) => JSON.parse(line));
  }

  /** Those of these types. */
  of(...types: readonly string[]): Told[] {
    return this.told.filter(({ type }) => types.includes(String(type)));
  }

  /** Sends a command and waits for its answer, whatever it is. */
  async ask(command: Told): Promise<Told> {
    const id = ++this.#answers;
    this.say({ id, ...command });
    const answer = () => this.told.find((one) => one.id === id);
    await until(`the answer to ${command.type} came`, () => answer() !== undefined || this.ended !== undefined);
    const found = answer();
    if (!found) throw new Error(`the socket ended instead: ${JSON.stringify(this.ended)}`);
    return found;
  }

  /** The same for one that is carried out. @throws Error otherwise */
  async done(command: Told): Promise<Told> {
    const answer = await this.ask(command);
    if (answer.type !== "ok") throw new Error(`${command.type}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Sends commands in one frame. */
  say(...commands: readonly Told[]): void {
    this.socket.send(commands.map((command) => JSON.stringify(command)).join("\n"));
  }

  /** The next frames, so many of them, that were not taken before. */
  async next(count: number): Promise<Told[]> {
    const end = this.#taken + count;
    await until(`${count} frames have come`, () => this.frames.length >= end);
    const frames = this.frames.slice(this.#taken, end);
    this.#taken = end;
    return frames.map((frame) => JSON.parse(frame));
  }

  /** Waits until it has ended. @returns the code */
  async end(deadline?: number): Promise<number> {
    await until("the socket has ended", () => this.ended !== undefined, deadline);
    return this.ended!.code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    await this.end();
  }
}

/** The text of the data of an envelope. */
export const dataOf = ({ data }: Told): string => new TextDecoder().decode(Uint8Array.fromBase64(String(data)));
