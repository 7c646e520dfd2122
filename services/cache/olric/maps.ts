import type { CacheHoldings, CacheMap } from "../../../src/contracts/cache.ts";
import { destroy, STATS } from "./commands.ts";
import { Call } from "./deadlines.ts";
import { holdsValues, mapName, prefixOf } from "./encoding.ts";
import { MemberFailure, textOf, unreachable } from "./replies.ts";
import type { Transport } from "./transport.ts";

/** What of a member's figures is of interest. */
interface Stats {
  readonly partitions: Readonly<Record<string, { readonly dmaps: Readonly<Record<string, MapStats>> }>>;
  /** Of all that the member did since it started. */
  readonly dmaps?: { readonly evicted_total?: unknown };
}

interface MapStats {
  readonly length: number;
  readonly slab_info: { readonly inuse: number };
}

/** Keys and bytes by the names that maps have on the cluster. */
type Figures = Map<string, { readonly keys: number; readonly bytes: number }>;

/** Finds out which maps there are, by asking each member for its figures; and deletes maps. */
export class Maps {
  #running: Promise<Figures> | undefined;
  #next: Promise<Figures> | undefined;
  readonly #evictions = new Evictions();

  /** @param call makes a call that nobody in particular waits for */
  constructor(private readonly transport: Transport, private readonly call: () => Call) {}

  /** The maps of a namespace that hold something, by name. @throws GatewayError `UNAVAILABLE` */
  async list(namespace: string): Promise<readonly CacheMap[]> {
    const prefix = prefixOf(namespace, "d");
    const maps: CacheMap[] = [];
    for (const [name, figures] of await this.#figures()) {
      if (name.startsWith(prefix) && figures.keys > 0) maps.push({ name: name.slice(prefix.length), ...figures });
    }
    return maps.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** What all namespaces hold, without their locks. @throws GatewayError `UNAVAILABLE` */
  async total(): Promise<CacheHoldings> {
    let entries = 0, bytes = 0;
    for (const [name, figures] of await this.#figures()) {
      if (!holdsValues(name)) continue;
      entries += figures.keys;
      bytes += figures.bytes;
    }
    return { entries, bytes, evictions: this.#evictions.total };
  }

  /** @param call whoever waits @throws GatewayError `UNAVAILABLE` */
  async drop(namespace: string, map: string, call: Call): Promise<void> {
    await this.transport.ask("anybody", [destroy(mapName(namespace, "d", map))], call, { repeatable: true });
  }

  /** Deletes all maps of a namespace, its locks among them. @throws GatewayError `UNAVAILABLE` */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    const prefix = prefixOf(namespace);
    for (const name of (await this.#figures()).keys()) {
      if (!name.startsWith(prefix)) continue;
      signal.throwIfAborted();
      await this.transport.ask("anybody", [destroy(name)], this.call(), { repeatable: true });
    }
  }

  /**
   * Figures that are no older than the question. Each member writes down all its maps for them, so all who ask meanwhile share
   * the next answer.
   */
  #figures(): Promise<Figures> {
    if (this.#running === undefined) {
      this.#running = this.#ask().finally(() => this.#running = undefined);
      return this.#running;
    }
    return this.#next ??= this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#figures();
    });
  }

  async #ask(): Promise<Figures> {
    const { members } = await this.transport.routing(this.call());
    const figures: Figures = new Map();
    await Promise.all(members.map(async (member) => {
      const [reply] = await this.transport.ask({ member }, [STATS], this.call(), { reading: true, pinned: true });
      this.#evictions.see(member, add(textOf(reply), figures).dmaps?.evicted_total);
    }));
    return figures;
  }
}

/** What members count as evicted: together, and never less than before, though each begins anew when it starts again. */
class Evictions {
  readonly #last = new Map<string, number>();
  /** `undefined` until a member told something. */
  total: number | undefined;

  /** @param told by the member: anything, or nothing */
  see(member: string, told: unknown): void {
    if (!isCount(told)) return;
    const last = this.#last.get(member) ?? 0;
    this.#last.set(member, told);
    this.total = (this.total ?? 0) + (told < last ? told : told - last);
  }
}

/** Adds a member's figures to those of the others. @returns them @throws GatewayError `UNAVAILABLE` for what are none */
function add(text: string, figures: Figures): Stats {
  try {
    const stats = JSON.parse(text) as Stats;
    for (const { dmaps } of Object.values(stats.partitions)) {
      for (const [name, { length, slab_info: { inuse } }] of Object.entries(dmaps)) {
        if (!isCount(length) || !isCount(inuse)) throw new TypeError("no numbers");
        const { keys, bytes } = figures.get(name) ?? { keys: 0, bytes: 0 };
        figures.set(name, { keys: keys + length, bytes: bytes + inuse });
      }
    }
    return stats;
  } catch (cause) {
    throw unreachable(new MemberFailure("figures that make no sense", { cause }));
  }
}

const isCount = (told: unknown): told is number => Number.isSafeInteger(told) && (told as number) >= 0;
