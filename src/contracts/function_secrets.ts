import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** A secret of a namespace, without its value. */
export interface SecretView {
  readonly name: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Secrets of namespaces, which their functions read and nobody else ever does. */
export interface FunctionSecrets {
  /** By name. */
  list(namespace: string, context: RequestContext): Promise<readonly SecretView[]>;
  /** Sets or replaces one; calls that begin later read it. @throws GatewayError `QUOTA_EXCEEDED`, `BODY_TOO_LARGE` */
  set(principal: Principal, name: string, value: string, context: RequestContext): Promise<SecretView>;
  /** @throws GatewayError `NOT_FOUND` */
  delete(principal: Principal, name: string, context: RequestContext): Promise<void>;
}
