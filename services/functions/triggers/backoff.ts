/** Whole milliseconds before the next try: doubled each time, and up to a quarter less, so that not all come at once. */
export function backoff(tries: number, { first, most }: { first: number; most: number }, chance: number): number {
  return Math.round(Math.min(most, first * 2 ** Math.min(tries, 20)) * (1 - chance / 4));
}
