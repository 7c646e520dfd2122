/** A message, as whoever published it knows it. Times are milliseconds of one clock. */
export interface SentMessage {
  readonly id: number;
  readonly topic: string;
  /** When it was first handed to a socket; `undefined`: it never was. */
  readonly sent: number | undefined;
  /** When its publisher heard that a gateway took it; `undefined`: nobody said so. */
  readonly acknowledged: number | undefined;
  /** Gateways it was sent to, each from its start to its end: several where no answer came, and it was sent again. */
  readonly lives: ReadonlySet<string>;
  /** Over which it went first. */
  readonly socket: string;
}

/** What a client was told of a topic. */
export type Told =
  /** It has begun anew: it stands at what had been published by then. */
  | { readonly kind: "begin"; readonly at: number }
  | { readonly kind: "message"; readonly at: number; readonly id: number }
  | {
    readonly kind: "recovered";
    readonly at: number;
    readonly recovered: boolean;
    /** Before it asked. */
    readonly asked: number;
  }
  | { readonly kind: "gap"; readonly at: number };

/** What one client was told of one topic, in order, across all of its connections. */
export interface View {
  readonly client: string;
  readonly topic: string;
  readonly told: readonly Told[];
}

/** What became of all views. */
export interface Verdict {
  /** Messages that views had to have, each counted for each view. */
  readonly due: number;
  /** Of these: not there, and a loss was told. */
  readonly told: number;
  /** Not there, and nobody said so. */
  readonly silent: readonly string[];
  /** Not there, where it was said that nothing is missing. */
  readonly wronglyRecovered: readonly string[];
  /** There twice, with nothing said in between. */
  readonly duplicates: readonly string[];
  /** The same of those that were sent to several gateways, since the first one did not answer. */
  readonly twice: number;
  /** Behind one that the same gateway took later, or that went over the same socket later. */
  readonly disordered: readonly string[];
  /** Of no message of the topic. */
  readonly unknown: readonly string[];
}

/** What is wrong. */
export const faultsOf = (
  { silent, wronglyRecovered, duplicates, disordered, unknown }: Verdict,
): Readonly<Record<string, readonly string[]>> => ({ silent, wronglyRecovered, duplicates, disordered, unknown });

/** Holds what clients were told against what was published. */
export function judge(views: readonly View[], messages: readonly SentMessage[]): Verdict {
  const byTopic = Map.groupBy(messages, ({ topic }) => topic);
  const verdicts = views.map((view) => new Judge(view, byTopic.get(view.topic) ?? []).verdict());
  const all = <Name extends keyof Verdict>(name: Name) => verdicts.map((verdict) => verdict[name]);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
  return {
    due: sum(all("due")),
    told: sum(all("told")),
    silent: all("silent").flat(),
    wronglyRecovered: all("wronglyRecovered").flat(),
    duplicates: all("duplicates").flat(),
    twice: sum(all("twice")),
    disordered: all("disordered").flat(),
    unknown: all("unknown").flat(),
  };
}

/** Of one gateway in one view: what was seen, in the order in which it was sent, each with the first place of it and all that follow. */
type Life = { readonly sent: number; first: number }[];

class Judge {
  readonly #known: ReadonlyMap<number, SentMessage>;
  /** Where each message was seen first. */
  readonly #seen = new Map<number, number>();
  readonly #losses: { readonly place: number; readonly at: number }[] = [];
  /**
   * Where nothing is missing of what was taken before somebody asked: at the first message that was sent when it had its answer. What
   * arrived while it was looked for comes behind what was found, so that the answer itself need not hold all.
   */
  readonly #checks: { readonly asked: number; readonly place: number }[] = [];
  readonly #lives = new Map<string, Life>();
  readonly #duplicates: string[] = [];
  readonly #disordered: string[] = [];
  readonly #unknown: string[] = [];
  #twice = 0;
  #begun = Infinity;

  constructor(private readonly view: View, private readonly messages: readonly SentMessage[]) {
    this.#known = new Map(messages.map((message) => [message.id, message]));
  }

