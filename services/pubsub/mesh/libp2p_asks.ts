import type { Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import type { NetworkNode } from "../../network/node.ts";
import { copyOf, isTooLong } from "./libp2p_link.ts";
import type { NodeId } from "./mesh.ts";

/** A question and its answer, each with its length in front (varint), in a stream of their own. */
export const ASK = "/orama/ask/1";

/** Milliseconds in which a question must have come, and in which its answer must have been taken. */
const PATIENCE = 5_000;
/** Milliseconds for an answer to be found. */
const THINKING = 30_000;
/** Streams of questions between two gateways, in each direction. */
const STREAMS = 128;
/** Those of them that this gateway uses at once: what has just been closed may still count on the other side. */
const AT_ONCE = STREAMS / 2;

/** What answers. @throws whatever: there is no answer then */
export type Answer = (node: NodeId, question: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer>>;

/** Questions to other gateways, and theirs. */
export class Asks {
  readonly #turns = new Map<NodeId, Turns>();

  constructor(private readonly node: NetworkNode, private readonly maxBytes: number) {}

  /** Begins to answer. */
  start(answer: Answer): Promise<void> {
    return this.node.handle(ASK, (stream, peer) => this.#answer(stream, peer, answer), {
      maxInboundStreams: STREAMS,
      maxOutboundStreams: STREAMS,
    });
  }

  /** Asks one that is connected. @throws when there is no answer, or the signal fires */
  async ask(peer: NodeId, question: Uint8Array, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    signal.throwIfAborted();
    const turns = this.#turns.get(peer) ?? new Turns(AT_ONCE);
    this.#turns.set(peer, turns);
    await turns.take(signal);
    try {
      return await this.#ask(peer, question, signal);
    } finally {
      turns.giveBack();
      if (turns.idle) this.#turns.delete(peer);
    }
  }

  async #ask(peer: NodeId, question: Uint8Array, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const stream = await this.node.stream(peer, ASK, signal, STREAMS);
    try {
      const frames = lpStream(stream, { maxDataLength: this.maxBytes });
      await frames.write(question, { signal });
      const answer = copyOf(await frames.read({ signal }));
      stream.close().catch(() => stream.abort(new Error("the question is answered")));
      return answer;
    } catch (error) {
      stream.abort(new Error("the question was given up"));
      if (isTooLong(error)) this.node.punish(peer, "oversize");
      throw error;
    }
  }

  async #answer(stream: Stream, peer: NodeId, answer: Answer): Promise<void> {
    try {
      const frames = lpStream(stream, { maxDataLength: this.maxBytes });
      const question = copyOf(await frames.read({ signal: AbortSignal.timeout(PATIENCE) }));
      const bytes = await within(THINKING, answer(peer, question));
      const signal = AbortSignal.timeout(PATIENCE);
      await frames.write(bytes, { signal });
      await stream.close({ signal });
    } catch (error) {
      const isLate = error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError");
      if (isTooLong(error)) this.node.punish(peer, "oversize");
      else if (isLate) this.node.count("stalled");
      stream.abort(new Error("no answer"));
    }
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer was found in time")), ms);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets so many work at once; the others wait in their order. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(private readonly most: number) {}

  get idle(): boolean {
    return this.#taken === 0 && this.#waiting.length === 0;
  }

  async take(signal: AbortSignal): Promise<void> {
    if (this.#taken < this.most) {
      this.#taken++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = () => {
      this.#waiting.splice(this.#waiting.indexOf(resolve), 1);
      reject(signal.reason);
    };
    this.#waiting.push(resolve);
    signal.addEventListener("abort", giveUp, { once: true });
    await promise;
    signal.removeEventListener("abort", giveUp);
  }

  /** Whoever waits for longest has the turn. */
  giveBack(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken--;
  }
}
