import type { RowStream, SqlOutput } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { type Host, HostEnded } from "../../../src/hosts/host.ts";
import { type HostStream, ReaderTooSlow } from "../../../src/hosts/stream.ts";
import type { StreamRequest } from "../driver.ts";
import { errorOf } from "../faults.ts";
import type { StreamItem, StreamOrder, TroubleReply } from "./messages.ts";
import { OUT_OF_TIME } from "./recovery.ts";

/** Milliseconds that a reader may leave a stream waiting. */
const PATIENCE = 60_000;

/** Who hears of a stream's end, and what trouble is to the client. */
export interface StreamListeners {
  /** Called once, when it is over in any way after it has begun. */
  readonly over: () => void;
  readonly explain: (trouble: TroubleReply) => GatewayError;
}

/**
 * Rows of a statement from its host.
 * @throws HostEnded when the host ended before the statement began; then `over` is not called. GatewayError likewise
 */
export async function rowStream(
  host: Host,
  { statement: { sql, args, facts, own }, timeout, level }: Pick<StreamRequest, "statement" | "timeout" | "level">,
  listeners: StreamListeners,
): Promise<RowStream> {
  const order: StreamOrder = { sql, args, facts, ...(own && { own }) };
  const items = host.stream(order, { timeout, patience: PATIENCE });
  let first;
  try {
    first = rowsIn(await items.next(), listeners);
  } catch (error) {
    if (error instanceof HostEnded && !error.running) throw error;
    throw told(error);
  }
  const { columns = [], types = [], rows = [] } = first ?? {};
  return { columns, types, level, batches: new Batches(items, rows, listeners) };
}

/** Read once. */
class Batches implements AsyncIterableIterator<readonly (readonly SqlOutput[])[]> {
  #first: readonly (readonly SqlOutput[])[] | undefined;
  #over = false;

  constructor(
    private readonly items: HostStream,
    first: readonly (readonly SqlOutput[])[],
    private readonly listeners: StreamListeners,
  ) {
    this.#first = first;
  }

  async next(): Promise<IteratorResult<readonly (readonly SqlOutput[])[]>> {
    if (this.#first) {
      const value = this.#first;
      this.#first = undefined;
      if (value.length > 0) return { done: false, value };
    }
    try {
      const item = this.#over ? undefined : rowsIn(await this.items.next(), this.listeners);
      if (item) return { done: false, value: item.rows };
    } catch (error) {
      this.#end();
      throw told(error);
    }
    this.#end();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<readonly (readonly SqlOutput[])[]>> {
    this.#end();
    await this.items.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    if (!this.#over) this.listeners.over();
    this.#over = true;
  }
}

function rowsIn(result: IteratorResult<unknown>, { explain }: StreamListeners) {
  if (result.done) return undefined;
  const item = result.value as StreamItem;
  if (item.kind === "fault") throw errorOf(item.fault);
  if (item.kind === "trouble") throw explain(item);
  return item;
}

function told(error: unknown): unknown {
  if (error instanceof ReaderTooSlow) {
    return new GatewayError("REQUEST_TIMEOUT", "nobody read the rows for a minute", { cause: error });
  }
  if (!(error instanceof HostEnded)) return error;
  return error.running && error.reason === "deadline"
    ? new GatewayError("STATEMENT_TIMEOUT", OUT_OF_TIME)
    : new GatewayError("UNAVAILABLE", "the process of this namespace's database ended", { cause: error });
}
