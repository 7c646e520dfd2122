import { Backoff } from "../../../src/hosts/backoff.ts";
import { Host, HostEnded, type HostListeners } from "../../../src/hosts/host.ts";
import type { JudgeAnswer, JudgeItem, Judgement, JudgeQuestion, SchemaObjectText } from "./judge_protocol.ts";

/** Milliseconds for one compilation; what takes longer ends the judge's process. */
const COMPILE = 1_000;
/** For all statements of a transaction, for a schema, and for the start of the process. */
const LONGEST = 10_000;
/** How often a question is asked again because somebody else's ended the process. */
const ATTEMPTS = 3;

/** This very question ended the judge's process. */
export class NoJudgement extends Error {
  override readonly name = "NoJudgement";
}

/** The judge cannot be asked now. */
export class NoJudge extends Error {
  override readonly name = "NoJudge";
}

/** The judge will not be asked now: whoever asks has sent others that took too long, and this one would wait behind them. */
export class JudgeBusy extends Error {
  override readonly name = "JudgeBusy";
}

/** Whose statements are judged. */
export interface Judged {
  /** Of the schema under which they are judged. */
  readonly name: string;
  /** Whether one of them has ended a judge's process before. */
  readonly suspect: boolean;
}

/** What becomes of the judge's processes, for metrics and log. */
export interface JudgeListeners {
  readonly started?: (() => void) | undefined;
  readonly ended?: HostListeners["onEnd"];
  readonly line?: HostListeners["onLine"] | undefined;
}

/**
 * Asks SQLite, in a process of its own, what it thinks of statements. One process judges for all namespaces, and another one for
 * those whose statements have ended one: they can hold up one another alone.
 */
export class Judge {
  readonly #listeners: JudgeListeners;
  readonly #backoff = new Backoff();
  readonly #hosts = new Map<Room, Host>();
  #closed = false;

  constructor(listeners: JudgeListeners = {}) {
    this.#listeners = listeners;
  }

  /** Starts a process, so that nobody waits for it later. */
  warm(): void {
    void this.#running("common");
  }

  /**
   * Keeps a schema.
   * @param state a number that stands for it, of the caller's choice
   * @returns whether all of it could be mirrored
   * @throws NoJudge, NoJudgement, JudgeBusy
   */
  async load(judged: Judged, state: number, objects: readonly SchemaObjectText[]): Promise<boolean> {
    const answer = await this.#ask(judged, { ask: "load", mirror: judged.name, state, objects }, LONGEST);
    return answer.is === "loaded" && answer.complete;
  }

  /**
   * Judges statements.
   * @param inOrder whether a definition holds for the items behind it
   * @returns `undefined` when the schema is not there: load it again
   * @throws NoJudge, NoJudgement, JudgeBusy
   */
  async judge(
    judged: Judged,
    state: number,
    items: readonly JudgeItem[],
    inOrder: boolean,
  ): Promise<readonly Judgement[] | undefined> {
    const timeout = Math.min(COMPILE * items.length, LONGEST);
    const answer = await this.#ask(judged, { ask: "judge", mirror: judged.name, state, items, inOrder }, timeout);
    return answer.is === "judged" ? answer.judgements : undefined;
  }

  /** Ends the processes. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#hosts.values()].map((host) => host.end("closed")));
  }

  async #ask(judged: Judged, question: JudgeQuestion, timeout: number): Promise<JudgeAnswer> {
    const { suspect } = judged;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // It has become so while this one waited, by another one of the same.
      if (judged.suspect && !suspect) throw new JudgeBusy("the judge ended for a statement of the same namespace");
      try {
        return await this.#running(suspect ? "suspects" : "common").request(question, timeout) as JudgeAnswer;
      } catch (cause) {
        if (!(cause instanceof HostEnded)) throw cause instanceof NoJudge ? cause : new NoJudge("it failed", { cause });
        if (cause.running && cause.reason !== "closed") throw new NoJudgement("it ended the judge", { cause });
      }
    }
    throw new NoJudge("the judge ended each time before it could answer");
  }

  /** @throws NoJudge */
  #running(room: Room): Host {
    const known = this.#hosts.get(room);
    if (known?.open) return known;
    if (this.#closed) throw new NoJudge("the judge is closed");
    if (this.#backoff.wait(room) > 0) throw new NoJudge("the judge starts again a little later");
    const startedAt = performance.now();
    const host = Host.start({ kind: "judge", heap: 128 }, {
      onLine: (line) => this.#listeners.line?.(line),
      onEnd: (reason) => {
        if (reason === "crashed") this.#backoff.crashed(room, performance.now() - startedAt);
        this.#listeners.ended?.(reason);
      },
    });
    this.#hosts.set(room, host);
    this.#listeners.started?.();
    // The time of the first question would otherwise count from before the process is up.
    host.request({ ask: "ready" } satisfies JudgeQuestion, LONGEST).catch(() => {});
    return host;
  }
}

type Room = "common" | "suspects";
