import { connect, type Socket } from "node:net";

/** Milliseconds in which something must have happened, looked at again and again. */
export class TimeLeft {
  readonly #end: number;

  constructor(ms: number) {
    this.#end = performance.now() + ms;
  }

  /** At least 1, or a wait would be for ever. */
  get ms(): number {
    return Math.max(1, this.#end - performance.now());
  }

  get over(): boolean {
    return performance.now() >= this.#end;
  }
}

/** How long somebody waits, and for what. */
export interface Wait {
  /** Milliseconds. */
  readonly ms: number;
  /** What is thrown when they are over. */
  readonly late: () => Error;
  /** Nobody wants it any more. */
  readonly signal: AbortSignal;
}

/**
 * Waits for something of a socket; whatever else happens to it first is an error.
 * @param begin is given what ends the waiting; it returns what takes its listeners back
 * @throws what the socket emits, what {@link Wait.late} gives, and the signal's reason; the socket is destroyed then
 */
export async function ofSocket<T>(
  socket: Socket,
  { ms, late, signal }: Wait,
  begin: (done: (value: T) => void, failed: (error: unknown) => void) => () => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const closed = () => reject(Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" }));
  const leave = () => reject(signal.reason);
  const timer = setTimeout(() => reject(late()), Math.min(ms, 2 ** 31 - 1));
  socket.on("error", reject).on("close", closed);
  signal.addEventListener("abort", leave);
  let undo = () => {};
  try {
    if (signal.aborted) leave();
    else if (socket.destroyed) closed();
    else undo = begin(resolve, reject);
    return await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    undo();
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
    // Its errors have other listeners: see guarded().
    socket.off("error", reject).off("close", closed);
  }
}

/** A socket whose errors are never nobody's: an event `error` without a listener would end the process. */
export function guarded<T extends Socket>(socket: T): T {
  socket.on("error", ignored);
  return socket;
}

const ignored = () => {};

/** Connects. @throws what the system says, NotCapable by the process's rights, what {@link Wait.late} gives, the signal's reason */
export async function dial(host: string, port: number, wait: Wait): Promise<Socket> {
  const socket = guarded(connect({ host, port, noDelay: true, autoSelectFamily: false }));
  await ofSocket<void>(socket, wait, (done) => {
    socket.once("connect", done);
    return () => socket.off("connect", done);
  });
  return socket;
}

/**
 * Reads as many bytes, and no byte more: what follows stays in the socket.
 * @throws as {@link ofSocket}; an error with the code `ECONNRESET` when the other side ends before
 */
export function readExactly(socket: Socket, count: number, wait: Wait): Promise<Uint8Array> {
  return ofSocket(socket, wait, (done, failed) => {
    const ended = () => failed(Object.assign(new Error("the end in the middle of an answer"), { code: "ECONNRESET" }));
    const look = () => {
      const bytes = socket.read(count) as Uint8Array | null;
      // At the end there may be fewer.
      if (bytes?.length === count) done(bytes);
      else if (bytes !== null || socket.readableEnded) ended();
    };
    socket.on("readable", look).on("end", ended);
    look();
    return () => socket.off("readable", look).off("end", ended);
  });
}
