import { GatewayError } from "../../../src/contracts/errors.ts";
import { abortable } from "../../clock/abortable.ts";
import { joined } from "../joined.ts";

/** Deployments under way into one namespace, and into all, on this gateway: each has its module in memory. */
const MOST = 8, MOST_IN_ALL = 64;

/** Bounds what deployments take at once. */
export class Intake {
  readonly #underWay = new Map<string, number>();
  /** Of each namespace, what ends when the last in its line is done. */
  readonly #lines = new Map<string, Promise<void>>();
  #all = 0;

  /** One more deployment, until it is disposed of. @throws GatewayError `TOO_MANY_UPLOADS` */
  begin(namespace: string): Disposable {
    const own = this.#underWay.get(namespace) ?? 0;
    if (own >= MOST || this.#all >= MOST_IN_ALL) {
      const sentence = "too many functions are being deployed already; nothing was deployed";
      throw new GatewayError("TOO_MANY_UPLOADS", sentence, { retryAfter: 1 });
    }
    this.#underWay.set(namespace, own + 1);
    this.#all++;
    return {
      [Symbol.dispose]: () => {
        this.#all--;
        const left = this.#underWay.get(namespace)! - 1;
        if (left > 0) this.#underWay.set(namespace, left);
        else this.#underWay.delete(namespace);
      },
    };
  }

  /**
   * Runs work of a namespace when what it began before is done: all namespaces share the places in which modules are compiled, and
   * one that fills its own with modules that take long must not have them all.
   * @throws what the work rejects with; the signal's reason, where whoever waits leaves
   */
  async inLine<T>(namespace: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const before = this.#lines.get(namespace) ?? Promise.resolve();
    const { promise: done, resolve: leave } = Promise.withResolvers<void>();
    // Who leaves the line early lets nobody pass those that were before.
    const last = Promise.all([before, done]).then(() => {
      if (this.#lines.get(namespace) === last) this.#lines.delete(namespace);
    });
    this.#lines.set(namespace, last);
    try {
      await abortable(before, signal);
      return await work();
    } finally {
      leave();
    }
  }
}

/**
 * A module as a whole. The source is ended where it is not read to its end.
 * @param most bytes
 * @throws GatewayError `BODY_TOO_LARGE`; what the source throws
 */
export async function moduleOf(source: AsyncIterable<Uint8Array>, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of source) {
    length += piece.length;
    if (length > most) {
      const sentence =
        `wasm: the module has more than ${most} bytes, which is the limit of this namespace (functions.module_bytes)`;
      throw new GatewayError("BODY_TOO_LARGE", sentence, { details: { limit: most } });
    }
    // Pieces may be lent: their bytes are others once the next is asked for.
    pieces.push(piece.slice());
  }
  return joined(pieces);
}

/** Ends a source that nobody reads. Never rejects. */
export async function refuse(source: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await source[Symbol.asyncIterator]().return?.();
  } catch {
    // Whoever sent it is told why it was not read; how its sending ended says nothing more.
  }
}
