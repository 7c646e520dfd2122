import { errorOfBody, invalidResponse, OramaError } from "../errors.ts";
import { watched } from "../event_stream.ts";
import type { Client } from "../http.ts";
import { parseJson } from "../json.ts";
import { pause } from "../pause.ts";
import { DEFAULT_RETRY, pauseAfter } from "../retry.ts";
import type { FollowOptions } from "./options.ts";
import { type FunctionLogLine, lineOf } from "./values.ts";

const EVENT_STREAM = "text/event-stream";
/** Lines that are known not to be told again. */
const REMEMBERED = 2_000;

/** The lines of an event stream, which is opened again behind the last one when it is lost. @throws OramaError */
export async function* follow(
  client: Client,
  path: string,
  { since, signal, requestTimeout, onReady }: FollowOptions,
): AsyncGenerator<FunctionLogLine, void, void> {
  let last = since;
  const told = new Told();
  for (let lost = 0;;) {
    const headers = { accept: EVENT_STREAM, ...(last !== undefined && { "last-event-id": last }) };
    const request = { method: "GET", path, effect: "read", headers, signal, requestTimeout } as const;
    const answer = await client.open(request, EVENT_STREAM);
    try {
      onReady?.();
      for await (const { event, id, data } of watched(answer)) {
        lost = 0;
        last = id || last;
        if (event === "failure") throw failureOf(data);
        if (event !== "line" || data === undefined) continue;
        const line = lineOf(parse(data));
        if (told.isNew(line.id)) yield line;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof OramaError && ["NETWORK_ERROR", "UNAVAILABLE"].includes(error.code))) throw error;
    } finally {
      answer.close();
    }
    const unreachable = new OramaError("the log ended again and again", { code: "NETWORK_ERROR" });
    const milliseconds = pauseAfter(unreachable, ++lost, DEFAULT_RETRY, Math.random());
    if (milliseconds === undefined) throw unreachable;
    await pause(milliseconds, signal);
  }
}

/** Lines of several gateways come out of their order, and some of them again behind a break. */
class Told {
  readonly #ids = new Set<string>();

  /** Whether it is none of the last lines that were told. */
  isNew(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    for (const oldest of this.#ids) {
      if (this.#ids.size <= REMEMBERED) break;
      this.#ids.delete(oldest);
    }
    return true;
  }
}

const failureOf = (data = ""): OramaError =>
  errorOfBody(parse(data), {}) ?? invalidResponse("its failure says nothing");

function parse(data: string): unknown {
  try {
    return parseJson(data);
  } catch {
    throw invalidResponse("an event of it is no JSON");
  }
}
