import { getPriority, setPriority } from "node:os";

/** How much nicer than the gateway a host is, from 0 to 19, and one whose call computes for long. */
const HOST = 5, LONG = 19;
const NICEST = 19;
/** Of two that the system may end when there is no memory, it takes the host. */
const OOM_SCORE = "500";

/**
 * What processors hosts get beside the gateway, and beside each other: a host whose call computes for long yields to those whose calls
 * are short, so that any number of endless loops leaves short calls their time. A nice value is for a process among those of its
 * control group; where Linux groups processes by session, a host is a group of its own, whose nice value is what counts. Whatever cannot
 * be set stays as it is.
 */
export class Priorities {
  #own: number | undefined;
  #reversible = true;

  /** Whether {@link raise} undoes {@link lower}, as far as is known: not for whoever has no right to raise priorities. */
  get reversible(): boolean {
    return this.#reversible;
  }

  /** For a host that has just been started. */
  begin(pid: number): void {
    write(`/proc/${pid}/oom_score_adj`, OOM_SCORE);
    this.#set(pid, HOST);
  }

  /** Its call computes for long. */
  lower(pid: number): void {
    this.#set(pid, LONG);
  }

  /** Its call is over. @returns false where the system keeps it as it is */
  raise(pid: number): boolean {
    return this.#reversible = this.#set(pid, HOST);
  }

  /** It is about to be killed: its end is work, too, which would wait behind that of all others. */
  hurry(pid: number): void {
    this.#set(pid, 0);
    write(`/proc/${pid}/autogroup`, "0");
  }

  #set(pid: number, nicer: number): boolean {
    try {
      this.#own ??= getPriority();
      setPriority(pid, Math.min(NICEST, this.#own + nicer));
    } catch {
      return false;
    }
    // Only so many changes a second are for whoever has no right to more; then the nice value alone is in force.
    write(`/proc/${pid}/autogroup`, String(nicer));
    return true;
  }
}

/**
 * Milliseconds for which the main thread of a process has had a processor: what a busy machine makes it wait is not among them.
 * @returns `undefined` where the system does not tell
 */
export function processorTime(pid: number): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const nanoseconds = Number.parseInt(Deno.readTextFileSync(`/proc/${pid}/schedstat`));
    return nanoseconds > 0 ? nanoseconds / 1e6 : undefined;
  } catch {
    return undefined;
  }
}

/** Writes to a file of the system, if it is there. */
function write(path: string, text: string): void {
  if (Deno.build.os !== "linux") return;
  try {
    Deno.writeTextFileSync(path, text, { create: false });
  } catch {
    // Not on this system, or not for this user.
  }
}
