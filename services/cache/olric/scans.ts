import type { CachePage } from "../../../src/contracts/cache.ts";
import type { Scan } from "../driver.ts";
import { get, scan } from "./commands.ts";
import type { Call } from "./deadlines.ts";
import { foundIn } from "./entries.ts";
import { decode, encode, nextOf, type Position, type Rest, startOf, WHOLE } from "./positions.ts";
import { listOf, type Reply, unreachable, unsignedOf } from "./replies.ts";
import type { Routing } from "./routing.ts";
import type { Transport } from "./transport.ts";
import { Turns } from "./turns.ts";

/** Partitions that a page asks for names at once, and keys that it looks at at once. */
const PARTITIONS = 8, LOOKS = 16;
/** Rounds of all pages that happen at once: with those above, the most that scans of a gateway ask of the cluster at once. */
const ROUNDS = 4;
/**
 * Names that a partition is asked for in the first round, and at most: with each comes a value of which nobody knows how large it
 * is, and nobody else is served while they are compared with a pattern.
 */
const FIRST_NAMES = 2, MOST_NAMES = 256;
/** Bytes of values that come with the look at one page's keys: then the page ends. */
const MOST_BYTES = 8 * 2 ** 20;

/** What a partition has from a position on. */
interface Step {
  readonly from: Position;
  readonly next: Position | undefined;
  /** Those that are wanted, and not on the page yet. */
  readonly names: readonly string[];
  /** Those of them that are there. */
  readonly there: string[];
  /** How many of them nobody looked at. */
  unknown: number;
}

/** A page that is being filled. */
class Page {
  readonly keys = new Set<string>();
  /** Names that were read, and how many of them were wanted. */
  #read = 0;
  #wanted = 0;
  /** Keys that were looked at, and bytes of their values. */
  #looks = 0;
  #bytes = 0;
  #rounds = 0;
  /** Whether it got on: nobody has to do all of it again. */
  #advanced = false;

  constructor(
    /** As the cluster calls it. */
    readonly map: string,
    readonly routing: Routing,
    readonly call: Call,
    private readonly options: Pick<Scan, "limit" | "matches">,
    private readonly now: () => number,
  ) {}

  /** Keys that it can take. */
  get room(): number {
    return this.options.limit - this.keys.size;
  }

