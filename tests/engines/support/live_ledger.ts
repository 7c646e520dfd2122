import type { SocketConstructor, SocketEvent, SocketLike } from "../../../src/client/realtime/platform.ts";
import type { SentMessage } from "./live_judge.ts";

/** A message, as it becomes known. */
interface Entry extends SentMessage {
  sent: number | undefined;
  acknowledged: number | undefined;
  readonly lives: Set<string>;
  socket: string;
}

/** Where a socket may go. */
export interface Door {
  readonly url: string;
  /** Of the gateway behind it, from its start to its end. */
  readonly life: string;
}

/** Every message that anybody publishes: its data is `{"m": id}`, by which it is found again in what goes over sockets. */
export class Ledger {
  readonly #entries: Entry[] = [];
  #sockets = 0;
  #open = 0;

  get messages(): readonly SentMessage[] {
    return this.#entries;
  }

  /** Sockets that were opened. */
  get sockets(): number {
    return this.#sockets;
  }

  /** Those of them that have not ended. */
  get open(): number {
    return this.#open;
  }

  /** A new message. @returns its id */
  make(topic: string): number {
    const id = this.#entries.length;
    this.#entries.push({ id, topic, sent: undefined, acknowledged: undefined, lives: new Set(), socket: "" });
    return id;
  }

  /** It is handed to a socket now. */
  sending(id: number, life: string, socket: string): void {
    const entry = this.#entries[id]!;
    if (entry.sent === undefined) {
      entry.sent = performance.now();
      entry.socket = socket;
    }
    entry.lives.add(life);
  }

  /** A gateway has said that it took it. */
  acknowledge(id: number): void {
    this.#entries[id]!.acknowledged = performance.now();
  }

  /** A socket is opened. @returns its name */
  opening(socket: WebSocket): string {
    this.#open++;
    socket.addEventListener("close", () => this.#open--);
    return `socket ${++this.#sockets}`;
  }
}

const PUBLISHED = /"data":\{"m":(\d+)/g;

/** A socket that goes to a gateway of its own choice, as through a balancer, and that can break off. */
export class RoamingSocket implements SocketLike {
  readonly life: string;
  /** When it was open; infinite before. */
  openedAt = Infinity;
  readonly #socket: WebSocket;
  readonly #name: string;
  readonly #closed = new Set<(event: SocketEvent) => void>();
  #isBroken = false;

  constructor(door: Door, address: string, protocols: string[], private readonly ledger: Ledger) {
    const { pathname } = new URL(address);
    this.life = door.life;
    this.#socket = new WebSocket(door.url.replace(/^http/, "ws") + pathname, protocols);
    this.#name = ledger.opening(this.#socket);
    this.#socket.addEventListener("open", () => this.openedAt = performance.now());
  }

  send(text: string): void {
    if (this.#isBroken) return;
    for (const [, id] of text.matchAll(PUBLISHED)) this.ledger.sending(Number(id), this.life, this.#name);
    this.#socket.send(text);
  }

  close(code?: number, reason?: string): void {
    if (!this.#isBroken) this.#socket.close(code, reason);
  }

  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: SocketEvent) => void): void {
    if (type === "close") this.#closed.add(listener);
    this.#socket.addEventListener(type, (event) => {
      if (this.#isBroken) return;
      const { data, code, reason } = event as unknown as SocketEvent;
      listener({
        type,
        ...(data !== undefined && { data }),
        ...(code !== undefined && { code, reason: reason ?? "" }),
      });
    });
  }

  /** Its client sees it broken, now, and nothing that was on its way. */
  breakOff(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#socket.close();
    for (const listener of this.#closed) listener({ type: "close", code: 1006, reason: "" });
  }
}

/**
 * Sockets that go to one door or another.
 * @param choose throws where there is none
 * @param opened told of each
 */
export function roaming(
  ledger: Ledger,
  choose: () => Door,
  opened: (socket: RoamingSocket) => void,
): SocketConstructor {
  return class extends RoamingSocket {
    constructor(address: string, protocols: string[]) {
      super(choose(), address, protocols, ledger);
      opened(this);
    }
  };
}
