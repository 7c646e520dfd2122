import type { Route } from "../../src/http/route.ts";
import { deleteAlias, getAlias, listAliases, setAlias } from "./aliases.ts";
import { deployFunction } from "./deploy.ts";
import { deleteFunction, getFunction, listFunctions } from "./functions.ts";
import { httpRoutes } from "./http.ts";
import { invokeFunction, invokeFunctionOf } from "./invoke.ts";
import { functionLogStream } from "./log_stream.ts";
import { functionInvocations, functionLogs } from "./logs.ts";
import { deleteSecret, listSecrets, setSecret } from "./secrets.ts";
import { changeTrigger, createTrigger, deleteTrigger, getTrigger, listTriggers } from "./triggers.ts";
import { getModule, listVersions, rollBackFunction } from "./versions.ts";
import { functionSocket } from "./ws.ts";

/** Functions of namespaces: deployed, called, looked at. */
export const functionRoutes: readonly Route[] = [
  deployFunction,
  listFunctions,
  listSecrets,
  setSecret,
  deleteSecret,
  getFunction,
  deleteFunction,
  invokeFunction,
  invokeFunctionOf,
  functionSocket,
  listVersions,
  rollBackFunction,
  getModule,
  listAliases,
  getAlias,
  setAlias,
  deleteAlias,
  listTriggers,
  createTrigger,
  getTrigger,
  changeTrigger,
  deleteTrigger,
  functionLogs,
  functionLogStream,
  functionInvocations,
  ...httpRoutes,
];
