/** What a host may know at once. */
export interface KnownModulesBounds {
  /** Modules. */
  readonly count: number;
  /** Bytes of them, as they were sent. */
  readonly bytes: number;
}

/** Which modules a host knows, those used last kept longest. The host itself keeps what it is told to keep. */
export class KnownModules {
  /** Bytes of each, the one not used for longest first. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(private readonly bounds: KnownModulesBounds) {}

  /** Whether the host knows it. It counts as used. */
  use(key: string): boolean {
    const size = this.#sizes.get(key);
    if (size === undefined) return false;
    this.#sizes.delete(key);
    this.#sizes.set(key, size);
    return true;
  }

  /** Whether the host knows it. */
  has(key: string): boolean {
    return this.#sizes.has(key);
  }

  /** The host is told of one more. @returns those that it must forget for it */
  add(key: string, size: number): readonly string[] {
    const dropped: string[] = [];
    for (const [other, bytes] of this.#sizes) {
      if (this.#sizes.size < this.bounds.count && this.#bytes + size <= this.bounds.bytes) break;
      this.#sizes.delete(other);
      this.#bytes -= bytes;
      dropped.push(other);
    }
    this.#sizes.set(key, size);
    this.#bytes += size;
    return dropped;
  }

  /** The host does not know it after all. */
  drop(key: string): void {
    this.#bytes -= this.#sizes.get(key) ?? 0;
    this.#sizes.delete(key);
  }
}
