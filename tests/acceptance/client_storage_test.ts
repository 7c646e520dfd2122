import { clientSuite } from "../support/client/client_suite.ts";
import { STORAGE_SCENARIOS } from "../support/client/storage_scenarios.ts";

clientSuite(STORAGE_SCENARIOS, "storage");
