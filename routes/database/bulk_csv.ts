import { setImmediate } from "node:timers/promises";
import { type CsvError, parse, type Parser } from "csv-parse";
import type { SqlArgument } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { decode, tooLong, wrongBody } from "./bulk_lines.ts";
import { type Rows, wrongRow } from "./bulk_values.ts";

/** What the text of a column stands for. Empty: what the column's affinity makes of a text. */
export const CSV_TYPES = ["", "text", "integer", "real", "boolean", "blob"] as const;
/** One of {@link CSV_TYPES}. */
export type CsvType = typeof CSV_TYPES[number];

/** How a text is to be read. */
export interface CsvOptions {
  /** By the place of the column. */
  readonly types: readonly CsvType[];
  /** What stands for NULL where it is not in quotes. */
  readonly nullText: string;
  readonly delimiter: string;
  /** Characters of one record. */
  readonly most: number;
}

/** SQLite's own bound on the columns of a table. */
const MAX_FIELDS = 2_000;

/** A text in quotes is never NULL. */
type Field = string | null;

/** Records of CSV text in UTF-8 (RFC 4180; any line end, a byte order mark, quotes within fields) as they come. */
export class CsvRows {
  readonly #parser: Parser;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #failure: Error | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>, private readonly options: CsvOptions) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    const { nullText, delimiter, most } = options;
    this.#parser = parse({
      bom: true,
      delimiter,
      record_delimiter: ["\r\n", "\n", "\r"],
      max_record_size: most,
      skip_empty_lines: true,
      relax_column_count: true,
      cast: (text, { quoting, header, index }) => {
        // Before all of them are there: a record of separators alone has millions.
        if (index >= MAX_FIELDS) throw new TooManyFields();
        return header || quoting || text !== nullText ? text : null;
      },
    });
    this.#parser.on("error", (error) => this.#failure ??= error);
  }

  /** The names of the first line. @throws GatewayError when there is none */
  async header(): Promise<{ readonly columns: readonly string[]; readonly rows: AsyncIterable<Rows> }> {
    const [first, ...rest] = await this.#more() ?? [];
    if (!first) throw wrongBody("its first line must name the columns");
    const columns = first.map((name) => name ?? "");
    if (this.options.types.length > columns.length) {
      throw new GatewayError("INVALID_REQUEST", `types: there are ${columns.length} columns`, {
        details: [{ field: "types", problem: `there are ${columns.length} columns` }],
      });
    }
    return { columns, rows: this.#rows(columns, rest) };
  }

  async *#rows(columns: readonly string[], begun: readonly Field[][]): AsyncGenerator<Rows, void> {
    let row = 0;
    for (let records: readonly Field[][] | undefined = begun; records; records = await this.#more()) {
      yield records.map((fields) => {
        row++;
        if (fields.length !== columns.length) {
          throw wrongRow(row, `it has ${fields.length} values for ${columns.length} columns`);
        }
        return fields.map((text, at) => text === null ? null : this.#value(text, at, row, columns));
      });
    }
  }

  /** The next records; none at the end. Never an empty list. */
  async #more(): Promise<Field[][] | undefined> {
    const records: Field[][] = [];
    while (records.length === 0 && !this.#parser.readableEnded) {
      const { done, value } = await this.#chunks.next();
      // The parser would put U+FFFD for what is none, and take UTF-16 for what its first bytes say.
      decode(this.#decoder, done ? undefined : value);
      let taken = false;
      const onTaken = () => taken = true;
      if (done) this.#parser.end();
      else this.#parser.write(value, onTaken);
      while (!this.#failure && !(done ? this.#parser.readableEnded : taken)) {
        for (let record; (record = this.#parser.read() as Field[] | null) !== null;) records.push(record);
        await setImmediate();
      }
      if (this.#failure) throw this.#refused(this.#failure as CsvError | TooManyFields);
    }
    return records.length > 0 ? records : undefined;
  }

  #refused({ code, lines }: CsvError | TooManyFields): GatewayError {
    const line = typeof lines === "number" ? lines : undefined;
    if (code === "CSV_MAX_RECORD_SIZE") return tooLong("record", line ?? 1, this.options.most);
    const problem = PROBLEMS[code] ?? "it is no CSV";
    return line === undefined ? wrongBody(problem) : wrongBody(`line ${line}: ${problem}`, line);
  }

  #value(text: string, at: number, row: number, columns: readonly string[]): SqlArgument {
    const column = columns[at]!.slice(0, 100);
    if (text.includes("\0")) throw wrongRow(row, "text cannot hold U+0000; send it as a blob", column);
    switch (this.options.types[at] ?? "") {
      case "integer":
        if (/^[+-]?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)) return BigInt(text);
        throw wrongRow(row, "must be an integer of 64 bits", column);
      case "real": {
        const number = text.trim() === "" ? NaN : Number(text);
        if (Number.isFinite(number)) return { real: number };
        throw wrongRow(row, "must be a finite number", column);
      }
      case "boolean":
        if (/^(true|t|1)$/i.test(text)) return true;
        if (/^(false|f|0)$/i.test(text)) return false;
        throw wrongRow(row, "must be true or false", column);
      case "blob":
        return bytesOf(text, row, column);
      default:
        return text;
    }
  }
}

function bytesOf(text: string, row: number, column: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw wrongRow(row, "must be base64", column);
  }
}

class TooManyFields extends Error {
  readonly code = "TOO_MANY_FIELDS";
  readonly lines = undefined;
}

const PROBLEMS: Readonly<Record<string, string>> = {
  TOO_MANY_FIELDS: `a record has more than ${MAX_FIELDS} fields`,
  CSV_QUOTE_NOT_CLOSED: "a quote is not closed",
  CSV_INVALID_CLOSING_QUOTE: "behind a closing quote a delimiter or the end of the line must stand",
  INVALID_OPENING_QUOTE: "a quote stands within a field that does not begin with one",
};
