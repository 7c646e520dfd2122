import type { RowStream } from "../../../src/contracts/database.ts";
import type { ServiceHealth, Usage } from "../../../src/contracts/health.ts";
import type { DriverReply, DriverRequest, GatedStatement, SqlDriver, StreamRequest } from "../driver.ts";
import { isName, isOperator, isWord, tokenize } from "../gate/lexer.ts";
import { FEED_TRIGGER_PREFIX } from "./names.ts";
import type { Waiter } from "./own_calls.ts";
import type { ChangeFeed } from "./service.ts";

/** A driver whose writes the change feed hears of. Reads pass untouched. */
export class WatchedDriver implements SqlDriver {
  constructor(
    private readonly driver: SqlDriver,
    private readonly feed: Pick<ChangeFeed, "wrote" | "emptied" | "release" | "reconcile">,
  ) {}

  run(request: DriverRequest, context: Waiter): Promise<DriverReply> {
    const { mode, statements, namespace } = request;
    if (mode === "read") return this.driver.run(request, context);
    if (statements.some(isClientsDefinition)) return this.#define(request, context);
    const reply = this.driver.run(request, context);
    const wrote = () => this.feed.wrote(namespace);
    // Also after a failure: of some nobody knows whether they were applied.
    reply.then(wrote, wrote);
    return reply;
  }

  stream(request: StreamRequest, context: Waiter): Promise<RowStream> {
    return this.driver.stream(request, context);
  }

  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    await this.driver.purge(namespace, signal);
    this.feed.emptied(namespace);
  }

  usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    return this.driver.usage(namespace, signal);
  }

  health(signal: AbortSignal): Promise<ServiceHealth> {
    return this.driver.health(signal);
  }

  close(): Promise<void> {
    return this.driver.close();
  }

  async #define(request: DriverRequest, context: Waiter): Promise<DriverReply> {
    const drops = request.statements.flatMap((statement) => isClientsDefinition(statement) ? dropIn(statement) : []);
    try {
      for (let attempt = 1;; attempt++) {
        if (drops.length > 0) await this.feed.release(request.namespace, drops, context);
        const reply = await this.driver.run(request, context);
        // Another gateway's look may have made the triggers again in between.
        if (attempt === TRIES || !isHindered(reply)) return reply;
      }
    } finally {
      await this.feed.reconcile(request.namespace);
    }
  }
}

/** How often a definition is tried that a trigger of the feed stood in the way of. */
const TRIES = 3;

/** Whether nothing was done because of a trigger of the feed. */
function isHindered(reply: DriverReply): boolean {
  const faults = reply.kind === "rolled_back"
    ? [reply.fault]
    : reply.outcomes.every(({ ok }) => !ok)
    ? reply.outcomes.flatMap((outcome) => outcome.ok ? [] : [outcome.fault])
    : [];
  return faults.some(({ message }) => message.includes(FEED_TRIGGER_PREFIX));
}

const isClientsDefinition = ({ facts, own }: GatedStatement) => facts.access === "definition" && !own;

/** The column of an `ALTER TABLE [main.]t DROP [COLUMN] c`. */
function dropIn({ sql, facts }: GatedStatement): { table: string; column: string }[] {
  if (facts.verb !== "ALTER") return [];
  const tokens = tokenize(sql).filter(({ kind }) => kind !== "comment");
  const table = isOperator(tokens[3], ".") ? 4 : 2;
  const column = isWord(tokens[table + 2], "COLUMN") && tokens.length > table + 3 ? table + 3 : table + 2;
  const names = [tokens[table], tokens[column]];
  if (
    !isWord(tokens[table + 1], "DROP") || !names.every((token) => token && (isName(token) || token.kind === "string"))
  ) {
    return [];
  }
  return [{ table: names[0]!.value, column: names[1]!.value }];
}
