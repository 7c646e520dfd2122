/** What a fake member answers to a command: a status, a number, bytes, nothing there, an error, several of them, or no word. */
export type Answer = string | number | Uint8Array | null | Error | readonly Answer[] | typeof SILENCE | typeof GOODBYE;

/** The member says nothing, and reads on. */
export const SILENCE = Symbol("silence");
/** The member closes the connection instead of an answer. */
export const GOODBYE = Symbol("goodbye");

const utf8 = new TextEncoder();

/** A member that says what it is told to say, and remembers what it was asked. */
export class FakeOlric implements Disposable {
  /** Every command that came, but questions about the cluster. */
  readonly asked: string[][] = [];
  /** Connections that were taken back, with whatever was on its way. */
  resets = 0;
  /** Other members, as this one tells them; by default it is alone. */
  members: readonly string[];
  /** How many partitions there are. */
  partitions = 7;
  /** Who has which partition; by default all of them the first member. */
  owners: (partition: number) => readonly string[] = () => [this.members[0]!];
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();

  /** @param answer to everything but questions about the cluster @param port default: any */
  constructor(public answer: (command: readonly string[]) => Answer = () => "OK", port = 0) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.members = [this.address];
    this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Closes all connections, and takes new ones. */
  hangUp(): void {
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.hangUp();
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        this.#connections.add(connection);
        this.#serve(connection).catch((error) => {
          if (error instanceof Deno.errors.ConnectionReset) this.resets++;
        }).finally(() => this.#connections.delete(connection));
      }
    } catch {
      // The listener was closed.
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    let rest = "";
    for (let read = await connection.read(buffer); read !== null; read = await connection.read(buffer)) {
      // Latin 1 keeps bytes apart; commands are made text again.
      rest += new TextDecoder("latin1").decode(buffer.subarray(0, read));
      const answers: Uint8Array[] = [];
      let isOver = false;
      for (let parsed = commandIn(rest); parsed !== undefined && !isOver; parsed = commandIn(rest)) {
        rest = parsed.rest;
        const answer = this.#answerTo(parsed.command);
        isOver = answer === GOODBYE;
        if (!isOver && answer !== SILENCE) answers.push(encode(answer));
      }
      await writeAll(connection, joined(...answers));
      if (isOver) return connection.close();
    }
  }

  #answerTo(command: readonly string[]): Answer {
    if (command[0] === "CLUSTER.MEMBERS") {
      return this.members.map((address, i) => [bytes(address), 1, bytes(String(i === 0))]);
    }
    if (command[0] === "CLUSTER.ROUTINGTABLE") {
      return Array.from(
        { length: this.partitions },
        (_, partition) => [partition, this.owners(partition).map(bytes), []],
      );
    }
    this.asked.push([...command]);
    return this.answer(command);
  }
}

/** A write may take a part of what it is given. */
async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await connection.write(bytes.subarray(written));
}

const bytes = (text: string) => utf8.encode(text);

function commandIn(text: string): { command: string[]; rest: string } | undefined {
  const [head, count] = /^\*(\d+)\r\n/.exec(text) ?? [];
  if (head === undefined) return undefined;
  let at = head.length;
  const command: string[] = [];
  for (let i = 0; i < Number(count); i++) {
    const [line, length] = /^\$(\d+)\r\n/.exec(text.slice(at)) ?? [];
    if (line === undefined || text.length < at + line.length + Number(length) + 2) return undefined;
    at += line.length;
    command.push(decodeLatin1(text.slice(at, at + Number(length))));
    at += Number(length) + 2;
  }
  return { command, rest: text.slice(at) };
}

const decodeLatin1 = (text: string) => new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)));

function encode(answer: Exclude<Answer, typeof SILENCE | typeof GOODBYE> | Answer): Uint8Array<ArrayBuffer> {
  if (answer === null) return utf8.encode("$-1\r\n");
  if (typeof answer === "string") return utf8.encode(`+${answer}\r\n`);
  if (typeof answer === "number") return utf8.encode(`:${answer}\r\n`);
  if (answer instanceof Error) return utf8.encode(`-${answer.message}\r\n`);
  if (answer instanceof Uint8Array) return joined(utf8.encode(`$${answer.length}\r\n`), answer, utf8.encode("\r\n"));
  if (typeof answer === "symbol") return new Uint8Array();
  return joined(utf8.encode(`*${answer.length}\r\n`), ...answer.map(encode));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** An entry as a member sends it. */
export function entry(key: string, value: string | Uint8Array, writtenAt = 1n, expiresAt = 0): Uint8Array {
  const name = utf8.encode(key), stored = typeof value === "string" ? utf8.encode(value) : value;
  const numbers = new DataView(new ArrayBuffer(28));
  numbers.setBigInt64(0, BigInt(expiresAt));
  numbers.setBigInt64(8, writtenAt);
  numbers.setUint32(24, stored.length);
  return joined(Uint8Array.of(name.length), name, new Uint8Array(numbers.buffer), stored);
}
