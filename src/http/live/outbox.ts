import type { LiveConnections, Task } from "../../contracts/live_connections.ts";
import type { SlowPolicy } from "../../contracts/settings.ts";
import type { LiveSocket } from "./socket.ts";

/** Something to send, made once for all sockets that get it. */
export interface Piece {
  /** One JSON object, or several with line breaks between them. */
  readonly text: string;
  /** Bytes of it in UTF-8. */
  readonly bytes: number;
  /** The topic that it is about; `undefined` for what may not be dropped, such as an answer. */
  readonly topic: string | undefined;
  /** Where a subscriber of the topic stands who has it. */
  readonly position: string | undefined;
}

/** How much may wait for a socket, and what happens beyond. */
export interface Bounds {
  readonly maxQueueBytes: number;
  readonly slowPolicy: SlowPolicy;
}

/** What an outbox needs of its socket's handler. */
export interface OutboxOptions {
  readonly socket: LiveSocket;
  readonly connections: LiveConnections;
  readonly bounds: Bounds;
  /** Whether several pieces may go in one frame, with line breaks between them. */
  readonly joins: boolean;
  /** What tells that something of a topic was dropped; `undefined` where nothing can. */
  readonly gap: (topic: string, position: string | undefined) => string | undefined;
  /** All that waited was handed over. */
  readonly drained?: () => void;
  /** The other side is too slow: the handler ends the socket. */
  readonly slow: () => void;
  /** The other side has taken nothing for the idle timeout, though something waits: the handler ends the socket. */
  readonly stuck: () => void;
}

/** How a socket was when its other side was last seen to take something. */
interface Seen {
  handed: number;
  buffered: number;
  acknowledged: number | undefined;
  /** Monotonic milliseconds. */
  at: number;
}

/** Bytes with the system at once, at most: what it has been given cannot be dropped any more. Also the size of a joined frame. */
const WINDOW = 64 * 1024;
/** Bytes that a piece costs in a queue beside its own. */
const OVERHEAD = 32;
/** How much of its queue a slow reader keeps when it is cut: to drop one by one would cost a pass for each. */
const KEPT = 3 / 4;
/** Bytes a second that a slow line carries: where nobody tells what was taken of a frame, it has as much more time. */
const SLOW_LINE = 16 * 1024;
/** How many times as much may wait for a socket of which it is not known that it is slow: much may come in one turn. */
const BURST = 4;
/** Places that an empty queue keeps: an array for each message of each socket would be most of the garbage that there is. */
const PLACES = 16;

const encoder = new TextEncoder();

/** A piece of a text. @param topic that it is about, where it may be dropped */
export const pieceOf = (text: string, topic?: string, position?: string): Piece => ({
  text,
  bytes: encoder.encode(text).length,
  topic,
  position,
});

/**
 * What waits for one socket. It holds on to pieces that all sockets share, and hands the system no more than it takes soon: a
 * reader that is slow costs its queue at most, whoever it is.
 */
