import { z } from "zod";
import type { ChangeListener } from "../../src/contracts/database_changes.ts";
import { type Integers } from "../../src/contracts/sql_values.ts";
import { EVENT_STREAM, type EventStream, eventStream } from "../../src/http/event_stream.ts";
import { defineRoute } from "../../src/http/route.ts";
import { changeText, positionText, since, tableNames } from "./change_json.ts";
import { integers } from "./result_json.ts";

export const listenToChanges = defineRoute({
  method: "GET",
  path: "/v1/rqlite/changes",
  summary: "Listen to the changes of tables, as server-sent events",
  description: `
Every change that is committed to one of the tables, at least once and in order, from the position of \`Last-Event-ID\` (as a
browser's \`EventSource\` sends it when it comes back) or else of \`since\` on. Each table's feed must be on:
\`POST /v1/rqlite/changes/tables\`. A feed follows its table when it is renamed.

| event | data | meaning |
|---|---|---|
| \`ready\` | \`{position}\` | Listening has begun. |
| \`insert\`, \`update\`, \`delete\` | \`{id, event, table, key, before, after}\` | A row. \`too_large\` in place of a row that a feed does not keep. |
| \`dropped\` | \`{id, event, table}\` | The table is gone, or its feed was switched off. |
| \`truncated\` | \`{id, event}\` | What lay before is not kept any more: read the tables again. What follows is newer. |
| \`failure\` | \`{code, error}\` | The last one: why the stream ends. |

The stream also ends without a word, when the gateway stops: come back with the last id. Events have a sign of life between
them every 15 seconds, with the id to come back with.`.trim(),
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  query: z.object({ tables: tableNames, since: since("now"), integers }),
  produces: EVENT_STREAM,
  output: z.string().describe("Events, see above."),
  errors: ["NOT_FOUND", "TOO_MANY_LISTENERS", "STATEMENT_TIMEOUT", "UNAVAILABLE"],
  async handle(call, services) {
    const { databaseChanges } = services;
    const { tables, since, integers } = call.query;
    const from = call.incoming.get("last-event-id")?.trim() || since;
    const listener = await databaseChanges.listen(call.principal.namespace, { tables, since: from }, call);
    const options = { position: () => listener.position };
    return eventStream(call, services, options, (stream) => tell(stream, listener, integers));
  },
});

async function tell(stream: EventStream, listener: ChangeListener, integers: Integers): Promise<void> {
  try {
    stream.send({ event: "ready", id: listener.position, data: positionText(listener.position) });
    for (;;) {
      const events = await listener.next(stream.signal);
      if (events === undefined) return;
      for (const event of events) {
        stream.send({ event: event.kind, id: event.position, data: changeText(event, integers) });
        await stream.drained();
        if (stream.signal.aborted) return;
      }
    }
  } catch (error) {
    if (!stream.signal.aborted) throw error;
  } finally {
    listener.close();
  }
}
