import type { CachePage } from "../../../src/contracts/cache.ts";
import type { Scan } from "../driver.ts";
import { invalid } from "../failures.ts";
import { get, scan } from "./commands.ts";
import type { Call } from "./deadlines.ts";
import { foundIn } from "./entries.ts";
import { listOf, type Reply, unsignedOf } from "./replies.ts";
import type { Routing } from "./routing.ts";
import type { Transport } from "./transport.ts";

/** Partitions that are asked at once, and keys that are looked at together. */
const AT_ONCE = 16;
/** Bytes of values that come with the look at one page's keys: then the page ends. */
const MOST_BYTES = 8 * 2 ** 20;

/** Where a scan is: at a partition, at one of those who have it, at a place of the engine's. */
interface Position {
  readonly partition: number;
  readonly owner: number;
  readonly cursor: bigint;
}

/** What of a partition is there from a position on. */
interface Step {
  readonly keys: readonly string[];
  /** Bytes of their values. */
  readonly bytes: number;
  readonly next: Position | undefined;
}

/** What all steps of a page share. */
interface Walk extends Pick<Scan, "limit" | "matches"> {
  /** As the cluster calls it. */
  readonly map: string;
  readonly routing: Routing;
  readonly call: Call;
  /** First steps of partitions that are begun already. */
  readonly ahead: Map<number, Promise<Step>>;
}

const START: Position = { partition: 0, owner: 0, cursor: 0n };

/**
 * Walks through a map, partition by partition, at whoever has the partition: former owners first, so that keys on their way are
 * not missed. Members show keys whose time is over, and former owners those that are deleted, so each key is looked at.
 */
export class Scans {
  /** @param now milliseconds that never run backwards */
  constructor(private readonly transport: Transport, private readonly now: () => number) {}

  /** @param map as the cluster calls it @throws GatewayError `INVALID_REQUEST` for a cursor that is none, `UNAVAILABLE` */
  async page(map: string, { cursor, limit, matches }: Scan, call: Call): Promise<CachePage> {
    const routing = await this.transport.routing(call);
    const walk: Walk = { map, limit, matches, routing, call, ahead: new Map() };
    const halfTime = (call.begun + call.until) / 2;
    const keys = new Set<string>();
    let position: Position | undefined = cursor === undefined ? START : decode(cursor, routing);
    for (let bytes = 0; position !== undefined;) {
      const step = await this.#step(walk, position);
      const fresh = step.keys.filter((key) => !keys.has(key));
      if (keys.size + fresh.length > limit) break;
      for (const key of fresh) keys.add(key);
      bytes += step.bytes;
      position = step.next;
      if (keys.size === limit || bytes > MOST_BYTES || this.now() > halfTime) break;
    }
    return { keys: [...keys], cursor: position && encode(position, routing) };
  }

  /** One step; and the first ones of the partitions behind it are begun. */
  #step(walk: Walk, position: Position): Promise<Step> {
    const { partition, owner, cursor } = position;
    const { ahead, routing } = walk;
    const begun = owner === 0 && cursor === 0n ? ahead.get(partition) : undefined;
    ahead.delete(partition);
    const step = begun ?? this.#ask(walk, position);
    for (let next = partition + 1; next < Math.min(partition + AT_ONCE, routing.partitions); next++) {
      if (ahead.has(next)) continue;
      const asked = this.#ask(walk, { ...START, partition: next });
      // What is begun and then not needed, for whatever reason, must not become a failure that nobody handles.
      asked.catch(() => {});
      ahead.set(next, asked);
    }
    return step;
  }

  async #ask({ map, limit, matches, routing, call }: Walk, position: Position): Promise<Step> {
    const { partition, owner, cursor } = position;
    const owners = routing.ownersOf(partition);
    const means = { reading: true, pinned: true };
    const [reply] = await this.transport.ask(
      { member: owners[owner]! },
      [scan(partition, map, cursor, limit)],
      call,
      means,
    );
    const [after, found] = listOf(reply);
    const next = nextOf(position, unsignedOf(after), owners.length, routing.partitions);
    const keys = listOf(found).flatMap(keyOf).filter((key) => matches === undefined || matches(key));
    return { ...await this.#look(map, keys, call), next };
  }

  /** Those that are there. */
  async #look(map: string, keys: readonly string[], call: Call): Promise<Omit<Step, "next">> {
    const there: string[] = [];
    let bytes = 0;
    for (let i = 0; i < keys.length; i += AT_ONCE) {
      await Promise.all(
        keys.slice(i, i + AT_ONCE).map(async (key) => {
          const place = { map, key };
          const [reply] = await this.transport.ask(place, [get(map, key)], call, { reading: true });
          const found = foundIn(reply, place);
          if (found === undefined) return;
          there.push(key);
          bytes += found.stored.length;
        }),
      );
    }
    return { keys: there, bytes };
  }
}

function nextOf(
  { partition, owner }: Position,
  cursor: bigint,
  owners: number,
  partitions: number,
): Position | undefined {
  if (cursor !== 0n) return { partition, owner, cursor };
  if (owner + 1 < owners) return { partition, owner: owner + 1, cursor: 0n };
  return partition + 1 < partitions ? { ...START, partition: partition + 1 } : undefined;
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

const encode = ({ partition, owner, cursor }: Position, routing: Routing): string =>
  [partition, owner, cursor, routing.fingerprintOf(partition)].join(".");

/** Begins a partition anew that others have by now: their cursors mean something else. */
function decode(text: string, routing: Routing): Position {
  const [, partition, owner, cursor, fingerprint] = /^(\d{1,9})\.(\d{1,3})\.(\d{1,20})\.([0-9a-z]+)$/.exec(text) ?? [];
  if (
    fingerprint === undefined || Number(partition) >= routing.partitions ||
    BigInt.asUintN(64, BigInt(cursor!)) !== BigInt(cursor!)
  ) {
    throw invalid("cursor", "not one that a scan of this map gave; begin without it");
  }
  const begin = { ...START, partition: Number(partition) };
  if (
    fingerprint !== routing.fingerprintOf(begin.partition) || Number(owner) >= routing.ownersOf(begin.partition).length
  ) {
    return begin;
  }
  return { ...begin, owner: Number(owner), cursor: BigInt(cursor!) };
}
