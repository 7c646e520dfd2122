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

/** Milliseconds between two tries to do without a member, while they fail. */
const TRY_EVERY = 1_000;

/** Connections of which kind a call goes on: those of everybody; of what another member may keep waiting; of what has time. */
export type LaneName = "quick" | "slow" | "patient";

/** What members share. */
export interface MemberOptions extends Dialler {
  /** The most connections of a kind to each, as things are now. */
  readonly most: (lane: LaneName) => number;
  readonly now: () => number;
}

/** Connections of one kind to a member. */
class Lane {
  readonly connections: Connection[] = [];
  #opening: Promise<Connection> | undefined;

  /** @param most connections */
  constructor(
    private readonly dial: (onClose: (closed: Connection) => void) => Promise<Connection>,
    private readonly most: () => number,
  ) {}

  /** Whether there may be another one. */
  get canGrow(): boolean {
    return this.connections.length < this.most();
  }

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
 * it. Such calls have connections of their own. So have those that are many and have time.
 */
export class Member {
  readonly #lanes = { quick: this.#lane("quick"), slow: this.#lane("slow"), patient: this.#lane("patient") };
  #rest: Rest | undefined;
  /** Whether it answered since it was last asked how it is. */
  #heard = false;
  #proof: Promise<void> | undefined;
  readonly #detours = { readsOfIts: new Detour(), readsOfOthers: new Detour(), writes: new Detour() };
  #closed = false;

  constructor(readonly address: string, private readonly options: MemberOptions) {}

  /** Whether it is worth asking. Where it is not, it may be proven anew now, beside whoever asks. */
  get awake(): boolean {
    if (this.#rest === undefined) return true;
    if (this.options.now() >= this.#rest.until) this.#prove();
    return false;
  }

  /** That it lives, when that is being found out. */
  get proof(): Promise<void> | undefined {
    return this.awake ? undefined : this.#proof;
  }

  /**
   * Whether others may be asked for what they need this member for, while it rests. They may well wait for it for longer than
   * anybody waits here, and they let nobody meanwhile at what they wait with, not even the one among them who is about to tell
   * it, as it comes back, who has what. So that is tried now and then alone, unless it works.
   */
  mayBePassed(errand: Errand): boolean {
    return this.#detours[errand].mayBegin(this.options.now());
  }

  /** Another member did something that it needed this one for, or could not. */
  passed(errand: Errand, works: boolean): void {
    this.#detours[errand].ended(works);
  }

  /** Finds out how it is, unless it was heard of lately. */
  check(): void {
    if (!this.#heard && this.#rest === undefined) this.#prove();
    this.#heard = false;
  }

  /** Sends commands together, on one connection. @throws NoAnswer */
  async send(commands: readonly Command[], call: Call, name: LaneName = "quick"): Promise<readonly Outcome[]> {
    const lane = this.#lanes[name], slow = name === "slow";
    try {
      const connection = lane.best ?? await lane.open();
      // What is there serves this call, and another one those that come next.
      if (connection.waiting > 0 && lane.canGrow) lane.open().catch(() => {});
      if (slow && connection.waiting >= MOST_SLOW) throw new NoAnswer(this.address, "refused", new Error("many wait"));
      const outcomes = await connection.send(commands, call);
      this.#heard = true;
      return outcomes;
    } catch (cause) {
      // It may be well, and wait for another member itself: it only has to say so.
      if (!slow && cause instanceof NoAnswer && cause.reason !== "aborted" && this.#rest === undefined) this.#prove();
      throw cause;
    }
  }

  /** Closes all connections. */
  close(): void {
    this.#closed = true;
    for (const { connections } of Object.values(this.#lanes)) {
      for (const connection of [...connections]) connection.close();
    }
  }

  #lane(name: LaneName): Lane {
    return new Lane((onClose) => this.#dial(onClose), () => this.options.most(name));
  }

  async #dial(onClose: (closed: Connection) => void): Promise<Connection> {
    if (this.#closed) throw new NoAnswer(this.address, "refused");
    try {
      const connection = await Connection.open(this.address, this.options, onClose);
      if (this.#closed) connection.close();
      return connection;
    } catch (cause) {
      this.#tire();
      throw cause;
    }
  }

  #tire(): void {
    const length = Math.min((this.#rest?.length ?? FIRST_REST / 2) * 2, LONGEST_REST);
    this.#rest = { until: this.options.now() + length, length };
  }

  #prove(): void {
    if (this.#proof !== undefined || this.#closed) return;
    this.#proof = this.#ping().finally(() => this.#proof = undefined);
    this.#proof.then(() => this.#rest = undefined, () => this.#tire());
  }

  /** On a connection where nobody else waits. */
  async #ping(): Promise<void> {
    const { best } = this.#lanes.quick;
    const connection = best?.waiting === 0 ? best : await Connection.open(this.address, this.options, () => {});
    try {
      const { now, timeout } = this.options;
      const call = new Call({ signal: NEVER }, now(), Math.min(PROOF, timeout));
      const [pong] = await connection.send([PING], call);
      // It is among the others, but was not told who has what, and they have to wait for it.
      if (pong instanceof MemberFailure) throw pong;
    } finally {
      if (connection !== best) connection.close();
    }
  }
}

/** Which others may be able to do without a member: to read what it has or has copies of, or to write any of it. */
export type Errand = "readsOfIts" | "readsOfOthers" | "writes";

/** A way around a member: tried now and then, twice as often whenever it works, and seldom again when it does not. */
class Detour {
  #last = -Infinity;
  #every = TRY_EVERY;

  mayBegin(now: number): boolean {
    if (now < this.#last + this.#every) return false;
    this.#last = now;
    return true;
  }

  ended(works: boolean): void {
    this.#every = works ? this.#every / 2 : TRY_EVERY;
  }
}

/** Why a member is left alone. */
interface Rest {
  readonly until: number;
  /** Milliseconds that it takes this time. */
  readonly length: number;
}

const NEVER = new AbortController().signal;
