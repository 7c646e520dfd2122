import { z } from "zod";
import type { LogLine } from "../../src/contracts/function_logs.ts";
import { EVENT_STREAM, type EventStream, eventStream } from "../../src/http/event_stream.ts";
import { assertOrigin } from "../../src/http/live/admission.ts";
import { LiveContext } from "../../src/http/live/context.ts";
import { defineRoute } from "../../src/http/route.ts";
import { FOUND_ERRORS } from "./errors.ts";
import { bareName, nameInPath, namespaceInQuery, namespaceOf } from "./fields.ts";
import { lineJson } from "./logs.ts";

export const functionLogStream = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/logs/stream",
  summary: "Follow what a function logs, as server-sent events",
  description:
    "Lines as they come, from all gateways: events of the type `line`, whose data are JSON objects as `/logs` has them. The id of an " +
    "event is that of its line: with it as `Last-Event-ID`, as a browser's `EventSource` sends it when it comes back, or as `since`, " +
    "the stream goes on behind it. `overflow` is the last event of a reader that was too slow, `failure` that of a stream that failed.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: nameInPath,
  query: z.object({
    namespace: namespaceInQuery,
    since: z.string().min(1).max(128).optional().describe("The id of a line behind which to begin. Default: now."),
  }),
  produces: EVENT_STREAM,
  output: z.string().describe("Events, see above."),
  errors: [...FOUND_ERRORS, "FORBIDDEN", "TOO_MANY_LISTENERS", "TOO_MANY_SOCKETS"],
  async handle(call, services) {
    const { principal, query, params } = call;
    const { functionLogs, settings, connections } = services;
    const [namespace, name] = [namespaceOf(call), bareName(params.name)];
    const { pubsub: rules } = await settings.rulesOf(namespace, call);
    assertOrigin(rules, call.incoming.get("origin") ?? undefined);
    let last = call.incoming.get("last-event-id")?.trim() || query.since;
    const place = connections.enter("events", principal, rules);
    const context = new LiveContext(call);
    const end = () => {
      context.end();
      place.release();
    };
    // A stream that nobody begins to read has no other end.
    call.signal.addEventListener("abort", end, { once: true });
    let lines: AsyncIterable<readonly LogLine[]>;
    try {
      lines = await functionLogs.follow(namespace, name, last, context);
    } catch (error) {
      end();
      throw error;
    }
    const options = { position: () => last ?? "", maxWaiting: rules.maxQueueBytes };
    return eventStream(call, services, options, tell);

    async function tell(events: EventStream): Promise<void> {
      events.signal.addEventListener("abort", end, { once: true });
      try {
        if (events.signal.aborted) return;
        for await (const some of lines) {
          for (const line of some) {
            last = line.id;
            events.send({ event: "line", id: line.id, data: JSON.stringify(lineJson(line)) });
          }
          await events.drained();
          if (events.signal.aborted) return;
        }
      } catch (error) {
        if (!events.signal.aborted) throw error;
      } finally {
        end();
      }
    }
  },
});
