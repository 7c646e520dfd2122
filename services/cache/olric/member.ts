import { type Command, PING } from "./commands.ts";
import { Connection, type Dialler, type Outcome } from "./connection.ts";
import { Call } from "./deadlines.ts";
import { MemberFailure, NoAnswer } from "./replies.ts";

/** How long a member that did not answer is left alone before it is asked again: doubled each time, in milliseconds. */
const FIRST_REST = 100, LONGEST_REST = 2_000;
/** Milliseconds in which a member that lives says so. */
const PROOF = 1_000;

/** Calls that wait for one connection where another member may keep them waiting: more of them would have no answer in time. */
const MOST_SLOW = 3;

/** Milliseconds between two tries of what needs a member that says nothing, and for which it is not doubted when it works. */
const TRY_EVERY = 1_000, WORKS_FOR = 5_000;

/** What members share. */
export interface MemberOptions extends Dialler {
  /** The most connections to each, as things are now. */
  readonly most: () => number;
  readonly now: () => number;
}

/** Connections of one kind to a member. */
class Lane {
  readonly connections: Connection[] = [];
  #opening: Promise<Connection> | undefined;

  constructor(private readonly dial: (onClose: (closed: Connection) => void) => Promise<Connection>) {}

  /** The one with the least to do. */
  get best(): Connection | undefined {
    let best: Connection | undefined;
    for (const connection of this.connections) {
      if (connection.open && (best === undefined || connection.waiting < best.waiting)) best = connection;
      if (best?.waiting === 0) break;
    }
    return best;
  }

  /** Another one; for all who ask for one meanwhile. @throws NoAnswer */
  open(): Promise<Connection> {
    return this.#opening ??= this.#open().finally(() => this.#opening = undefined);
  }

  async #open(): Promise<Connection> {
    const connection = await this.dial((closed) => {
      const at = this.connections.indexOf(closed);
      if (at >= 0) this.connections.splice(at, 1);
    });
    this.connections.push(connection);
    return connection;
  }
}

/**
 * A member and the connections to it. One that does not answer rests: others are asked instead, until it says that it lives.
 *
 * What a member cannot do without another one that does not answer takes it half a second and more, and holds up what is behind
 * it. Such calls have connections of their own.
 */
export class Member {
  readonly #quick = new Lane((onClose) => this.#dial(onClose));
  readonly #slow = new Lane((onClose) => this.#dial(onClose));
  #rest: Rest | undefined;
  /** Whether it answered since it was last asked how it is. */
  #heard = false;
  #proving = false;
  /** What needs this member and is sent to another one although it rests: what reads, and what writes. */
  readonly #tries = {
    reading: { last: -Infinity, worksUntil: -Infinity },
    writing: { last: -Infinity, worksUntil: -Infinity },
  };
  #closed = false;

  constructor(readonly address: string, private readonly options: MemberOptions) {}

  /** Whether it is worth asking. Where it is not, it may be proven anew now, beside whoever asks. */
  get awake(): boolean {
    if (this.#rest === undefined) return true;
    if (this.options.now() >= this.#rest.until) this.#prove();
    return false;
  }

  /**
   * Whether others may be asked for what they need this member for. One that says nothing keeps them waiting for longer than
   * anybody waits here, and meanwhile they let nobody at what they wait with, not even the one among them who could help it to
   * its feet. So that is tried now and then alone, unless it works.
   */
  mayBePassed(reading: boolean): boolean {
    if (this.#rest?.silent !== true) return true;
    const now = this.options.now();
    const tries = this.#tries[reading ? "reading" : "writing"];
    if (now < tries.worksUntil) return true;
    if (now < tries.last + TRY_EVERY) return false;
    tries.last = now;
    return true;
  }

  /** Another member did something that it needed this one for. */
  passed(reading: boolean): void {
    this.#tries[reading ? "reading" : "writing"].worksUntil = this.options.now() + WORKS_FOR;
  }

  /** Finds out how it is, unless it was heard of lately. */
  check(): void {
    if (!this.#heard && this.#rest === undefined) this.#prove();
    this.#heard = false;
  }

  /** Sends commands together, on one connection. @param slow whether another member may keep it waiting @throws NoAnswer */
  async send(commands: readonly Command[], call: Call, slow = false): Promise<readonly Outcome[]> {
    const lane = slow ? this.#slow : this.#quick;
    try {
      const { best } = lane;
      if (best === undefined) return await (await lane.open()).send(commands, call);
      // What is there serves this call, and another one those that come next.
      if (best.waiting > 0 && lane.connections.length < this.options.most()) lane.open().catch(() => {});
      if (slow && best.waiting >= MOST_SLOW) throw new NoAnswer(this.address, "refused", new Error("too many wait"));
      const outcomes = await best.send(commands, call);
      this.#heard = true;
      return outcomes;
    } catch (cause) {
      // It may be well, and wait for another member itself: it only has to say so.
      if (!slow && cause instanceof NoAnswer && cause.reason !== "aborted") this.#suspect(cause);
      throw cause;
    }
  }

  /** Closes all connections. */
  close(): void {
    this.#closed = true;
    for (const { connections } of [this.#quick, this.#slow]) {
      for (const connection of [...connections]) connection.close();
    }
  }

  async #dial(onClose: (closed: Connection) => void): Promise<Connection> {
    if (this.#closed) throw new NoAnswer(this.address, "refused");
    try {
      const connection = await Connection.open(this.address, this.options, onClose);
      if (this.#closed) connection.close();
      return connection;
    } catch (cause) {
      this.#tire(cause);
      throw cause;
    }
  }

  #suspect({ silent }: NoAnswer): void {
    this.#rest ??= { until: 0, length: FIRST_REST / 2, silent };
    this.#prove();
  }

  #tire(cause: unknown): void {
    const length = Math.min((this.#rest?.length ?? FIRST_REST / 2) * 2, LONGEST_REST);
    this.#rest = { until: this.options.now() + length, length, silent: cause instanceof NoAnswer && cause.silent };
  }

  #prove(): void {
    if (this.#proving || this.#closed) return;
    this.#proving = true;
    this.#ping().then(() => this.#rest = undefined, (cause) => this.#tire(cause)).finally(() => this.#proving = false);
  }

  /** On a connection where nobody else waits. */
  async #ping(): Promise<void> {
    const { best } = this.#quick;
    const connection = best?.waiting === 0 ? best : await Connection.open(this.address, this.options, () => {});
    try {
      const { now, timeout } = this.options;
      const call = new Call({ signal: NEVER }, now(), Math.min(PROOF, timeout));
      const [pong] = await connection.send([PING], call);
      // It is among the others, but was not told who has what, and they have to wait for it.
      if (pong instanceof MemberFailure) throw new NoAnswer(this.address, "unheard", pong);
    } finally {
      if (connection !== best) connection.close();
    }
  }
}

/** Why a member is left alone. */
interface Rest {
  readonly until: number;
  /** Milliseconds that it takes this time. */
  readonly length: number;
  /** Whether it said nothing, rather than not being there. */
  readonly silent: boolean;
}

const NEVER = new AbortController().signal;
