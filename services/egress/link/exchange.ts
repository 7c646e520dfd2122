import type { Clock } from "../../clock/clock.ts";
import { type Hop, HopFailure, type HopFailureCode, type HopResponse } from "../parts.ts";
import { BadFrame, FRAME, type Frame, FrameReader, FrameWriter, messageIn } from "../wire/frames.ts";
import { failureOf, headOf, latencyOf, type OpenMessage, type ProbeMessage } from "../wire/messages.ts";
import { Upload } from "./upload.ts";

/** A connection to the process. */
export interface ProcessConnection {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** Milliseconds that the process has longer than what it waits for: its own clocks are the ones that count. */
const GRACE = 5_000;
/** Milliseconds until the process has taken what it is asked. */
const TAKE = 5_000;
/** The same for a look at a proxy: less than whoever looks waits, so that nobody takes a process that hangs for a proxy that does. */
const TAKE_PROBE = 2_000;
/** Milliseconds for a look at a proxy, which the process ends earlier. */
const PROBE = 15_000;

/** The process did not begin with what it was asked, and will not: another one may be asked the same. */
export class NotTaken extends Error {
  override readonly name = "NotTaken";

  /** @param late whether it said nothing in time; else it has ended */
  constructor(cause: unknown, readonly late = false) {
    super(late ? "the process says nothing" : "the process has ended", { cause });
  }
}

/** One connection to the process, from the request to the end of the response. Nothing that comes is believed unchecked. */
export class Exchange {
  readonly #connection: ProcessConnection;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  readonly #leave = () => this.#end(this.#signal.reason);
  readonly #broken = Promise.withResolvers<never>();
  #upload: Upload | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #over = false;
  #reason: unknown;
  #taken = false;
  /** What it is for whoever waits when the process goes: once a server may have a request, nobody may repeat it by himself. */
  #cutShort: HopFailureCode = "EGRESS_UNAVAILABLE";

  constructor(connection: ProcessConnection, signal: AbortSignal, clock: Clock) {
    this.#connection = connection;
    this.#reader = new FrameReader(connection);
    this.#writer = new FrameWriter(connection);
    this.#signal = signal;
    this.#clock = clock;
    this.#broken.promise.catch(() => {});
    signal.addEventListener("abort", this.#leave);
    if (signal.aborted) this.#leave();
  }

  /** @throws HopFailure, NotTaken, what the body's source says, and the signal's reason */
  send(hop: Hop): Promise<HopResponse> {
    return this.#ending(async () => {
      const { body, length, ...open } = hop;
      await this.#begin(FRAME.open, { ...open, body: length ?? Upload.lengthOf(body) }, TAKE);
      this.#cutShort = "EGRESS_RESPONSE_INVALID";
      if (body !== undefined) this.#sendBody(body);
      const { connect, head, idle, headBytes } = hop.bounds;
      const frame = await this.#next(connect + head + idle + GRACE, FRAME.head);
      const response = headOf(messageIn(frame), headBytes);
      return { ...response, body: this.#bodyOf(idle + GRACE) };
    });
  }

  /** @returns milliseconds @throws HopFailure, NotTaken, and the signal's reason */
  probe(probe: ProbeMessage): Promise<number> {
    return this.#ending(async () => {
      await this.#begin(FRAME.probe, probe, TAKE_PROBE);
      const latency = latencyOf(messageIn(await this.#next(PROBE, FRAME.probed)));
      this.#end(undefined);
      return latency;
    });
  }

  async #ending<T>(work: () => Promise<T>): Promise<T> {
    if (this.#over) throw this.#reason;
    try {
      return await Promise.race([work(), this.#broken.promise]);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Tells the process what it is to do. @throws NotTaken */
  async #begin(
    type: typeof FRAME.open | typeof FRAME.probe,
    message: OpenMessage | ProbeMessage,
    patience: number,
  ): Promise<void> {
    // A process that is gone is noticed by whoever reads, after what it said.
    this.#writer.writeJson(type, message).catch((error) => {
      if (error instanceof RangeError) this.#end(new HopFailure("EGRESS_UNAVAILABLE", "The request is too long."));
    });
    try {
      await this.#next(patience, FRAME.taken);
    } catch (error) {
      throw error instanceof HopFailure || error instanceof BadFrame ? error : new NotTaken(error);
    }
    this.#taken = true;
  }

  #sendBody(body: NonNullable<Hop["body"]>): void {
    const upload = this.#upload = new Upload(body, this.#writer);
    upload.failed.catch((error) => this.#end(error));
    // It may be over by now, and then nobody else tells whoever makes the body.
    if (this.#over) upload.stop(this.#reason);
    else void upload.run();
  }

  #bodyOf(patience: number): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: async (controller) => {
        try {
          let frame: Frame | undefined = await this.#next(patience, FRAME.data, FRAME.end);
          if (this.#over) return;
          while (frame?.type === FRAME.data) {
            controller.enqueue(frame.payload);
            // What came with it, often the end, need not be asked for.
            const { coming } = this.#reader;
            frame = coming === FRAME.data || coming === FRAME.end ? this.#reader.take() : undefined;
          }
          if (frame === undefined) return;
          this.#controller = undefined;
          this.#end(undefined);
          controller.close();
        } catch (error) {
          this.#fail(error);
        }
      },
      cancel: (reason) => {
        this.#controller = undefined;
        this.#end(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** The next frame of these types. @param patience milliseconds without any frame @throws HopFailure, BadFrame, what a connection throws */
  async #next(patience: number, ...types: readonly number[]): Promise<Frame> {
    for (;;) {
      const frame = this.#reader.take() ?? await this.#nextToCome(patience);
      if (frame === undefined) throw new Deno.errors.UnexpectedEof("the end before the end of the response");
      if (types.includes(frame.type)) return frame;
      if (frame.type === FRAME.fail) throw failureOf(messageIn(frame));
      if (frame.type !== FRAME.more) throw new BadFrame(`a frame of the type ${frame.type}, which is not its turn`);
      if (!this.#upload?.more()) throw new BadFrame("more is wanted of a body than was sent");
    }
  }

  /** @returns `undefined` at the end. @throws as {@link #next} */
  async #nextToCome(patience: number): Promise<Frame | undefined> {
    const late = () => this.#end(this.#taken ? tooLate() : new NotTaken(undefined, true));
    const stop = this.#clock.after(patience + (this.#upload?.patience ?? 0), late, true);
    try {
      return await this.#reader.next();
    } finally {
      stop();
    }
  }

  /** What came was no message, or nothing comes any more. @returns what it is for whoever waits */
  #fail(error: unknown): unknown {
    return this.#end(error instanceof HopFailure || error instanceof NotTaken ? error : this.#ended(error));
  }

  #ended(cause: unknown): HopFailure {
    return new HopFailure(this.#cutShort, "What sends requests ended before the response did.", cause);
  }

  /** Closes the connection, which ends whatever the process does. @returns the reason; the first one where there are two */
  #end(reason: unknown): unknown {
    if (this.#over) return this.#reason;
    this.#over = true;
    this.#reason = reason;
    this.#signal.removeEventListener("abort", this.#leave);
    this.#upload?.stop(reason);
    this.#connection.close();
    if (reason === undefined) return;
    this.#broken.reject(reason);
    this.#controller?.error(reason);
    return reason;
  }
}

const tooLate = () => new HopFailure("EGRESS_TIMEOUT", "The request did not go on for too long.");
