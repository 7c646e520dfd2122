/**
 * The numbers of WASI preview 1 that are used here
 * (https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md).
 */
export const ERRNO = {
  SUCCESS: 0,
  BADF: 8,
  FAULT: 21,
  INVAL: 28,
  NOSYS: 52,
  NOTDIR: 54,
  NOTSOCK: 57,
  NOTSUP: 58,
  SPIPE: 70,
} as const;

/** Clocks. */
export const CLOCK = { REALTIME: 0, MONOTONIC: 1, PROCESS: 2, THREAD: 3 } as const;

/** What a file descriptor may be used for, as bits. */
export const RIGHT = { READ: 1n << 1n, WRITE: 1n << 6n, FILESTAT: 1n << 21n, POLL: 1n << 27n } as const;

/** The kinds of subscriptions of `poll_oneoff`, and of its events. */
export const EVENT = { CLOCK: 0, READ: 1, WRITE: 2 } as const;

/** Bytes of the structures, and where what is read of them begins. */
export const LAYOUT = {
  iovec: { size: 8, length: 4 },
  fdstat: { size: 24, rights: 8 },
  filestat: { size: 64, links: 24, length: 32 },
  subscription: { size: 48, kind: 8, clock: 16, descriptor: 16, timeout: 24, flags: 40 },
  event: { size: 32, error: 8, kind: 10, length: 16 },
} as const;
