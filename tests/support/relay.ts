/** An address that stays while what is behind it comes and goes, as a balancer's does. */
export class Relay implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.TcpConn>();
  readonly #accepting: Promise<void>;
  /** Bytes that went from clients to what is behind. */
  sent = 0;
  /** While it is paused. */
  #held: PromiseWithResolvers<void> | undefined;

  /** @param target the URL of what is behind */
  constructor(public target: string) {
    this.#accepting = this.#accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Ends all connections that there are; new ones are taken. */
  cut(): void {
    for (const one of this.#open) end(one);
  }

  /** Nothing passes any more, in either direction, not even an end: connections stay open, and new ones are taken. */
  pause(): void {
    this.#held ??= Promise.withResolvers();
  }

  /** Undoes {@link pause}: what was sent meanwhile passes now. */
  goOn(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goOn();
    this.#listener.close();
    for (const one of this.#open) end(one);
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const passing: Promise<void>[] = [];
    for await (const client of this.#listener) passing.push(this.#pass(client));
    await Promise.all(passing);
  }

  async #pass(client: Deno.TcpConn): Promise<void> {
    this.#open.add(client);
    let behind: Deno.TcpConn | undefined;
    const passable = () => this.#held?.promise;
    try {
      await passable();
      const { hostname, port } = new URL(this.target);
      behind = await Deno.connect({ hostname, port: Number(port) });
      this.#open.add(behind);
      await Promise.race([
        copy(client, behind, passable, (bytes) => this.sent += bytes),
        copy(behind, client, passable, () => {}),
      ]);
    } catch {
      // Nobody is behind it now.
    } finally {
      for (const one of [client, behind]) {
        if (one === undefined) continue;
        this.#open.delete(one);
        end(one);
      }
    }
  }
}

async function copy(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  passable: () => Promise<void> | undefined,
  told: (bytes: number) => void,
): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (;;) {
      const count = await from.read(buffer);
      if (count === null) return;
      told(count);
      await passable();
      for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
    }
  } catch {
    // Reset by one of them, or closed: an end all the same.
  } finally {
    await passable();
  }
}

function end(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It was closed already.
  }
}
