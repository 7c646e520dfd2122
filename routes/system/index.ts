import { docsRoutes } from "./docs.ts";
import { healthRoutes } from "./health.ts";
import { metrics } from "./metrics.ts";
import { statusRoutes } from "./status.ts";
import { version } from "./version.ts";

/** What the gateway tells of itself and of its API. */
export const systemRoutes = [...healthRoutes, ...statusRoutes, version, metrics, ...docsRoutes];