  /** How many partitions are asked together: no more than there is room for, unless the rounds before brought little. */
  get partitions(): number {
    return Math.min(PARTITIONS, this.room * 2 ** this.#rounds);
  }

  /** How many names each of these is asked for, so that what comes has room. In the first round it certainly has. */
  shareOf(partitions: number): number {
    const room = this.#bytes === 0 ? this.room : Math.min(this.room, this.#looks * (MOST_BYTES / this.#bytes - 1));
    const spread = this.options.matches === undefined ? 1 : (this.#read + 1) / (this.#wanted + 1);
    const most = Math.min(MOST_NAMES, FIRST_NAMES * 2 ** this.#rounds);
    return Math.max(1, Math.min(most, Math.floor(room * spread / partitions)));
  }

  /**
   * Whether nothing more should be asked for it. What is asked gets half of the time to arrive: a command without an answer in
   * time ends the connection for all who wait there.
   * @throws GatewayError `UNAVAILABLE` when it did not get on in half of the time; the reason of the caller's signal
   */
  get isOver(): boolean {
    const { begun, until, lookAt, waiter } = this.call;
    const now = this.now(), isLate = now > (begun + until) / 2;
    if (now >= lookAt && waiter.signal.aborted) throw waiter.signal.reason;
    if (isLate && !this.#advanced) throw unreachable(new Error("a page of a scan did not get on"));
    return isLate || this.#advanced && this.#bytes > MOST_BYTES;
  }

  /** A partition told what it has. */
  read(from: Position, next: Position | undefined, all: readonly string[]): Step {
    const { matches } = this.options;
    const wanted = matches === undefined ? all : all.filter(matches);
    this.#read += all.length;
    this.#wanted += wanted.length;
    const names = wanted.filter((key) => !this.keys.has(key));
    return { from, next, names, there: [], unknown: names.length };
  }

  /** Somebody looked at a key. @param found its value, if it is there */
  looked(step: Step, key: string, found: Uint8Array | undefined): void {
    this.#looks++;
    step.unknown--;
    if (found !== undefined) {
      this.#bytes += found.length;
      step.there.push(key);
    }
    if (step.unknown === 0) this.#advanced = true;
  }

  /** A round has ended. Takes the keys of steps that were looked at as a whole. */
  take(steps: readonly Step[]): void {
    this.#rounds++;
    for (const { there, unknown } of steps) {
      if (unknown > 0) continue;
      this.#advanced = true;
      for (const key of there) this.keys.add(key);
    }
  }
}

/**
 * Walks through a map, some partitions at a time, at whoever has them: former owners first, so that keys on their way are not
 * missed. Members show keys whose time is over, and former owners those that are deleted, so each key is looked at.
 *
 * No more is asked for than a page has room for, and where each partition stands goes into the cursor: what is read is given.
 * All of it has connections of its own, and few pages are served at once, so that nobody else waits behind a scan.
 */
export class Scans {
  readonly #turns = new Turns(ROUNDS);

  /** @param now milliseconds that never run backwards */
  constructor(private readonly transport: Transport, private readonly now: () => number) {}

  /** @param map as the cluster calls it @throws GatewayError `INVALID_REQUEST` for a cursor that is none, `UNAVAILABLE` */
  async page(map: string, { cursor, limit, matches }: Scan, call: Call): Promise<CachePage> {
    const routing = await this.transport.routing(call);
    const page = new Page(map, routing, call, { limit, matches }, this.now);
    let rest = cursor === undefined ? WHOLE : decode(cursor, routing);
    for (let goesOn = true; goesOn;) {
      [rest, goesOn] = await this.#turns.run(() => this.#round(page, rest));
    }
    return { keys: [...page.keys], cursor: encode(rest, routing) };
  }

  /** Takes some partitions a step further. @returns what is still to be seen, and whether any of it may go on this page */
  async #round(page: Page, rest: Rest): Promise<[rest: Rest, goesOn: boolean]> {
    if (page.isOver) return [rest, false];
    const { routing, partitions } = page;
    const asked = rest.begun.slice(0, partitions), later = rest.begun.slice(partitions);
    let { unseen } = rest;
    while (asked.length < partitions && unseen < routing.partitions) asked.push(startOf(unseen++));
    const share = page.shareOf(asked.length);
    const steps = await Promise.all(asked.map((position) => this.#step(page, position, share)));
    await this.#look(page, withRoom(steps, page.room));
    page.take(steps);
    // What was not looked at as a whole has to be asked for again.
    const begun = steps.flatMap(({ from, next, unknown }) => unknown > 0 ? from : next ?? []).concat(later);
    const gotOn = steps.some(({ unknown }) => unknown === 0);
    return [{ begun, unseen }, gotOn && page.room > 0 && (begun.length > 0 || unseen < routing.partitions)];
  }

  /** @param share the most names */
  async #step(page: Page, from: Position, share: number): Promise<Step> {
    const { map, routing, call } = page;
    const owners = routing.ownersOf(from.partition);
    const command = scan(from.partition, map, from.cursor, share);
    const means = { reading: true, pinned: true, patient: true };
    const [reply] = await this.transport.ask({ member: owners[from.owner]! }, [command], call, means);
    const [after, found] = listOf(reply);
    return page.read(from, nextOf(from, unsignedOf(after), owners.length), listOf(found).flatMap(keyOf));
  }

  /**
   * Finds out which keys are there, in their order, for as long as the page is not over. There is no way to ask without the value:
   * only `DM.GET` looks at replicas and at the end of an entry, and writes nothing.
   */
  async #look(page: Page, steps: readonly Step[]): Promise<void> {
    const { map, call } = page;
    const all = steps.flatMap((step) => step.names.map((key) => ({ step, key })));
    let next = 0;
    const worker = async () => {
      try {
        while (next < all.length && !page.isOver) {
          const { step, key } = all[next++]!;
          const place = { map, key };
          const [reply] = await this.transport.ask(place, [get(map, key)], call, { reading: true, patient: true });
          page.looked(step, key, foundIn(reply, place)?.stored);
        }
      } catch (error) {
        next = all.length;
        throw error;
      }
    };
    await Promise.all(Array.from({ length: Math.min(LOOKS, all.length) }, worker));
  }
}

/** Those steps all of whose names have room together. */
function withRoom(steps: readonly Step[], room: number): readonly Step[] {
  let names = 0;
  return steps.filter((step) => {
    if (names + step.names.length > room) return false;
    names += step.names.length;
    return true;
  });
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A key; none for what some other program wrote that is no text. */
function keyOf(reply: Reply): string[] {
  if (!(reply instanceof Uint8Array)) return [];
  try {
    return [utf8.decode(reply)];
  } catch {
    return [];
  }
}
