import { Cron } from "croner";
import { LRUCache } from "lru-cache";
import { invalid } from "./failures.ts";

/** Characters of an expression. */
const LONGEST_EXPRESSION = 256;
const LONGEST_ZONE = 64;
/** Expressions that are kept as they are read. */
const KEPT = 500;

/** When cron expressions are due. Reads them by Croner; nothing of its own timers runs. */
export class CronTimes {
  readonly #read = new LRUCache<string, Cron>({ max: KEPT });

  /**
   * An expression and a time zone in one spelling.
   * @param now Unix milliseconds
   * @throws GatewayError `INVALID_REQUEST` for one that cannot be read, or is never due again
   */
  checked(expression: string, timezone: string | undefined, now: number): { expression: string; timezone?: string } {
    if (expression.length > LONGEST_EXPRESSION) {
      throw invalid("expression", `has more than ${LONGEST_EXPRESSION} characters`);
    }
    const fields = expression.trim().split(/\s+/);
    // Croner takes dates and nicknames as well.
    if (fields.length !== 5 && fields.length !== 6) {
      throw invalid(
        "expression",
        "must have five fields (minute, hour, day, month, weekday), or six with seconds in front",
      );
    }
    const zone = timezone === undefined ? undefined : checkedZone(timezone);
    const spelled = fields.join(" ").toUpperCase();
    let next: number | undefined;
    try {
      next = this.next(spelled, zone, now);
    } catch (cause) {
      throw invalid("expression", `cannot be read: ${problemOf(cause)}`);
    }
    if (next === undefined) throw invalid("expression", "is never due: there is no such day");
    return { expression: spelled, ...(zone !== undefined && { timezone: zone }) };
  }

  /**
   * When an expression is due next. In a time zone that sets its clocks, a time of day that is left out is due right behind the gap, and
   * one that comes twice is due the first time; what is due every so often goes on as the hours really pass.
   * @param after Unix milliseconds; the answer is later
   * @returns Unix milliseconds; `undefined` for never
   */
  next(expression: string, timezone: string | undefined, after: number): number | undefined {
    const key = `${timezone ?? ""} ${expression}`;
    let cron = this.#read.get(key);
    if (cron === undefined) {
      cron = new Cron(expression, { paused: true, mode: "5-or-6-parts", timezone: timezone ?? "UTC" });
      this.#read.set(key, cron);
    }
    return cron.nextRun(new Date(after))?.getTime();
  }
}

function checkedZone(timezone: string): string {
  if (timezone.length <= LONGEST_ZONE) {
    try {
      return new Intl.DateTimeFormat("en", { timeZone: timezone }).resolvedOptions().timeZone;
    } catch {
      // Said below.
    }
  }
  throw invalid("timezone", "is none that is known; one is called Europe/Berlin");
}

/** The parser's own words, without its own name. */
function problemOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : "it is no cron expression";
  return text.replace(/^\w+: /, "").replace(/\.$/, "");
}
