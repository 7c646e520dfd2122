/** What a module learns of the machine it runs on. */
export interface Surroundings {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  /** Fills bytes with random ones, however many they are. */
  readonly random: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Holds up the thread for so many milliseconds. */
  readonly sleep: (ms: number) => void;
}

/** Bytes that `getRandomValues` gives at once (https://www.w3.org/TR/webcrypto-2/#Crypto-method-getRandomValues). */
const MOST_RANDOM = 65_536;

/** The real ones. */
export function realSurroundings(): Surroundings {
  const never = new Int32Array(new SharedArrayBuffer(4));
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    random(bytes) {
      for (let at = 0; at < bytes.length; at += MOST_RANDOM) {
        crypto.getRandomValues(bytes.subarray(at, at + MOST_RANDOM));
      }
    },
    sleep: (ms) => void Atomics.wait(never, 0, 0, ms),
  };
}
