import type { Route } from "../src/http/route.ts";
import { authRoutes } from "./auth/index.ts";
import { cacheRoutes } from "./cache/index.ts";
import { databaseRoutes } from "./database/index.ts";
import { functionRoutes } from "./functions/index.ts";
import { namespaceRoutes } from "./namespaces/index.ts";
import { networkRoutes } from "./network/index.ts";
import { pubsubRoutes } from "./pubsub/index.ts";
import { realtimeRoutes } from "./realtime/index.ts";
import { storageRoutes } from "./storage/index.ts";
import { pinRoutes } from "./pins/index.ts";
import { proxyRoutes } from "./proxy/index.ts";
import { openApiRoute } from "./system/openapi.ts";
import { systemRoutes } from "./system/index.ts";
import { webhookRoutes } from "./webhooks/index.ts";

/** The whole API. Serving, OpenAPI and the authorisation matrix of the tests all start here. */
export const routes: readonly Route[] = [
  ...systemRoutes,
  openApiRoute(() => routes),
  ...authRoutes,
  ...namespaceRoutes,
  ...databaseRoutes,
  ...cacheRoutes,
  ...storageRoutes,
  ...pinRoutes,
  ...pubsubRoutes,
  ...realtimeRoutes,
  ...functionRoutes,
  ...proxyRoutes,
  ...webhookRoutes,
  ...networkRoutes,
];
