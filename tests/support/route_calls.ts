import type { ZodType } from "zod";
import type { NamespaceAccess, Route } from "../../src/http/route.ts";
import { SCOPES } from "../../src/contracts/identity.ts";

/** `GET /v1/namespaces/:ns`: how a route is called in the name of a test. */
export const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

/** A path that the route takes. @param namespace what stands for a namespace in it */
export const pathOf = ({ path }: Route, namespace: string): string =>
  path
    .replace(":ns", encodeURIComponent(namespace))
    .replace(":wallet", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A")
    .replace(/:[a-z_]+(\{[^}]*\})?/g, "unknown");

/** Whether a call of this route without credentials gets past the door. */
export const isPublic = ({ access }: Route): boolean => access.kind === "public";

/** The access of a route that is for credentials of one namespace. */
export const namespaceAccess = ({ access }: Route): NamespaceAccess | undefined =>
  access.kind === "namespace" ? access : undefined;

/** Every scope but one. */
export const allScopesBut = (scope: string): string[] => SCOPES.filter((one) => one !== scope);

/** The path as OpenAPI writes it. */
export const openApiPath = ({ path }: Route): string => path.replace(/:([a-z_]+)(?:\{[^}]*\})?/g, "{$1}");

/** What the JSON of a route's body must be, where it takes JSON: as its only kind of body, or as one of several. */
export const jsonBodyOf = ({ body, rawBody }: Route): ZodType | undefined => body ?? rawBody?.types["application/json"];
