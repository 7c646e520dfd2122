import { z, type ZodType } from "zod";
import { ERROR_STATUS, type ErrorCode } from "../../contracts/errors.ts";
import type { Access, Route } from "../route.ts";
import type { RawBody } from "../streaming_body.ts";
import { errorCodesOf, errorExampleOf, errorSchemaOf, isLimited, meaningOf } from "./errors.ts";
import { type JsonSchema, jsonSchemaOf, type SharedSchemas } from "./json_schema.ts";

/** Parts of the document that operations share and fill. */
export interface Shared {
  readonly schemas: SharedSchemas;
  readonly responses: Record<string, unknown>;
}

/** A path as OpenAPI writes it: `/v1/namespaces/{ns}`. */
export const pathOf = ({ path }: Route): string => path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");

/** A name for a route's operation, made from its method and path alone, so that it stays when others come and go. */
export function operationIdOf({ method, path }: Route): string {
  const words = path.replace(/:(\w+)(\{[^}]*\})?/g, "by-$1").split(/[^A-Za-z0-9]+/).filter(Boolean);
  return method.toLowerCase() + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
}

/** Describes a route as an Operation Object. Schemas and responses that several have go to `shared`. */
export function operationOf(route: Route, shared: Shared): JsonSchema {
  const { access, summary, tag, limit = "default" } = route;
  const operationId = operationIdOf(route);
  const parameters = parametersOf(route, operationId, shared);
  return {
    operationId,
    tags: [tag],
    summary,
    description: [route.description, accessSentence(access)].filter(Boolean).join("\n\n"),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && { requestBody: requestBodyOf(route, route.body, operationId, shared) }),
    ...(route.rawBody && { requestBody: rawBodyOf(route.rawBody, operationId, shared) }),
    responses: { ...successOf(route, operationId, shared), ...failuresOf(route, shared) },
    security: securityOf(access),
    "x-access": access.kind,
    ...(access.kind === "namespace" && {
      "x-required-scope": access.scope,
      ...(access.role && { "x-required-role": access.role }),
    }),
    "x-rate-limit": limit,
  };
}

function accessSentence(access: Access): string {
  switch (access.kind) {
    case "public":
      return access.identify ? "Needs no credential, but minds a good one." : "Needs no credential.";
    case "authenticated":
      return "Needs a credential.";
    case "operator":
      return "Needs an operator's credential.";
    case "namespace": {
      const where = access.param ? ` of the namespace \`{${access.param}}\`` : "";
      const role = access.role ? ` of a wallet with the role \`${access.role}\` or a stronger one` : "";
      const others = access.operators ? ", or an operator's credential" : "";
      return `Needs a credential${where}${role} with the scope \`${access.scope}\`${others}.`;
    }
  }
}

/** Names of the security schemes, any one of which will do. */
const SCHEMES = ["bearer", "apiKey", "apiKeyInQuery"] as const;

function securityOf(access: Access): JsonSchema[] {
  if (access.kind === "public" && !access.identify) return [];
  const rights = access.kind === "namespace" ? [access.scope] : [];
  const headersAlone = access.kind === "public" && access.identify === "headers";
  const schemes = headersAlone ? SCHEMES.filter((scheme) => scheme !== "apiKeyInQuery") : SCHEMES;
  return [...(access.kind === "public" ? [{}] : []), ...schemes.map((scheme) => ({ [scheme]: rights }))];
}

const RANGE_PARAMETERS = ["Range", "IfRange"] as const;

function parametersOf(route: Route, id: string, { schemas }: Shared): JsonSchema[] {
  const named = new Map(
    route.params ? members(jsonSchemaOf(route.params, "input", `${id}Params`, schemas)) : [],
  );
  const inPath = [...pathOf(route).matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => {
    const { schema = { type: "string" } } = named.get(name) ?? {};
    // A path whose segment is empty is another path.
    const filled = schema["type"] === "string" ? { minLength: 1, ...schema } : schema;
    return parameter("path", name, { schema: filled, required: true });
  });
  const query = route.query ? members(jsonSchemaOf(route.query, "input", `${id}Query`, schemas)) : [];
  return [
    ...inPath,
    ...query.map(([name, member]) => parameter("query", name, member)),
    ...(route.revalidates ? [{ $ref: "#/components/parameters/IfNoneMatch" }] : []),
    ...(route.conditional ? [{ $ref: "#/components/parameters/IfMatch" }] : []),
    ...(route.conditional && !route.revalidates ? [{ $ref: "#/components/parameters/IfNoneMatchToChange" }] : []),
    ...(route.partial ? RANGE_PARAMETERS.map((name) => ({ $ref: `#/components/parameters/${name}` })) : []),
    ...(route.idempotent ? [{ $ref: "#/components/parameters/IdempotencyKey" }] : []),
  ];
}

