import { clientSuite } from "../support/client/client_suite.ts";
import { OPTION_SCENARIOS } from "../support/client/option_scenarios.ts";

clientSuite(OPTION_SCENARIOS, "options");
