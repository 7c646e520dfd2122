import { MAX_STREAMS, type SqliteSettings, type StreamItem, type StreamOrder, type TroubleReply } from "./messages.ts";
import { iterate, PreparedStatements, sizeOf } from "./prepared.ts";
import { DatabaseTrouble, faultOrTrouble } from "./trouble.ts";
import { Presenter } from "../values.ts";
import type { SqlOutput } from "../../../src/contracts/database.ts";

/** A batch ends with the first of these: rows, bytes, milliseconds. */
const BATCH = { rows: 256, bytes: 64 * 1024, time: 5 };
/** Rows between two looks at the clock. */
const GLANCE = 16;

/**
 * Connections that only read, one for each stream, because a connection has one view of the data. They are opened with the file: later this process may open nothing.
 */
export class SqliteReaders {
  readonly #all: PreparedStatements[];
  readonly #free: PreparedStatements[];

  /** @throws DatabaseTrouble */
  constructor(path: string, settings: SqliteSettings) {
    this.#all = Array.from({ length: MAX_STREAMS }, () => new PreparedStatements(path, settings, true));
    for (const { db } of this.#all) db.prepare("PRAGMA temp_store = MEMORY").all();
    this.#free = [...this.#all];
  }

  /** Rows of one statement, some at a time, as the data were when the first was asked for. What goes wrong is the last item. */
  *stream({ sql, args, facts, own }: StreamOrder): Generator<StreamItem> {
    const reader = this.#free.pop();
    if (!reader) throw new Error(`more than ${MAX_STREAMS} streams`);
    try {
      const authority = own ? "own" : facts.verb === "EXPLAIN" ? "write" : "read";
      const { statement, columns, declared } = reader.prepare(sql, authority);
      const presenter = new Presenter(declared);
      let rows: SqlOutput[][] = [], bytes = 0, begun = performance.now(), first = true;
      const item = (): StreamItem => {
        const head = first ? { columns, types: presenter.types } : {};
        first = false;
        return { kind: "rows", ...head, rows };
      };
      for (const row of iterate(statement, args)) {
        rows.push(presenter.row(row));
        bytes += sizeOf(row);
        const late = rows.length % GLANCE === 0 && performance.now() - begun > BATCH.time;
        if (rows.length < BATCH.rows && bytes < BATCH.bytes && !late) continue;
        yield item();
        rows = [];
        bytes = 0;
        begun = performance.now();
      }
      reader.checkEnd();
      if (first || rows.length > 0) yield item();
    } catch (error) {
      yield failure(error);
    } finally {
      // Compiled again by the next one: it may see another schema.
      reader.forget();
      this.#free.push(reader);
    }
  }

  close(): void {
    for (const reader of this.#all) reader.close();
  }
}

function failure(error: unknown): StreamItem {
  try {
    return { kind: "fault", fault: faultOrTrouble(error, { writing: false }) };
  } catch (trouble) {
    return troubleReply(trouble);
  }
}

/** Trouble as the gateway is told. @throws what is none */
export function troubleReply(error: unknown): TroubleReply {
  if (!(error instanceof DatabaseTrouble)) throw error;
  const { message, mayHaveApplied, reopen } = error;
  return { kind: "trouble", message, mayHaveApplied, reopen };
}
