import { errorOfBody, invalidResponse, isObject, OramaError } from "../errors.ts";
import { type ServerSentEvent, watched } from "../event_stream.ts";
import type { CallOptions, Client, OpenAnswer } from "../http.ts";
import { parseJson } from "../json.ts";
import { pause } from "../pause.ts";
import { DEFAULT_RETRY, pauseAfter } from "../retry.ts";
import type { Integers } from "./options.ts";
import { shapeRows } from "./rows.ts";
import type { Row } from "./values.ts";

/** A row that was inserted, updated or deleted. */
export interface RowChange<T = Row> {
  /** Where it stands: whoever begins `since` it misses nothing, and sees nothing twice. */
  readonly id: string;
  readonly event: "insert" | "update" | "delete";
  readonly table: string;
  /** The primary key, or `rowid`. Of an update the new one. */
  readonly key: Row | null;
  readonly before: T | null;
  readonly after: T | null;
  /** A row is missing because it is larger than a feed keeps. */
  readonly tooLarge: boolean;
}

/** What a listener is told. */
export type Change<T = Row> =
  | RowChange<T>
  /** The table is gone, or its feed was switched off: nothing follows for it. */
  | { readonly id: string; readonly event: "dropped"; readonly table: string }
  /** What lay before is not kept any more: read the tables again. */
  | { readonly id: string; readonly event: "truncated" };

/** How to listen. */
export interface ChangesOptions extends CallOptions {
  /** `now` (default), `0` for everything that is kept, or the id of a change. */
  readonly since?: string;
  readonly integers?: Integers;
  /** Columns that hold BLOBs. */
  readonly blobs?: readonly string[];
  /** Told where listening has begun, also after a connection was lost. */
  readonly onReady?: (position: string) => void;
}

const EVENT_STREAM = "text/event-stream";

/**
 * Changes as they are committed. A connection that is lost is made again from where it was; each change is given at least once.
 * @throws OramaError the gateway's own, or when it cannot be reached again
 */
export async function* changesOf(
  client: Client,
  tables: readonly string[],
  options: ChangesOptions,
): AsyncGenerator<Change, void, void> {
  const { signal, onReady } = options;
  let position = options.since ?? "now";
  for (let lost = 0;;) {
    const answer = await open(client, tables, position, options);
    try {
      for await (const event of watched(answer)) {
        position = event.id || position;
        if (event.event === "ready") {
          lost = 0;
          onReady?.(position);
        } else if (event.event === "failure") throw failureOf(event);
        else if (event.data !== undefined && CHANGES.includes(event.event)) yield changeOf(event.data, options);
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof OramaError && error.code === "NETWORK_ERROR")) throw error;
    } finally {
      answer.close();
    }
    const milliseconds = pauseAfter(unreachable(), ++lost, DEFAULT_RETRY, Math.random());
    if (milliseconds === undefined) throw unreachable();
    await pause(milliseconds, signal);
  }
}

const CHANGES = ["insert", "update", "delete", "dropped", "truncated"];

const unreachable = () => new OramaError("listening ended again and again before it began", { code: "NETWORK_ERROR" });

async function open(
  client: Client,
  tables: readonly string[],
  since: string,
  { integers, signal, requestTimeout }: ChangesOptions,
): Promise<OpenAnswer> {
  const query = new URLSearchParams({
    tables: tables.map((name) => `"${name.replaceAll('"', '""')}"`).join(","),
    since,
    ...(integers === "string" && { integers }),
  });
  return await client.open({
    method: "GET",
    path: `/v1/rqlite/changes?${query}`,
    effect: "read",
    headers: { accept: EVENT_STREAM },
    signal,
    requestTimeout,
  }, EVENT_STREAM);
}

function changeOf(data: string, options: ChangesOptions): Change {
  const value = parse(data);
  if (!isObject(value) || typeof value.id !== "string") throw invalidResponse("a change without its place");
  const { id, event, table, key, before, after, too_large: tooLarge } = value;
  if (event === "truncated") return { id, event };
  if (typeof table !== "string") throw invalidResponse("a change without its table");
  switch (event) {
    case "dropped":
      return { id, event, table };
    case "insert":
    case "update":
    case "delete": {
      const rowOf = (row: unknown) => isObject(row) ? shapeRows<Row>([row as Row], options)[0]! : null;
      const rows = { key: rowOf(key), before: rowOf(before), after: rowOf(after) };
      return { id, event, table, ...rows, tooLarge: tooLarge === true };
    }
    default:
      throw invalidResponse("a change of an unknown kind");
  }
}

const failureOf = ({ data }: ServerSentEvent): OramaError =>
  errorOfBody(parse(data ?? ""), {}) ?? invalidResponse("its failure says nothing");

function parse(data: string): unknown {
  try {
    return parseJson(data);
  } catch {
    throw invalidResponse("an event of it is no JSON");
  }
}
