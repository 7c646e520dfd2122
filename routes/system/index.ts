import { docsRoutes } from "./docs.ts";
import { healthRoutes } from "./health.ts";
import { metrics } from "./metrics.ts";
import { statusRoutes } from "./status.ts";
import { version } from "./version.ts";

export const systemRoutes = [...healthRoutes, ...statusRoutes, version, metrics, ...docsRoutes];
