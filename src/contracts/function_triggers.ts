import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** What begins calls of a function without anybody's asking. */
export type TriggerSource =
  /** Five or six fields (with seconds), UTC unless a time zone is named. */
  | { readonly kind: "cron"; readonly expression: string; readonly timezone?: string | undefined }
  /** Messages of a topic of the namespace. */
  | { readonly kind: "topic"; readonly topic: string }
  /** Changes of a table, whose feed must be on. No operations: all. */
  | {
    readonly kind: "database";
    readonly table: string;
    readonly operations: readonly ("insert" | "update" | "delete")[];
  }
  /** Requests to `/v1/http/{namespace}/{path}`; a path segment `:name` takes any, a last one `*` all the rest. */
  | { readonly kind: "route"; readonly method: string; readonly path: string; readonly isPublic: boolean };

/** A trigger of a function. */
export interface FunctionTrigger {
  /** `trg_…` */
  readonly id: string;
  readonly functionName: string;
  /** Which version or alias is called; `undefined` for the one that serves. */
  readonly reference: string | undefined;
  readonly source: TriggerSource;
  readonly enabled: boolean;
  readonly createdAt: number;
  readonly createdBy: string;
  /** When it fired last and how that ended, or why it cannot fire; `undefined` for one that never did. */
  readonly last: { readonly at: number; readonly error: string | undefined } | undefined;
  /** When a cron trigger fires next. */
  readonly nextAt: number | undefined;
}

/** Which function a request to a route is for. */
export interface RouteMatch {
  readonly trigger: FunctionTrigger & { readonly source: { readonly kind: "route" } };
  readonly params: Readonly<Record<string, string>>;
}

/** A table whose changes call a function, as a deployment says it. */
export interface DeclaredTable {
  readonly table: string;
  /** `insert`, `update`, `delete`, in any case, or `all`; of several with commas between them each. */
  readonly operation: string;
  /** Not supported. */
  readonly condition?: string | undefined;
}

/** The triggers that a deployment declares. What is `undefined` says nothing about triggers of that kind. */
export interface DeclaredTriggers {
  readonly cronExpressions?: readonly string[] | undefined;
  readonly dbTriggers?: readonly DeclaredTable[] | undefined;
  readonly pubsubTopics?: readonly string[] | undefined;
}

/** Triggers of functions. */
export interface FunctionTriggers {
  list(namespace: string, functionName: string, context: RequestContext): Promise<readonly FunctionTrigger[]>;
  /** @throws GatewayError `NOT_FOUND`, `INVALID_REQUEST`, `QUOTA_EXCEEDED`, `CONFLICT` for a route that there is */
  create(
    principal: Principal,
    functionName: string,
    wanted: Pick<FunctionTrigger, "reference" | "source" | "enabled">,
    context: RequestContext,
  ): Promise<FunctionTrigger>;
  /** @throws GatewayError `NOT_FOUND` */
  setEnabled(
    principal: Principal,
    functionName: string,
    id: string,
    enabled: boolean,
    context: RequestContext,
  ): Promise<FunctionTrigger>;
  /** @throws GatewayError `NOT_FOUND` */
  delete(principal: Principal, functionName: string, id: string, context: RequestContext): Promise<void>;
  /**
   * Whether what a deployment declares could be triggers: to be asked before anything is deployed. Counted before they are looked at.
   * @param maxTriggers how many the namespace may have
   * @param dlqTopic the deployment's own, which must not call the function: each dead letter would cause the next
   * @throws GatewayError `INVALID_REQUEST` that names the field, `QUOTA_EXCEEDED`
   */
  checkDeclared(declared: DeclaredTriggers, maxTriggers: number, dlqTopic: string | undefined): void;
  /**
   * Makes the triggers that a deployment declares, and removes those that an earlier one declared and this one does not, of the kinds
   * of which it says something; nothing where it says nothing of any. Those that are there stay as they are, so that the same may be
   * declared again. Triggers that somebody made are left alone.
   * @throws GatewayError `INVALID_REQUEST`, `NOT_FOUND`, `QUOTA_EXCEEDED`: nothing is changed then
   */
  replaceDeclared(
    principal: Principal,
    functionName: string,
    declared: DeclaredTriggers,
    context: RequestContext,
  ): Promise<void>;
  /** The route of a namespace that a request's method and path match best; `undefined` for none. */
  route(
    namespace: string,
    method: string,
    path: string,
    context: RequestContext,
  ): Promise<RouteMatch | undefined>;
}
