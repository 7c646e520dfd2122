import { LOG_LEVELS } from "../../../src/contracts/function_logs.ts";
import type { RequestListener } from "../../../src/hosts/host.ts";
import type { GuestLimits, GuestLoaded, GuestNote, GuestOutcome } from "../parts.ts";
import type { HostWorkListener } from "./contract.ts";

/** Characters of a message of the engine or a guest; the rest of a longer one is cut off. */
const MAX_MESSAGE = 16 * 1024;
/** Bytes of lines, and lines, that a host may send beyond the limit it was told: those that say that lines were dropped. */
const NOTE_SLACK = 4 * 1024, NOTE_COUNT_SLACK = 64;
/** Bytes of its limit that a line takes beside its text. */
const LINE_COST = 16;
const ENDS = new Set<unknown>(
  ["done", "exit", "trap", "memory", "output", "calls", "stack", "link"] satisfies GuestOutcome["end"][],
);
const LEVELS = new Set<unknown>(LOG_LEVELS);

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const short = (text: string) => text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;

/** What a host says about how a call ended. @returns `undefined` for what no sound host says */
export function outcomeOf(answer: unknown, limits: GuestLimits): GuestOutcome | undefined {
  if (!isObject(answer)) return undefined;
  const { end, output, message, exitCode, pages, calls } = answer;
  if (!ENDS.has(end) || !(output instanceof Uint8Array) || typeof message !== "string") return undefined;
  if (output.length > (end === "done" ? limits.output : 0)) return undefined;
  if (!isCount(pages) || !isCount(calls)) return undefined;
  if (exitCode !== undefined && !Number.isSafeInteger(exitCode)) return undefined;
  return {
    end: end as GuestOutcome["end"],
    output,
    message: short(message),
    ...typeof exitCode === "number" && { exitCode },
    pages,
    calls,
  };
}

/** What a host says about a module. @returns `undefined` for what no sound host says */
export function loadedOf(answer: unknown): GuestLoaded | undefined {
  if (!isObject(answer)) return undefined;
  const { problem } = answer;
  if (problem === undefined) return {};
  return typeof problem === "string" ? { problem: short(problem) } : undefined;
}

/**
 * Stands between a call and whoever listens to it, and holds it to its limits, which the host was told but need not keep. Whatever it
 * throws ends the host.
 */
export class GuardedListener implements RequestListener {
  #calls = 0;
  #excessive = false;
  #noteBytes = 0;
  #notes = 0;
  #waits = 0;
  #since = 0;

  /** @param exceeded called when one more host call is made than may be, before the host ends */
  constructor(
    private readonly limits: GuestLimits,
    private readonly listener: HostWorkListener,
    private readonly exceeded: () => void,
  ) {}

  /** How many host calls were performed. */
  get calls(): number {
    return this.#calls;
  }

  /** Whether one more was made than may be. */
  get excessive(): boolean {
    return this.#excessive;
  }

  /** Milliseconds that the host has waited for replies so far. */
  get waited(): number {
    return this.#waits + (this.#since === 0 ? 0 : performance.now() - this.#since);
  }

  async call(body: unknown): Promise<unknown> {
    if (this.#calls >= this.limits.calls) {
      this.#excessive = true;
      this.exceeded();
      throw new Error(`a call makes more than ${this.limits.calls} host calls`);
    }
    this.#calls++;
    this.#since = performance.now();
    try {
      return await this.listener.call(body);
    } finally {
      this.#waits += performance.now() - this.#since;
      this.#since = 0;
    }
  }

  note(body: unknown): void {
    if (!isObject(body)) throw new Error("a note that is none");
    const { level, message } = body;
    if (!LEVELS.has(level) || typeof message !== "string") throw new Error("a note that is none");
    this.#noteBytes += message.length;
    const { log } = this.limits;
    if (this.#noteBytes > log + NOTE_SLACK || ++this.#notes > log / LINE_COST + NOTE_COUNT_SLACK) {
      throw new Error("a call logs more than it may");
    }
    this.listener.note({ level: level as GuestNote["level"], message });
  }
}
