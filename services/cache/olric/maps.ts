import type { CacheMap } from "../../../src/contracts/cache.ts";
import { destroy, STATS } from "./commands.ts";
import { Call } from "./deadlines.ts";
import { mapName, prefixOf } from "./encoding.ts";
import { MemberFailure, textOf, unreachable } from "./replies.ts";
import type { Transport } from "./transport.ts";

/** What of a member's figures is of interest. */
interface Stats {
  readonly partitions: Readonly<Record<string, { readonly dmaps: Readonly<Record<string, MapStats>> }>>;
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
      add(textOf(reply), figures);
    }));
    return figures;
  }
}

/** @throws GatewayError `UNAVAILABLE` for what are no figures */
function add(text: string, figures: Figures): void {
  try {
    for (const { dmaps } of Object.values((JSON.parse(text) as Stats).partitions)) {
      for (const [name, { length, slab_info: { inuse } }] of Object.entries(dmaps)) {
        const { keys, bytes } = figures.get(name) ?? { keys: 0, bytes: 0 };
        figures.set(name, { keys: keys + length, bytes: bytes + inuse });
      }
    }
  } catch (cause) {
    throw unreachable(new MemberFailure("figures that make no sense", { cause }));
  }
}
