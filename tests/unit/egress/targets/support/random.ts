/** Whole numbers from 0 to below `n`, always the same for a seed (mulberry32), so that a failure can be seen again. */
export function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** An IPv4 address by its number. */
export const ipv4 = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");

/** An IPv6 address by its number, in the spelling that URLs give it. */
export const ipv6 = (number: bigint): string => {
  const groups = number.toString(16).padStart(32, "0").match(/.{4}/g)!.join(":");
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
};