interface SchemaMember {
  readonly schema: JsonSchema;
  readonly required: boolean;
}

function members({ properties, required = [] }: JsonSchema): [string, SchemaMember][] {
  // Anything else would leave the parameters out without a word.
  if (!properties) throw new Error("params and query must be plain objects without an id of their own");
  const names = required as readonly string[];
  return Object.entries(properties as Record<string, JsonSchema>)
    .map(([name, schema]) => [name, { schema, required: names.includes(name) }]);
}

function parameter(place: "path" | "query", name: string, { schema, required }: SchemaMember): JsonSchema {
  const { description, ...rest } = schema;
  return { name, in: place, required, ...(description !== undefined && { description }), schema: rest };
}

function requestBodyOf({ bodyOptional = false }: Route, body: ZodType, id: string, { schemas }: Shared): JsonSchema {
  const schema = jsonSchemaOf(body, "input", `${id}Body`, schemas);
  // A literal `null` counts as `{}`, so it is taken wherever every member may be absent.
  const nullable = schema["type"] === "object" && z.safeParse(body, {}).success;
  return {
    required: !bodyOptional,
    content: { "application/json": { schema: nullable ? { ...schema, type: ["object", "null"] } : schema } },
  };
}

function rawBodyOf({ types, optional }: RawBody, id: string, { schemas }: Shared): JsonSchema {
  const content = Object.entries(types).map(([type, schema]) => [type, {
    schema: jsonSchemaOf(schema, "input", `${id}Body`, schemas),
  }]);
  return { required: optional !== true, content: Object.fromEntries(content) };
}

function successOf(route: Route, id: string, { schemas }: Shared): JsonSchema {
  const { status = 200, produces = "application/json", alsoProduces = {}, output, revalidates, headers = [] } = route;
  const bodies = Object.entries({ [produces]: output, ...alsoProduces }).map(([type, schema]) => [type, {
    schema: jsonSchemaOf(schema, "output", `${id}Answer`, schemas),
  }]);
  const hasBody = status !== 101 && status !== 204 && status !== 302 && !route.bodiless;
  const success = ["ETag", ...headers];
  return {
    [status]: {
      description: hasBody ? "Done." : BODILESS[status] ?? "Done; there is nothing to say.",
      headers: headersOf(route, [
        ...(revalidates ? ["ETag"] : []),
        ...(status === 302 ? ["Location"] : []),
        ...headers,
      ]),
      ...(hasBody && { content: Object.fromEntries(bodies) }),
    },
    ...(route.partial && {
      206: {
        description: "The part that was asked for; several parts as `multipart/byteranges` (RFC 9110, 14.6).",
        headers: headersOf(route, [...success, "Content-Range"]),
        content: Object.fromEntries(bodies),
      },
    }),
    ...(revalidates && { 304: { description: "It is what the caller has.", headers: headersOf(route, ["ETag"]) } }),
  };
}

const BODILESS: Readonly<Record<number, string>> = {
  101: "The connection is a WebSocket now.",
  302: "Look there.",
};

function failuresOf(route: Route, { responses }: Shared): JsonSchema {
  const byStatus = Map.groupBy(errorCodesOf(route), (code) => ERROR_STATUS[code]);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => {
      const own = [...(isLimited(route) ? [] : ["unlimited"]), ...(route.errorForm ? [route.errorForm] : [])];
      const name = [status, ...codes, ...own].join("-");
      responses[name] ??= failureOf(route, status, codes);
      return [status, { $ref: `#/components/responses/${name}` }];
    }),
  );
}

const HEADERS_OF_STATUS: Readonly<Record<number, readonly string[]>> = {
  401: ["WWW-Authenticate"],
  403: ["WWW-Authenticate"],
  405: ["Allow"],
  426: ["Upgrade"],
  429: ["Retry-After"],
  503: ["Retry-After"],
};

/** The response for some codes of one status. */
export function failureOf(
  route: Pick<Route, "limit" | "access" | "errorForm">,
  status: number,
  codes: readonly ErrorCode[],
): JsonSchema {
  const { errorForm } = route;
  const media = { schema: errorSchemaOf(codes, errorForm), example: errorExampleOf(codes[0]!, errorForm) };
  return {
    description: meaningOf(codes),
    headers: headersOf(route, HEADERS_OF_STATUS[status] ?? []),
    content: { "application/json": media, "application/problem+json": media },
  };
}

function headersOf(route: Pick<Route, "limit" | "access">, own: readonly string[]): JsonSchema {
  const names = ["X-Request-ID", ...(isLimited(route) ? ["RateLimit", "RateLimit-Policy"] : []), ...own];
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}
