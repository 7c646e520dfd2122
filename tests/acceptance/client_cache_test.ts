import { CACHE_SCENARIOS } from "../support/client/cache_scenarios.ts";
import { clientSuite } from "../support/client/client_suite.ts";

clientSuite(CACHE_SCENARIOS, "cache");
