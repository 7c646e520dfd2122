/** Numbers that look random and are the same in every run (mulberry32). */
export class Chance {
  constructor(private seed: number) {}

  /** From 0 inclusive to 1 exclusive. */
  readonly next = (): number => {
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  /** A whole number from 0 to `n - 1`. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  readonly bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => this.below(256));
}
