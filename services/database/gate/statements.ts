import { LRUCache } from "lru-cache";
import type { ClientStatement, SqlArgument, StatementClass } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { GatedStatement } from "../driver.ts";
import { judge, type JudgedStatement } from "./gate.ts";

/** The gate, and what it has said of the texts that came before: what an application sends, it sends again. */
export class Statements {
  /** Bounded by the characters of the texts. */
  readonly #judged = new LRUCache<string, JudgedStatement>({
    maxSize: 4_000_000,
    sizeCalculation: (_judged, sql) => sql.length + 100,
    maxEntrySize: 20_000,
  });

  /** What a statement would do. @throws GatewayError `SQL_INVALID`, `SQL_NOT_ALLOWED` */
  classify(sql: string): StatementClass {
    const { facts: { access, returning } } = this.#judge(sql);
    return { access, returnsRows: returning || access === "read" };
  }

  /** The statement as drivers take it. @throws GatewayError `SQL_INVALID`, `SQL_NOT_ALLOWED`, `INVALID_REQUEST` for a value */
  gate({ sql, args }: ClientStatement): GatedStatement {
    const judged = this.#judge(sql);
    const { placeholders } = judged.facts;
    if (placeholders !== args.length) {
      throw new GatewayError(
        "SQL_INVALID",
        `the statement has ${placeholders} placeholders, and args has ${args.length} values`,
      );
    }
    args.forEach(checkArgument);
    return { sql: judged.sql, facts: judged.facts, args };
  }

  #judge(sql: string): JudgedStatement {
    const known = this.#judged.get(sql);
    if (known) return known;
    const judged = judge(sql);
    this.#judged.set(sql, judged);
    return judged;
  }
}

const MAX_INTEGER = 2n ** 63n - 1n, MIN_INTEGER = -(2n ** 63n);

function checkArgument(arg: SqlArgument, at: number): void {
  const problem = problemOf(arg);
  if (problem) {
    throw new GatewayError("INVALID_REQUEST", `args.${at}: ${problem}`, {
      details: [{ field: `args.${at}`, problem }],
    });
  }
}

/** What is wrong with a value that a client gives, as a sentence; `undefined` for a good one. */
export function problemOf(arg: SqlArgument): string | undefined {
  if (typeof arg === "string") {
    return arg.includes("\0") ? "text cannot hold U+0000; send it as a blob" : undefined;
  }
  if (typeof arg === "bigint") {
    return arg > MAX_INTEGER || arg < MIN_INTEGER ? "the integer does not fit into 64 bits" : undefined;
  }
  const number = typeof arg === "number"
    ? arg
    : arg !== null && typeof arg === "object" && "real" in arg
    ? arg.real
    : 0;
  return Number.isFinite(number) ? undefined : "the number is not finite";
}
