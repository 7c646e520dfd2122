import type { Principal, Scope } from "../../../src/contracts/identity.ts";
import type { PubSubCaller } from "../../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { CallScope } from "../parts.ts";

/** What a function may do in its namespace through host calls. */
const SCOPES: ReadonlySet<Scope> = new Set<Scope>(["storage:read", "storage:write", "pubsub:publish"]);

/** How a function is named where somebody is said to have done something: no key and no wallet has such a name. */
const nameOf = ({ functionName }: CallScope): string => `function:${functionName}`;

/** The namespace of a function as a caller of services. Nothing of whoever called the function is in it. */
export const principalOf = (scope: CallScope): Principal => ({
  kind: "api_key",
  id: nameOf(scope),
  subject: nameOf(scope),
  namespace: scope.namespace,
  scopes: SCOPES,
  operator: false,
  asOf: 0,
  describe: {},
});

/** What services get of the call: its id and its end, and no address, since nobody called from one. */
export const contextOf = (scope: CallScope): RequestContext & PubSubCaller => ({
  requestId: scope.requestId,
  signal: scope.signal,
  traceparent: scope.traceparent,
  clientAddress: "",
  caller: nameOf(scope),
});
