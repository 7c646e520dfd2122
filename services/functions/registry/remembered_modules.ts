import { LRUCache } from "lru-cache";
import type { Maybe } from "../../../src/contracts/cache.ts";
import { abortable } from "../../clock/abortable.ts";
import { Turns } from "./turns.ts";

/** Which module, prepared for how much memory. */
export interface ModuleKey {
  readonly namespace: string;
  /** Of the function. */
  readonly id: string;
  readonly version: number;
  readonly pages: number;
}

interface Known {
  readonly namespace: string;
  readonly bytes: Uint8Array;
}

/** Modules that are read at once: each is in memory whole while it is. */
const AT_ONCE = 8;

/** Modules as hosts get them, the least recently used of which leave. A version never changes, so they need not be read anew. */
export class RememberedModules {
  readonly #known: LRUCache<string, Known>;
  readonly #underWay = new Map<string, { readonly namespace: string; readonly reading: Promise<Uint8Array> }>();
  readonly #turns = new Turns(AT_ONCE);

  /** @param bytes that they may take together */
  constructor(bytes: number) {
    this.#known = new LRUCache({ maxSize: bytes, sizeCalculation: ({ bytes }) => Math.max(1, bytes.length) });
  }

  /** Bytes that are held. */
  get bytes(): number {
    return this.#known.calculatedSize;
  }

  /** @param read called where it is not known; several who want the same wait for one reading. A failure is not remembered */
  get(key: ModuleKey, read: () => Promise<Uint8Array>, signal: AbortSignal): Maybe<Uint8Array> {
    const text = `${key.id}/${key.version}/${key.pages}`;
    const known = this.#known.get(text);
    return known?.bytes ?? abortable(this.#reading(text, key, read), signal);
  }

  /** Forgets all modules of a namespace. */
  dropNamespace(namespace: string): void {
    for (const [key, known] of [...this.#known.entries()]) if (known.namespace === namespace) this.#known.delete(key);
    for (const [key, { namespace: of }] of [...this.#underWay]) if (of === namespace) this.#underWay.delete(key);
  }

  /** Forgets everything. */
  clear(): void {
    this.#known.clear();
    this.#underWay.clear();
  }

  #reading(key: string, { namespace }: ModuleKey, read: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay.reading;
    const isLatest = () => this.#underWay.get(key)?.reading === reading;
    const reading: Promise<Uint8Array> = this.#turns.run(read).then((bytes) => {
      if (isLatest()) this.#known.set(key, { namespace, bytes });
      return bytes;
    }).finally(() => {
      if (isLatest()) this.#underWay.delete(key);
    });
    // Whoever waits for it is told, and perhaps nobody does.
    reading.catch(() => {});
    this.#underWay.set(key, { namespace, reading });
    return reading;
  }
}