export class Outbox implements Task {
  readonly #options: OutboxOptions;
  #bounds: Bounds;
  /** What waits, from `#head` to `#end`; around it there is nothing, or what is gone. */
  #pieces: (Piece | undefined)[] = [];
  #head = 0;
  #end = 0;
  #bytes = 0;
  #asked = false;
  #stopOften: (() => void) | undefined;
  #over = false;
  /** Frames handed over, ever; and how it was when the other side was last seen to take something. */
  #handed = 0;
  readonly #seen: Seen = { handed: 0, buffered: 0, acknowledged: undefined, at: 0 };
  /** Bytes of the largest frame that was handed over since none was under way. */
  #largest = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#bounds = options.bounds;
    this.#seen.at = options.connections.monotonic();
  }

  /** Bytes that wait here. */
  get waiting(): number {
    return this.#bytes;
  }

  /** From now on, other bounds hold. */
  bound(bounds: Bounds): void {
    this.#bounds = bounds;
  }

  /** Sends a piece in a turn of the event loop to come, behind those before it. */
  put(piece: Piece): void {
    if (this.#over) return;
    this.#pieces[this.#end++] = piece;
    this.#bytes += piece.bytes + OVERHEAD;
    if (this.#isOver(this.#stopOften === undefined ? BURST : 1)) this.#cut();
    this.#ask();
  }

  /** Hands over what there is room for; the gateway's loop calls it. */
  run(): void {
    this.#asked = false;
    if (this.#over) return;
    const { socket, connections } = this.#options;
    const buffered = socket.bufferedAmount;
    if (buffered >= this.#window()) {
      if (this.#stopOften !== undefined) return;
      this.#stopOften = connections.often(this);
      if (this.#isOver(1)) this.#cut();
      return;
    }
    this.#leaveOften();
    if (buffered === 0) this.#largest = 0;
    let room = this.#window() - buffered;
    while (this.#head < this.#end && room > 0) room -= this.#frame(room);
    if (this.#head < this.#end) {
      this.#compact();
      return this.#ask();
    }
    this.#empty();
    this.#options.drained?.();
  }

  /** Sends what there is now, whatever waits: before the socket is closed. */
  flush(): void {
    if (this.#over) return;
    while (this.#head < this.#end) this.#frame(Infinity);
  }

  /**
   * Looks whether the other side takes anything; called now and then. What waits falls by whole frames alone, and one may be minutes
   * under way: so the system is asked, and where it does not tell, a large frame has longer.
   * @param patience milliseconds
   */
  look(patience: number): void {
    const { socket, connections, stuck } = this.#options;
    const buffered = socket.bufferedAmount, at = connections.monotonic(), seen = this.#seen;
    // Most are idle: the system is asked about those alone that are not.
    const acknowledged = buffered === 0 ? undefined : socket.acknowledged;
    const moved = buffered === 0 || buffered < seen.buffered || this.#handed !== seen.handed ||
      acknowledged !== seen.acknowledged;
    if (moved) {
      seen.handed = this.#handed;
      seen.buffered = buffered;
      seen.acknowledged = acknowledged;
      seen.at = at;
    } else if (at - seen.at > patience + this.#allowance() && !this.#over) stuck();
  }

  /** Forgets what waits. */
  close(): void {
    this.#over = true;
    this.#leaveOften();
    this.#empty();
  }

  /** Lets go of what was sent: for a reader who is never quite done, there would be more and more of it. */
  #compact(): void {
    if (this.#head < PLACES) return;
    this.#pieces = this.#pieces.slice(this.#head, this.#end);
    this.#end -= this.#head;
    this.#head = 0;
  }

  #empty(): void {
    if (this.#pieces.length > PLACES) this.#pieces = [];
    else this.#pieces.fill(undefined, 0, this.#end);
    this.#head = this.#end = this.#bytes = 0;
  }

  /** Sends a frame. @returns its bytes */
  #frame(room: number): number {
    const pieces = this.#pieces, from = this.#head;
    let to = from + 1, bytes = pieces[from]!.bytes;
    if (this.#options.joins) {
      while (to < this.#end && bytes + pieces[to]!.bytes < room) bytes += pieces[to++]!.bytes + 1;
    }
    this.#head = to;
    this.#bytes -= bytes - (to - from - 1) + (to - from) * OVERHEAD;
    const { socket, connections } = this.#options;
    this.#handed++;
    this.#largest = Math.max(this.#largest, bytes);
    connections.sent(1);
    socket.send(to === from + 1 ? pieces[from]!.text : joined(pieces, from, to));
    return bytes;
  }

  /**
   * Drops the oldest, and says so where the last of each topic stood: in front of that may be the answer by which the other side
   * knows of its subscription.
   */
  #cut(): void {
    if (this.#bounds.slowPolicy === "close") return this.#giveUp();
    const pieces = this.#pieces, room = this.#room();
    const ends = new Map<string, { readonly at: number; readonly position: string | undefined }>();
    let to = this.#head, dropped = 0;
    for (; to < this.#end - 1 && this.#bytes > room * KEPT; to++) {
      const { topic, bytes, position } = pieces[to]!;
      if (topic === undefined) continue;
      dropped++;
      this.#bytes -= bytes + OVERHEAD;
      // Joins and leaves have none.
      ends.set(topic, { at: to, position: position ?? ends.get(topic)?.position });
    }
    const kept: (Piece | undefined)[] = [];
    for (let i = this.#head; i < to; i++) {
      const piece = pieces[i]!, { topic } = piece;
      const end = topic === undefined ? undefined : ends.get(topic);
      if (topic === undefined) kept.push(piece);
      else if (end?.at === i) {
        const marker = this.#marker(topic, end.position);
        if (marker === undefined) continue;
        kept.push(marker);
        this.#bytes += marker.bytes + OVERHEAD;
      }
    }
    this.#options.connections.dropped(dropped);
    this.#pieces = kept.concat(pieces.slice(to, this.#end));
    this.#head = 0;
    this.#end = this.#pieces.length;
    // Answers alone: whoever sends commands and reads no answer is not waited for.
    if (this.#stopOften !== undefined && this.#isOver(1)) this.#giveUp();
  }

  #isOver(times: number): boolean {
    return this.#bytes > this.#room() * times && this.#end - this.#head > 1;
  }

  /** Not at once: what was put may be on its way to others. */
  #giveUp(): void {
    const { connections, slow } = this.#options;
    this.close();
    connections.soon({ run: slow });
  }

  #marker(topic: string, position: string | undefined): Piece | undefined {
    const text = this.#options.gap(topic, position);
    return text === undefined ? undefined : pieceOf(text, topic, position);
  }

  #ask(): void {
    if (this.#asked || this.#stopOften) return;
    this.#asked = true;
    this.#options.connections.soon(this);
  }

  #leaveOften(): void {
    this.#stopOften?.();
    this.#stopOften = undefined;
  }

  /** Milliseconds more, for a frame of which nobody tells how much was taken. */
  #allowance(): number {
    return this.#seen.acknowledged === undefined ? this.#largest / SLOW_LINE * 1_000 : 0;
  }

  #window(): number {
    return Math.min(WINDOW, this.#bounds.maxQueueBytes / 4);
  }

  #room(): number {
    return this.#bounds.maxQueueBytes - this.#window();
  }
}

/** What was joined last: in a turn, most sockets get the same. */
let lately: { readonly pieces: readonly (Piece | undefined)[]; readonly text: string } = { pieces: [], text: "" };

function joined(pieces: readonly (Piece | undefined)[], from: number, to: number): string {
  const known = lately.pieces;
  let same = known.length === to - from;
  for (let i = 0; same && i < known.length; i++) same = known[i] === pieces[from + i];
  if (!same) {
    const taken = pieces.slice(from, to);
    lately = { pieces: taken, text: taken.map((piece) => piece!.text).join("\n") };
  }
  return lately.text;
}
