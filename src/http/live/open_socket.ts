import type { GuardedSocket } from "../../kernel/socket_guard.ts";
import type { LiveSocket } from "./socket.ts";

/** Milliseconds for the other side to answer a close. */
const PATIENCE = 5_000;

/** An open WebSocket of the server. */
export class OpenSocket implements LiveSocket {
  readonly #socket: WebSocket;
  /** What waited when somebody last looked: of what was sent since, nobody knows yet. */
  #buffered = 0;
  #closing: ReturnType<typeof setTimeout> | undefined;
  #isCut = false;

  constructor(socket: WebSocket, private readonly guard?: GuardedSocket) {
    this.#socket = socket;
  }

  get bufferedAmount(): number {
    return this.#buffered = this.#socket.bufferedAmount;
  }

  get acknowledged(): number | undefined {
    return this.guard?.acknowledged();
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  close(code: number, reason: string): void {
    if (this.#closing !== undefined) return;
    this.#socket.close(code, reason);
    this.#closing = setTimeout(() => {
      this.#isCut = true;
      this.#cut();
    }, PATIENCE);
    Deno.unrefTimer(this.#closing);
  }

  /** The system throws away what waits for the other side; the runtime lets go of the connection only when it is told to as well. */
  #cut(): void {
    this.guard?.cut();
    letGo(this.#socket);
  }

  /**
   * The socket has ended.
   * @param clean as the runtime says it: the other side took a close, and so all that was sent before
   * @returns whether the system may still hold on to what was sent, for a time that nobody tells
   */
  ended(clean: boolean): boolean {
    clearTimeout(this.#closing);
    const owed = this.#buffered > 0 && (this.#isCut || !clean);
    if (owed) this.#cut();
    this.guard?.release();
    return owed && this.guard === undefined;
  }
}

/**
 * Makes the runtime let go of a socket whose other side does not answer the close. It (Deno 2.9) has no way that is public: it
 * would wait, and read what comes, for as long as the other side likes. Without its internals that is what happens.
 */
function letGo(socket: WebSocket): void {
  const name = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "[[rid]]");
  const resource: unknown = name && Reflect.get(socket, name);
  const { internal } = Deno as unknown as { readonly internal?: symbol };
  if (typeof resource !== "number" || internal === undefined) return;
  const inside = Reflect.get(Deno, internal) as { readonly core?: { close?(resource: number): void } } | undefined;
  try {
    inside?.core?.close?.(resource);
  } catch {
    // It is gone already.
  }
}
