import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../../src/contracts/namespaces.ts";
import { fillIn, lazily, pageHeaders, pagePart } from "../../src/http/assets.ts";
import { NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { callbackField, codeChallenge } from "./login_code.ts";

const script = pagePart(
  "/v1/auth/login/page.js",
  async () => (await import("./login_page/page.js", { with: { type: "text" } })).default,
);
const style = pagePart(
  "/v1/auth/login/page.css",
  async () => (await import("./login_page/page.css", { with: { type: "text" } })).default,
);

const template = lazily(async () => ({
  html: (await import("./login_page/page.html", { with: { type: "text" } })).default,
  parts: { "page.js": await script.reference(), "page.css": await style.reference() },
}));

const NAMESPACE_RULE = "1 to 64 letters, digits, - and _, beginning with a letter or digit";

const HEADERS = { ...pageHeaders("script-src 'self'; style-src 'self'; connect-src 'self'"), ...NO_STORE };

const login = defineRoute({
  method: "GET",
  path: "/v1/auth/login",
  summary: "Sign in to a program in the browser",
  description:
    "A page that asks a wallet (EIP-1193) for a signature and then leads to `callback`. A callback on the user's own machine " +
    "(`http://localhost`, `127.0.0.1`, `[::1]`, any port) gets `api_key`, `namespace`, `wallet` and `plan` in its query. " +
    "Another one must be allowed in the configuration, brings a `code_challenge` (PKCE, RFC 7636) and gets `code` and " +
    "`state`, for `/v1/auth/login/token`. Whoever declines comes back with `error=access_denied`.",
  tag: "Sign-in",
  access: { kind: "public" },
  query: z.object({
    callback: callbackField,
    namespace: z.literal("").or(z.string().regex(NAMESPACE_PATTERN, NAMESPACE_RULE)).optional()
      .describe("Namespace to sign in to. Without it the page asks."),
    code_challenge: codeChallenge.optional(),
    code_challenge_method: z.literal("S256").optional(),
    state: z.string().max(1024).optional().describe("Comes back with the code, as it is."),
  }),
  output: z.string(),
  produces: "text/html",
  async handle(call, { walletAuth }) {
    const { callback, namespace, code_challenge: challenge, state = "" } = call.query;
    const { mode } = walletAuth.loginCallback(callback);
    if (mode === "code" && challenge === undefined) {
      throw new GatewayError("INVALID_REQUEST", "code_challenge is required for this callback", {
        details: [{
          field: "code_challenge",
          problem: "is required for a callback that is not on the user's own machine",
        }],
      });
    }
    const { html, parts } = await template();
    // The page is given what was checked here; if it read its own address, it might read another value.
    const body = fillIn(html, {
      ...parts,
      mode,
      callback,
      state,
      challenge: challenge ?? "",
      namespace: namespace || DEFAULT_NAMESPACE,
      chosen: namespace ? "yes" : "no",
      recipient: recipientOf(callback, mode),
    });
    return { status: 200, body, headers: HEADERS };
  },
});

/** Who gets something, in words that its user can judge; names in other scripts stay in their ASCII form. */
function recipientOf(callback: string, mode: "key" | "code"): string {
  const { host, origin } = new URL(callback);
  return mode === "key" ? `a program on this computer (${host})` : origin;
}

/** The login page and its parts. */
export const loginRoutes = [login, script.route, style.route];
