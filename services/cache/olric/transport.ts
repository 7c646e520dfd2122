import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Command } from "./commands.ts";
import type { Outcome } from "./connection.ts";
import type { Call } from "./deadlines.ts";
import type { Errand, LaneName, Member } from "./member.ts";
import type { Members } from "./members.ts";
import { MemberFailure, NoAnswer, type Reply, unconfirmed, unreachable } from "./replies.ts";
import type { Routing } from "./routing.ts";

/** Where commands go: to the owner of a key, to this member, or to any. */
export type Target = { readonly map: string; readonly key: string } | { readonly member: string } | "anybody";

/** What may be done when a member does not answer. */
export interface Means {
  /** Nothing changes. */
  readonly reading?: boolean;
  /** It may be asked again whatever happened; whatever reads may. Default: only what certainly did not arrive is sent again. */
  readonly repeatable?: boolean;
  /** It would mean something else elsewhere. Default: every member does it, or has it done by the owner. */
  readonly pinned?: boolean;
  /** It must not happen at two members: not while another gateway may still take somebody else for the owner. */
  readonly solely?: boolean;
  /** It has time: it goes where nobody who has none waits behind it. */
  readonly patient?: boolean;
}

/** The way to the cluster: who is asked, how often, and what no answer means. */
export class Transport {
  constructor(private readonly members: Members) {}

  /**
   * Sends commands together, which are done in this order.
   * @returns their replies
   * @throws GatewayError `UNAVAILABLE`, `BODY_TOO_LARGE`; the reason of the caller's signal
   */
  ask(
    target: Target,
    commands: readonly Command[],
    call: Call,
    means: Means = {},
  ): Promise<readonly Reply[]> {
    const { routing } = this.members;
    if (routing === undefined) return this.routing(call).then(() => this.ask(target, commands, call, means));
    if (this.#isSettling(routing, target, means)) {
      return Promise.reject(unreachable(new Error("it has just gone to another member")));
    }
    const { best, missing, errand } = this.#wayTo(routing, target, means);
    if (!missing.every((member) => member.mayBePassed(errand))) {
      return Promise.reject(unreachable(new Error("a member that has a part in it does not answer")));
    }
    const asked = best?.awake
      ? best.send(commands, call, missing.length > 0 ? "slow" : laneOf(means)).then(
        (outcomes) => this.#repliesOf(outcomes, means),
        (error) => this.#askAnother(best, this.#excuseOf(error, call, means), commands, call, means),
      )
      : this.#askAnother(best, new Error("it does not answer"), commands, call, means);
    if (missing.length > 0) {
      const ended = (works: boolean) => missing.forEach((member) => member.passed(errand, works));
      asked.then(() => ended(true), () => ended(false));
    }
    return asked;
  }

  #isSettling(routing: Routing, target: Target, { solely = false }: Means): boolean {
    if (!this.members.settles || typeof target === "string" || "member" in target) return false;
    return this.members.isSettling(routing.partitionOf(target.map, target.key), solely);
  }

  /** Who should be asked, and whom of those who do not answer it would need for what. */
  #wayTo(routing: Routing, target: Target, { reading = false }: Means): Way {
    const { members } = this;
    if (target === "anybody") return { best: members.pick(), missing: NONE, errand: "writes" };
    if ("member" in target || routing.isAlone) {
      const best = members.at("member" in target ? target.member : routing.members[0]!);
      return { best, missing: NONE, errand: "writes" };
    }
    const partition = routing.partitionOf(target.map, target.key);
    const best = members.at(routing.ownerOf(partition));
    const missing = members.isWhole ? NONE : members.missing(routing.involvedIn(partition));
    return { best, missing, errand: reading ? best.awake ? "readsOfOthers" : "readsOfIts" : "writes" };
  }

  /** Where the best one cannot be reached, one other is asked. */
  async #askAnother(
    best: Member | undefined,
    cause: Error,
    commands: readonly Command[],
    call: Call,
    means: Means,
  ): Promise<readonly Reply[]> {
    this.members.suspect();
    const others = means.pinned ? undefined : this.members.pick(best);
    const member = others ?? await this.members.risen(means.pinned ? best : undefined);
    if (member === undefined) throw unreachable(cause);
    try {
      const lane = best === undefined ? laneOf(means) : "slow";
      return this.#repliesOf(await member.send(commands, call, lane), means);
    } catch (error) {
      throw unreachable(this.#excuseOf(error, call, means));
    }
  }

  /** Why a member did not answer, if another one may be asked. @throws otherwise */
  #excuseOf(error: unknown, call: Call, means: Means): Error {
    if (!(error instanceof NoAnswer)) throw error;
    if (error.reason === "aborted") throw call.waiter.signal.reason;
    if (error.sent && !isRepeatable(means)) throw unconfirmed(error);
    if (error.reason === "timeout") throw unreachable(error);
    return error;
  }

  /** Who has what; waits for the first look. @throws GatewayError `UNAVAILABLE` */
  async routing(call: Call): Promise<Routing> {
    try {
      if (this.members.routing === undefined) await this.members.look();
    } catch (cause) {
      if (call.waiter.signal.aborted) throw call.waiter.signal.reason;
      throw unreachable(cause);
    }
    return this.members.routing ?? fail();
  }

  #repliesOf(outcomes: readonly Outcome[], means: Means): readonly Reply[] {
    for (const outcome of outcomes) {
      if (outcome instanceof GatewayError) throw outcome;
      if (!(outcome instanceof MemberFailure)) continue;
      this.members.suspect();
      throw isRepeatable(means) ? unreachable(outcome) : unconfirmed(outcome);
    }
    return outcomes as readonly Reply[];
  }
}

const laneOf = ({ patient = false }: Means): LaneName => patient ? "patient" : "quick";
const isRepeatable = ({ reading = false, repeatable = reading }: Means) => repeatable;

interface Way {
  readonly best: Member | undefined;
  readonly missing: readonly Member[];
  readonly errand: Errand;
}

const NONE: readonly Member[] = [];

function fail(): never {
  throw unreachable(new Error("nobody told who has what"));
}
