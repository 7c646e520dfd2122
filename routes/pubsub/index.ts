import type { Route } from "../../src/http/route.ts";
import { history } from "./history.ts";
import { publish } from "./publish.ts";
import { publishBatch } from "./publish_batch.ts";
import { topicEvents } from "./sse.ts";
import { presence, topics } from "./topics.ts";
import { topicSocket } from "./ws.ts";

/** Live messages by topic, as HTTP requests and as the connections of older clients have them. */
export const pubsubRoutes: readonly Route[] = [
  publish,
  publishBatch,
  topics,
  presence,
  history,
  topicEvents,
  topicSocket,
];
