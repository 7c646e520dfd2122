import type { Migration } from "../migrate.ts";
import { identity } from "./0001_identity.ts";
import { settings } from "./0002_settings.ts";
import { storage } from "./0003_storage.ts";
import { pinRequests } from "./0004_pin_requests.ts";
import { gatewayEpochs } from "./0005_gateway_epochs.ts";
import { functions } from "./0006_functions.ts";
import { functionLog } from "./0007_function_log.ts";
import { functionTriggers } from "./0008_function_triggers.ts";
import { webhooks } from "./0009_webhooks.ts";

/** All migrations, oldest first. One that was released is never changed: what comes later is a new file. */
export const migrations: readonly Migration[] = [
  identity,
  settings,
  storage,
  pinRequests,
  gatewayEpochs,
  functions,
  functionLog,
  functionTriggers,
  webhooks,
];
