import { z } from "zod";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { keyGrantMembers, keyGrantOutput, proofFields, proofOf } from "./schemas.ts";

const NO_CALLBACK = "callback parameter is required";

/** Where the login page leads. What may stand in an address by RFC 3986 and nothing else: no spaces, no line ends, no fragment. */
export const callbackField = z.string({ error: NO_CALLBACK }).min(1, NO_CALLBACK).max(2048)
  .regex(
    /^https?:\/\/[A-Za-z0-9._~:/?[\]@!$&'()*+,;=%-]+$/,
    "must be an absolute URL of plain ASCII without a fragment",
  )
  .describe("Absolute URL, `http` or `https`, in plain ASCII, without user name and fragment.");

/** RFC 7636, 4.2. */
export const codeChallenge = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be the base64url of a SHA-256 (PKCE, S256)")
  .describe("Base64url of the SHA-256 of the verifier (PKCE, S256).");

/** RFC 7636, 4.1. */
const codeVerifier = z.string().regex(/^[A-Za-z0-9._~-]{43,128}$/, "must be 43 to 128 letters, digits, - . _ ~");

export const loginCode = defineRoute({
  method: "POST",
  path: "/v1/auth/login/code",
  summary: "Get a one-time code for an application's callback",
  description:
    "What the login page calls. The code is good once, for a minute, with the verifier that the application keeps.",
  tag: "Sign-in",
  access: { kind: "public" },
  limit: "credentials",
  body: z.object({
    ...proofFields,
    callback: callbackField,
    code_challenge: codeChallenge,
    code_challenge_method: z.literal("S256"),
  }),
  output: z.object({ code: z.string() }),
  errors: ["SIGNATURE_INVALID", "FORBIDDEN", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE", "NO_CAPACITY"],
  async handle(call, { walletAuth }) {
    const { callback, code_challenge } = call.body;
    const code = await walletAuth.loginCode(proofOf(call.body), { callback, codeChallenge: code_challenge }, call);
    return json(200, { code }, NO_STORE);
  },
});

export const loginToken = defineRoute({
  method: "POST",
  path: "/v1/auth/login/token",
  summary: "Exchange a login page's code for the wallet's API key",
  description: "For the application's server, or for its page. A wrong verifier uses the code up as well.",
  tag: "Sign-in",
  access: { kind: "public" },
  limit: "credentials",
  body: z.object({
    code: z.string().min(1).max(128),
    code_verifier: codeVerifier,
    callback: callbackField.describe("The same as the login page was opened with."),
  }),
  output: keyGrantOutput,
  errors: ["INVALID_CREDENTIAL", "FORBIDDEN", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE", "NO_CAPACITY"],
  async handle(call, { walletAuth }) {
    const { code, code_verifier, callback } = call.body;
    const grant = await walletAuth.redeemLoginCode(code, code_verifier, callback, call);
    return json(200, keyGrantMembers(grant, grant.namespace), NO_STORE);
  },
});
