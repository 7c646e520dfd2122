import { HopFailure, type HopFailureCode } from "../parts.ts";
import { BadFrame, FRAME, type Frame, FrameReader, FrameWriter, MAX_DATA, messageIn } from "../wire/frames.ts";
import { failMessageOf, type OpenMessage, type ProbeMessage } from "../wire/messages.ts";
import type { Connector } from "./connecting.ts";
import { invalidResponse } from "./failures.ts";
import { HttpExchange, type ResponseListener } from "./http.ts";
import { RequestBody } from "./request_body.ts";
import { TimeLeft } from "./sockets.ts";
import { greet } from "./socks.ts";

/** A connection of the gateway. */
export interface GatewayConnection {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** Milliseconds for a handshake with a proxy that is only looked at. */
const PROBE = 10_000;

/**
 * Serves one connection: one hop, or one look at a proxy. It is the gateway that closes it, and whatever goes on is ended then.
 * Never rejects.
 * @param log what nobody foresaw
 */
export async function serveConnection(
  connection: GatewayConnection,
  connector: Connector,
  log: (line: string) => void,
): Promise<void> {
  const reader = new FrameReader(connection), writer = new FrameWriter(connection);
  try {
    const first = await reader.next();
    if (first?.type === FRAME.open) {
      await new Serving(reader, writer, log).hop(messageIn(first) as OpenMessage, connector);
    } else if (first?.type === FRAME.probe) {
      await new Serving(reader, writer, log).probe(messageIn(first) as ProbeMessage);
    } else if (first) throw new BadFrame(`a connection that begins with a frame of the type ${first.type}`);
  } catch (error) {
    if (error instanceof BadFrame) log(`a connection of the gateway brought ${error.message}`);
  } finally {
    connection.close();
  }
}

class Serving {
  readonly #gone = new AbortController();
  readonly #body: RequestBody;

  constructor(
    private readonly reader: FrameReader,
    private readonly writer: FrameWriter,
    private readonly log: (line: string) => void,
  ) {
    this.#body = new RequestBody(() => void writer.write(FRAME.more).catch(() => this.#leave()));
  }

  async hop(open: OpenMessage, connector: Connector): Promise<void> {
    // From now on the server may have it, so whoever asked must not be told that it was not sent.
    await this.#answer("EGRESS_RESPONSE_INVALID", async () => {
      const socket = await connector.connect(open, this.#gone.signal);
      await new HttpExchange(open, this.#body, this.#listener()).run(socket, this.#gone.signal);
      await this.writer.write(FRAME.end);
    });
  }

  async probe({ proxy, username, password }: ProbeMessage): Promise<void> {
    await this.#answer("EGRESS_UNAVAILABLE", async () => {
      const began = performance.now();
      const socket = await greet(proxy, { username, password }, new TimeLeft(PROBE), this.#gone.signal);
      socket.destroy();
      await this.writer.writeJson(FRAME.probed, { latency: performance.now() - began });
    });
  }

  /** @param unforeseen what a failure is that nobody foresaw @throws BadFrame, and what a connection throws */
  async #answer(unforeseen: HopFailureCode, work: () => Promise<void>): Promise<void> {
    const closed = this.#listen();
    closed.catch(() => {});
    try {
      // Before anything of it leaves this machine.
      await this.writer.write(FRAME.taken);
      await work();
    } catch (error) {
      if (!this.#gone.signal.aborted) {
        await this.writer.writeJson(FRAME.fail, failMessageOf(this.#failureOf(error, unforeseen)));
      }
    }
    await closed;
  }

  /** Reads what comes until the gateway closes the connection. */
  async #listen(): Promise<void> {
    try {
      for (let frame = await this.reader.next(); frame; frame = await this.reader.next()) this.#take(frame);
    } finally {
      this.#leave();
    }
  }

  #take({ type, payload }: Frame): void {
    if (type === FRAME.data) this.#body.push(payload);
    else if (type === FRAME.end) this.#body.end();
    else throw new BadFrame(`a frame of the type ${type} in the middle of a request`);
  }

  #leave(): void {
    this.#gone.abort(LEFT);
  }

  #listener(): ResponseListener {
    return {
      head: async (head, followed) => {
        try {
          if (followed) this.writer.holdJson(FRAME.head, head);
          else await this.writer.writeJson(FRAME.head, head);
        } catch (error) {
          throw error instanceof RangeError ? invalidResponse("has headers that are too long") : error;
        }
      },
      data: async (chunk, followed) => {
        for (let at = 0; at < chunk.length; at += MAX_DATA) {
          const piece = chunk.subarray(at, at + MAX_DATA);
          const isHeld = followed && this.writer.waiting + piece.length <= MAX_DATA;
          if (isHeld) this.writer.hold(FRAME.data, piece);
          else await this.writer.write(FRAME.data, piece);
        }
      },
    };
  }

  #failureOf(error: unknown, unforeseen: HopFailureCode): HopFailure {
    if (error instanceof HopFailure) return error;
    this.log(`a hop failed unexpectedly: ${String(error)}`);
    return new HopFailure(unforeseen, "The request could not be sent, or its response not be read.", error);
  }
}

const LEFT = new Error("the gateway has closed the connection");
