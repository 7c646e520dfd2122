import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { credentialsOf } from "../../src/http/credentials.ts";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { tokenMembers, tokenOutput } from "./schemas.ts";

export const token = defineRoute({
  method: "POST",
  path: "/v1/auth/token",
  summary: "Exchange an API key for an access token",
  description: "The token ends with the key when that is revoked, and names the key by its id.",
  tag: "Sign-in",
  access: { kind: "authenticated" },
  limit: "credentials",
  output: z.object(tokenOutput),
  errors: ["FORBIDDEN", "UNAVAILABLE"],
  async handle(call, { walletAuth, authenticator }) {
    const { key } = credentialsOf(call.incoming, call.http.req.raw.url);
    const missing = { headers: { "www-authenticate": 'Bearer realm="gateway", charset="UTF-8"' } };
    if (key === undefined) throw new GatewayError("UNAUTHENTICATED", "missing API key", missing);
    // A token that came beside the key won the authentication, but the key is what is asked for.
    const holder = await authenticator.identifyKey(key);
    if (!holder) throw new GatewayError("INVALID_CREDENTIAL", "invalid API key", missing);
    const grant = await walletAuth.tokenForKey(holder);
    return json(200, tokenMembers(grant, grant.namespace), NO_STORE);
  },
});