  verdict(): Verdict {
    this.#read();
    this.#arrange();
    const silent: string[] = [], wronglyRecovered: string[] = [];
    let due = 0, told = 0;
    for (const message of this.messages) {
      const { acknowledged, sent } = message;
      if (acknowledged === undefined || sent === undefined || sent < this.#begun) continue;
      due++;
      const found = this.#seen.get(message.id) ?? Infinity;
      const check = this.#checks.find(({ asked }) => asked > acknowledged);
      const later = this.#laterIn(message, acknowledged);
      const isExcused = (before: number) => this.#losses.some(({ place, at }) => place < before && at >= sent);
      if (check !== undefined && found > check.place && !isExcused(check.place)) {
        wronglyRecovered.push(this.#line(message, check.place));
      } else if (found > later && !isExcused(later)) {
        (found === Infinity ? silent : this.#disordered).push(this.#line(message, later));
      } else if (found === Infinity) {
        if (isExcused(Infinity)) told++;
        else silent.push(this.#line(message, Infinity));
      }
    }
    return {
      due,
      told,
      silent,
      wronglyRecovered,
      duplicates: this.#duplicates,
      twice: this.#twice,
      disordered: this.#disordered,
      unknown: this.#unknown,
    };
  }

  #read(): void {
    /** Since it was last said that what was before may come again. */
    let chain = new Set<number>(), sockets = new Map<string, SentMessage>();
    /** The last answer on this connection that said so, until something newer comes. */
    let answer: { readonly at: number; readonly asked: number } | undefined;
    for (const [place, told] of this.view.told.entries()) {
      if (told.kind === "begin" && this.#begun === Infinity) {
        this.#begun = told.at;
      } else if (told.kind === "message") {
        const message = this.#known.get(told.id);
        if (message?.sent === undefined) {
          this.#unknown.push(`${this.view.client} in ${this.view.topic}, ${place}: ${told.id}`);
          continue;
        }
        if (!this.#seen.has(told.id)) this.#seen.set(told.id, place);
        if (answer !== undefined && message.sent > answer.at) {
          this.#checks.push({ asked: answer.asked, place });
          answer = undefined;
        }
        if (chain.has(told.id)) {
          if (message.lives.size > 1) this.#twice++;
          else this.#duplicates.push(this.#line(message, place));
          continue;
        }
        chain.add(told.id);
        if (message.lives.size > 1) continue;
        const before = sockets.get(message.socket);
        if (before !== undefined && isBefore(message, before)) this.#disordered.push(this.#line(message, place));
        sockets.set(message.socket, message);
      } else if (told.kind === "recovered" && told.recovered) {
        answer = told;
      } else {
        this.#losses.push({ place, at: told.at });
        if (told.kind !== "gap") {
          answer = undefined;
          chain = new Set();
          sockets = new Map();
        }
      }
    }
  }

  /** Sorts what was seen by the gateways that took it. */
  #arrange(): void {
    for (const [id, first] of this.#seen) {
      const { lives, sent } = this.#known.get(id)!, [life] = lives;
      if (lives.size !== 1) continue;
      const of: Life = this.#lives.get(life!) ?? [];
      of.push({ sent: sent!, first });
      this.#lives.set(life!, of);
    }
    for (const life of this.#lives.values()) {
      life.sort((one, other) => one.sent - other.sent);
      for (let i = life.length - 2; i >= 0; i--) life[i]!.first = Math.min(life[i]!.first, life[i + 1]!.first);
    }
  }

  /** The first place of one that its gateway must have taken later: it was sent when this one had been acknowledged. */
  #laterIn({ lives }: SentMessage, acknowledged: number): number {
    const [life] = lives, seen = lives.size === 1 ? this.#lives.get(life!) ?? [] : [];
    let from = 0, to = seen.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (seen[middle]!.sent > acknowledged) to = middle;
      else from = middle + 1;
    }
    return seen[from]?.first ?? Infinity;
  }

  #line({ id, sent, lives }: SentMessage, place: number): string {
    const { client, topic, told } = this.view;
    const where = place === Infinity ? "at the end" : `at ${place} of ${told.length}`;
    return `${client} in ${topic}, ${where}: ${id}, sent at ${Math.round(sent ?? -1)} to ${[...lives].join(" and ")}`;
  }
}

const isBefore = (one: SentMessage, other: SentMessage) =>
  one.sent! < other.sent! || (one.sent === other.sent && one.id < other.id);
