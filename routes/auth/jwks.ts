import { z } from "zod";
import { json } from "../../src/http/reply.ts";
import { defineRoute, type Route } from "../../src/http/route.ts";

const jwks = (path: string): Route =>
  defineRoute({
    method: "GET",
    path,
    summary: "Give the keys that verify access tokens",
    description: "A JSON Web Key Set (RFC 7517). Keys are in it before they sign and until their last token has died.",
    tag: "Sign-in",
    access: { kind: "public" },
    output: z.object({ keys: z.array(z.record(z.string(), z.string())) }),
    handle: (_call, { walletAuth }) =>
      json(200, { keys: walletAuth.publicKeys() }, { "cache-control": "public, max-age=60" }),
  });

/** The key set under both addresses by which it is known. */
export const jwksRoutes = [jwks("/v1/auth/jwks"), jwks("/.well-known/jwks.json")];
