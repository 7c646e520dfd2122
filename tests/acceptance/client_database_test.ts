import { clientSuite } from "../support/client/client_suite.ts";
import { KYSELY_SCENARIOS } from "../support/client/kysely_scenarios.ts";
import { SCENARIOS } from "../support/client/scenarios.ts";

clientSuite({ ...SCENARIOS, ...KYSELY_SCENARIOS }, "database");
