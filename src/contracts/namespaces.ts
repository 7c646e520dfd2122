import type { Principal, Role } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** What a namespace may be called: it stands in keys, file names and URLs. */
export const NAMESPACE_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;

/** The namespace of those who name none. */
export const DEFAULT_NAMESPACE = "default";

/** A namespace as its members see it. Times are Unix milliseconds. */
export interface NamespaceView {
  readonly name: string;
  readonly state: "active" | "deleting";
  readonly createdAt: number;
  /** The caller's part in it, where it asked as a wallet. */
  readonly role?: Role | undefined;
}

/** A wallet's part in a namespace. */
export interface Member {
  readonly wallet: string;
  readonly role: Role;
  /** Unix milliseconds. */
  readonly addedAt: number;
  readonly addedBy: string;
}

/** Which part of a list is asked for. */
export interface PageRequest {
  /** At most so many items, from 1. */
  readonly limit: number;
  /** `next` of the page before; absent for the first page. */
  readonly cursor?: string | undefined;
}

/** A part of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Asks for what comes after; absent on the last page. Callers do not look into it. */
  readonly next?: string;
}

/**
 * Namespaces and their members. The first wallet to name a namespace owns it; later ones need an invitation.
 * Names are compared exactly; names that differ only in case cannot both exist.
 */
export interface Namespaces {
  /**
   * Lets a wallet into a namespace: as what it already is there, or as the owner of a namespace that did not exist.
   * @param wallet canonical
   * @throws GatewayError `FORBIDDEN` for a stranger, `NO_CAPACITY` when no database is free, `INVALID_REQUEST` for a bad name,
   * `CONFLICT` while it is being deleted
   */
  admit(namespace: string, wallet: string, context: RequestContext): Promise<Role>;
  /**
   * Creates a namespace that the caller owns, or, where an operator creates it, a wallet that it names.
   * @param owner a wallet in any spelling; an operator's to name, who is bound neither by `namespaces.creation` nor by how
   * many namespaces a wallet may own
   * @throws GatewayError `CONFLICT` when it exists, `FORBIDDEN` for an owner that is not the caller's to name, and as
   * {@link admit}
   */
  create(namespace: string, caller: Principal, context: RequestContext, owner?: string): Promise<NamespaceView>;
  /**
   * The namespaces of the caller's wallet, by name; of a credential without a wallet its own alone; of an operator all.
   * @throws GatewayError `INVALID_REQUEST` for a cursor that is none
   */
  list(caller: Principal, page: PageRequest, context: RequestContext): Promise<Page<NamespaceView>>;
  /** One namespace. @throws GatewayError `NOT_FOUND` */
  get(namespace: string, caller: Principal, context: RequestContext): Promise<NamespaceView>;
  /** Starts deletion: credentials die at once, data goes in the background and survives no restart. */
  delete(namespace: string, actor: Principal, context: RequestContext): Promise<void>;
  /** In the order in which they came. @throws GatewayError `INVALID_REQUEST` for a cursor that is none */
  members(namespace: string, page: PageRequest, context: RequestContext): Promise<Page<Member>>;
  /** Adds a wallet or changes its role. @throws GatewayError `CONFLICT` when the last owner would go. */
  setMember(namespace: string, wallet: string, role: Role, actor: Principal, context: RequestContext): Promise<Member>;
  /** @throws GatewayError `NOT_FOUND`, `CONFLICT` when the last owner would go. */
  removeMember(namespace: string, wallet: string, actor: Principal, context: RequestContext): Promise<void>;
}
