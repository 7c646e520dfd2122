import { clientSuite } from "../support/client/client_suite.ts";
import { REALTIME_SCENARIOS } from "../support/client/realtime_scenarios.ts";

clientSuite(REALTIME_SCENARIOS, "realtime");
