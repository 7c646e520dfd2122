import { OramaError } from "./errors.ts";
import type { OpenAnswer } from "./http.ts";
import { brokenOff, linesOf } from "./lines.ts";

/** One event of a server. */
export interface ServerSentEvent {
  /** Its type; `message` where it has none. */
  readonly event: string;
  /** Where to go on. */
  readonly id: string | undefined;
  /** `undefined` for a sign of life that only says where to go on. */
  readonly data: string | undefined;
}

/** The events of a `text/event-stream`, signs of life included (html.spec.whatwg.org, 9.2.6). @throws whatever reading throws */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void, void> {
  let event = "message", data: string[] = [];
  // What stands in an event that is not whole yet does not count.
  let id: string | undefined, nextId: string | undefined;
  for await (const line of linesOf(body)) {
    const text = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (text === "") {
      id = nextId;
      yield { event, id, data: data.length === 0 ? undefined : data.join("\n") };
      event = "message";
      data = [];
      continue;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id" && !value.includes("\0")) nextId = value;
    else if (field === "") yield { event: "message", id, data: undefined };
  }
}

/** Milliseconds of silence after which a connection counts as lost: the gateway gives a sign of life every 15 seconds. */
const SILENCE = 45_000;

/** Events, until there is silence. @throws OramaError `NETWORK_ERROR` however reading ends without an end */
export async function* watched({ body, close }: OpenAnswer): AsyncGenerator<ServerSentEvent, void, void> {
  let timer = setTimeout(close, SILENCE);
  try {
    for await (const event of eventsOf(body)) {
      clearTimeout(timer);
      yield event;
      timer = setTimeout(close, SILENCE);
    }
  } catch (error) {
    throw error instanceof OramaError ? error : brokenOff(error);
  } finally {
    clearTimeout(timer);
  }
}
