import type { z, ZodType } from "zod";
import type { ErrorCode } from "../contracts/errors.ts";
import type { Role, Scope } from "../contracts/identity.ts";
import type { Services } from "../contracts/services.ts";
import type { Call } from "./call.ts";
import type { Reply } from "./reply.ts";
import type { RawBody } from "./streaming_body.ts";

/** Who may call a route. Declared on the route and nowhere else; the authorisation matrix of the tests walks it. */
export type Access =
  /**
   * Anyone. With `identify` a good credential is still recognised, and a bad one ignored; `headers`: in headers alone, because
   * what stands in the address means something else there.
   */
  | { readonly kind: "public"; readonly identify?: true | "headers" }
  /** Anyone with a valid credential, operators included. */
  | { readonly kind: "authenticated" }
  | NamespaceAccess
  /** A credential made by `keys create --operator`. */
  | { readonly kind: "operator" };

/** Someone with a right in one namespace, which is always the credential's own. */
export interface NamespaceAccess {
  readonly kind: "namespace";
  readonly scope: Scope;
  /** Path parameter that names a namespace: a name other than the credential's is 403 `NAMESPACE_MISMATCH`. */
  readonly param?: string;
  /** Weakest role that may call; a credential without a role (a named key) may not. Default: any credential with the scope. */
  readonly role?: Role;
  /** Whether operators may call as well, for whichever namespace {@link param} names. */
  readonly operators?: true;
}

/** The HTTP methods that a route can have. `HEAD` comes with `GET`, `OPTIONS` is answered before any route. */
export const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
/** One of {@link METHODS}. */
export type Method = typeof METHODS[number];

/**
 * Forms of a refusal. `pinning`: `error` is `{reason, details}`, as the IPFS Pinning Service API has it, and not a sentence.
 * `invocation`: `status` is `error` or `timeout`, and not a number, and `duration_ms` says how long it took, as answers of
 * functions have it. `proxied`: beside what every refusal has stands a response that there is not (`status_code` 0, `headers`
 * `null`, `body` empty). The members that every refusal has stand beside them.
 */
export type ErrorForm = "pinning" | "invocation" | "proxied";

/** One operation of the API. Serving, OpenAPI, the client and the tests all read this one value. */
export interface Route<
  Body extends ZodType = ZodType,
  Query extends ZodType = ZodType,
  Params extends ZodType = ZodType,
> {
  readonly method: Method;
  /** Hono's notation: `/v1/namespaces/:ns`. */
  readonly path: string;
  /** One line, in the imperative. */
  readonly summary: string;
  /** The sentence of 400 for an address that ends before its last parameter, `/v1/thing/`. Default: there is no such path. */
  readonly missingParam?: string;
  /** What a caller should know beyond the summary, in Markdown. */
  readonly description?: string;
  /** The heading it stands under in the reference. */
  readonly tag: string;
  readonly access: Access;
  /** Which rate limit counts a call: per credential or address (default), the strict one of credential endpoints, or none. */
  readonly limit?: "credentials" | "none";
  /** Whether successes are left out of the access log: for what is asked every second. */
  readonly quiet?: true;
  readonly params?: Params;
  readonly query?: Query;
  /** The JSON body, if the operation takes one. */
  readonly body?: Body;
  /** Whether the body may be missing; the schema is then given `{}`. */
  readonly bodyOptional?: boolean;
  /** In place of `body`: one that the handler reads as it comes, by `call.upload`. */
  readonly rawBody?: RawBody;
  /** The shape of the body in one line; begins the error sentence when the body does not fit, as older clients know it. */
  readonly bodyHint?: string;
  /** The JSON of a success. A route that answers something else says so in `produces`. */
  readonly output: ZodType;
  /** Media type of a success. Default `application/json`. */
  readonly produces?: string;
  /** Further media types of a success, for those who ask for them, each with what then stands in it. */
  readonly alsoProduces?: Readonly<Record<string, ZodType>>;
  /** Status of a success. Default 200; 101 of a route that {@link upgrades}. */
  readonly status?: 101 | 200 | 201 | 202 | 204 | 302;
  /** Whether a success is a WebSocket: what asks for no upgrade is refused before the handler. */
  readonly upgrades?: true;
  /** Whether a success has no body, whatever its status; 204 and 302 never have one. */
  readonly bodiless?: true;
  /** Whether the handler takes an `Idempotency-Key`: the reference then tells of it and of its errors. */
  readonly idempotent?: true;
  /** Headers that a success has beside the common ones; `src/http/openapi.ts` describes each. */
  readonly headers?: readonly string[];
  /** Headers of every answer, refusals included; names in lower case. */
  readonly alwaysHeaders?: Readonly<Record<string, string>>;
  /** What `OPTIONS` tells on this path beyond CORS. */
  readonly options?: (services: Services) => Readonly<Record<string, string>>;
  /** Whether a success carries an `ETag` and `If-None-Match` is answered with 304. */
  readonly revalidates?: true;
  /** Whether `If-Match` and `If-None-Match` are minded (RFC 9110, 13.1). */
  readonly conditional?: true;
  /** Whether `Range` is minded, and part of a success is 206. */
  readonly partial?: true;
  /** In which form refusals are told, where it is not the one that all others have. */
  readonly errorForm?: ErrorForm;
  /** Codes this operation can answer beyond those that its access, limit and schemas imply. */
  readonly errors?: readonly ErrorCode[];
  handle(call: Call<z.infer<Body>, z.infer<Query>, z.infer<Params>>, services: Services): Promise<Reply> | Reply;
}

/** Carries the schemas' types into the handler; does nothing at run time. */
export const defineRoute = <Body extends ZodType, Query extends ZodType, Params extends ZodType>(
  route: Route<Body, Query, Params>,
): Route => route as unknown as Route;
