import type { Libc } from "./libc.ts";

/** What is asked of the system. */
export type Questions = Pick<Libc, "peer" | "localPort" | "figures">;

/** Which connection is looked for. */
export interface Wanted {
  /** The other end, as a {@link Peer} names it. */
  readonly name: string;
  /** Port of that. */
  readonly port: number;
  /** Port of this end. */
  readonly localPort: number;
}

/** What is known of a descriptor: nothing; that it was a connection nobody has asked for; that somebody has it. */
const UNKNOWN = 0, STRANGER = 1, TAKEN = 2;
/** Descriptors in a row that are no connections, behind which there usually is none. */
const NONE_IN_A_ROW = 64;
/** Strangers that are asked again before all are: those that came last are those that most likely have gone again. */
const LATEST = 64;
/** Of how many all may be looked at each time: that takes no longer than to open a socket. */
const FEW = 1_024;
/** Milliseconds of pause for each, behind a look at more: about ten times as long as that takes. */
const REST = 0.005;

/**
 * Finds descriptors of connections. The system has no index of them, and a question costs half a microsecond: so it is remembered which
 * are others' connections, as those of ten thousand clients who keep theirs open and do nothing.
 */
export class Descriptors {
  #states = new Uint8Array(1_024);
  /** Ports of the other ends, as they were seen last. */
  #ports = new Uint16Array(1_024);
  /** In the order in which they were seen first. Some are none any more, and some stand here twice. */
  #strangers: number[] = [];
  #restUntil = -Infinity;

  /**
   * @param tableSize how many there may be, which is asked again and again; `undefined` where nobody can tell
   * @param now milliseconds that never run backwards
   */
  constructor(
    private readonly libc: Questions,
    private readonly tableSize: () => number | undefined = sizeOfTable,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * @returns its number; `none` where there is certainly none; `gone` where it has ended, as far as can be told; `unknown` where that
   * would take too long to find out
   */
  find(wanted: Wanted): number | "none" | "gone" | "unknown" {
    const found = this.#remembered(wanted) ?? this.#fresh(wanted) ?? this.#latest(wanted);
    if (found !== undefined) return found;
    if (this.now() < this.#restUntil) return this.#isGone(wanted, this.#end()) ? "gone" : "unknown";
    const size = this.tableSize(), end = size ?? this.#end();
    const last = this.#anywhere(wanted, end) ?? (this.#isGone(wanted, end) ? "gone" : undefined);
    if (end > FEW) this.#restUntil = this.now() + end * REST;
    return last ?? (size === undefined ? "unknown" : "none");
  }

  /** The other descriptors that are known to have the same other end, and port of this one. */
  alike(fd: number, wanted: Wanted): number[] {
    return this.#withPort(wanted.port).filter((other) => other !== fd && this.#is(other, wanted));
  }

  /** Somebody has it from now on. @param port of the other end */
  take(fd: number, port: number): void {
    this.#set(fd, TAKEN, port);
  }

  /** Nobody has it any more, and it may be anything. */
  forget(fd: number): void {
    this.#set(fd, UNKNOWN, 0);
  }

  /** Among strangers that had the port. */
  #remembered(wanted: Wanted): number | undefined {
    return this.#withPort(wanted.port).find((fd) => this.#states[fd] === STRANGER && this.#isNow(fd, wanted));
  }

  /** Among those that nothing is known of. */
  #fresh(wanted: Wanted): number | undefined {
    for (let fd = 3, none = 0; none < NONE_IN_A_ROW; fd++) {
      if ((this.#states[fd] ?? UNKNOWN) !== UNKNOWN) none = 0;
      else if (this.#isNow(fd, wanted)) return fd;
      else none = this.#states[fd] === STRANGER ? 0 : none + 1;
    }
    return undefined;
  }

  /** Among the strangers that were seen last. */
  #latest(wanted: Wanted): number | undefined {
    for (let i = this.#strangers.length - 1, left = LATEST; i >= 0 && left > 0; i--) {
      const fd = this.#strangers[i]!;
      if (this.#states[fd] !== STRANGER) continue;
      if (this.#isNow(fd, wanted)) return fd;
      left--;
    }
    return undefined;
  }

  /** Among all. One that somebody has may have ended, and its number gone to another, before anybody was told. */
  #anywhere(wanted: Wanted, end: number): number | undefined {
    const taken: number[] = [];
    for (let fd = 3; fd < end; fd++) {
      if (this.#states[fd] === TAKEN) taken.push(fd);
      else if (this.#isNow(fd, wanted)) return fd;
    }
    return taken.find((fd) => this.#is(fd, wanted));
  }

  /** Whether a connection to the port has ended that nobody has: the system does not tell any more with whom it was. */
  #isGone({ localPort }: Wanted, end: number): boolean {
    for (let fd = 3; fd < end; fd++) {
      if ((this.#states[fd] ?? UNKNOWN) !== UNKNOWN || this.libc.localPort(fd) !== localPort) continue;
      if (this.libc.figures(fd)?.isClosed) return true;
    }
    return false;
  }

  /** Asks, and remembers. */
  #isNow(fd: number, wanted: Wanted): boolean {
    const peer = this.libc.peer(fd);
    if (peer === undefined) {
      if (this.#states[fd] === STRANGER) this.#set(fd, UNKNOWN, 0);
      return false;
    }
    this.#set(fd, STRANGER, peer.port);
    return this.#is(fd, wanted, peer);
  }

  #is(fd: number, { name, port, localPort }: Wanted, peer = this.libc.peer(fd)): boolean {
    return peer?.port === port && peer.name() === name && this.libc.localPort(fd) === localPort;
  }

  #withPort(port: number): number[] {
    const found: number[] = [];
    if (port === 0) return found;
    for (let fd = this.#ports.indexOf(port); fd >= 0; fd = this.#ports.indexOf(port, fd + 1)) found.push(fd);
    return found;
  }

  #set(fd: number, state: number, port: number): void {
    this.#makeRoom(fd);
    const before = this.#states[fd];
    this.#states[fd] = state;
    this.#ports[fd] = port;
    if (state !== STRANGER || before === STRANGER) return;
    if (this.#strangers.length === 2 * this.#states.length) {
      this.#strangers = [...new Set(this.#strangers)].filter((one) => this.#states[one] === STRANGER);
    }
    this.#strangers.push(fd);
  }

  #makeRoom(fd: number): void {
    if (fd < this.#states.length) return;
    const states = new Uint8Array(2 * fd), ports = new Uint16Array(2 * fd);
    states.set(this.#states);
    ports.set(this.#ports);
    [this.#states, this.#ports] = [states, ports];
  }

  /** Behind the last that something is known of, and some. */
  #end(): number {
    const last = this.#states.findLastIndex((state) => state !== UNKNOWN);
    return Math.max(last, 0) + NONE_IN_A_ROW;
  }
}

/** How many descriptors the process may have without a larger table (proc_pid_status(5)): none is beyond. */
function sizeOfTable(): number | undefined {
  try {
    const size = /^FDSize:\s*(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
    return size === undefined ? undefined : Number(size);
  } catch {
    return undefined;
  }
}
