import { timingSafeEqual } from "node:crypto";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { LoginCodeTable } from "../control_plane/schema.ts";
import { hashKey } from "./crypto/api_key.ts";
import type { Random } from "./ids.ts";

/** What login codes need of the rest, and where they may go. */
export interface LoginCodesParts {
  readonly control: ControlDatabase;
  readonly now: () => number;
  readonly random: Random;
  /** Origins and exact URLs, beside loopback, that the login page may send a browser to. */
  readonly callbacks: readonly string[];
}

/** Milliseconds between the login page and the application's server. */
const TTL = 60_000;
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/;

/**
 * Where the login page may lead, and the one-time codes it leads with. A program on the user's own machine gets the key
 * itself, as the command line of the network needs it (RFC 8252, 7.3); a web application gets a code that is worth nothing
 * without the verifier it kept (PKCE, RFC 7636), so that an address bar, a log or a referrer never holds a key.
 */
export class LoginCodes {
  constructor(private readonly parts: LoginCodesParts) {}

  /** @throws GatewayError `INVALID_REQUEST` for a callback that is neither loopback nor allowed */
  mode(callback: string): "key" | "code" {
    const url = URL.parse(callback);
    if (!url || !["http:", "https:"].includes(url.protocol) || url.username || url.password || url.hash) {
      throw badCallback("must be an absolute http or https URL without user name or fragment");
    }
    if (url.protocol === "http:" && LOOPBACK.has(url.hostname)) return "key";
    const exact = url.href;
    const allowed = this.parts.callbacks.some((entry) => {
      const known = new URL(entry);
      const isOrigin = known.pathname === "/" && known.search === "" && !entry.endsWith("/");
      return isOrigin ? known.origin === url.origin : known.href === exact;
    });
    if (!allowed) throw badCallback("is not allowed here: add its origin to auth.login.callbacks");
    return "code";
  }

  /** @throws GatewayError `INVALID_REQUEST` when no code can be made for this callback and challenge */
  assertTakesCode(callback: string, codeChallenge: string): void {
    if (this.mode(callback) !== "code") throw badCallback("is on the user's own machine and needs no code");
    if (CHALLENGE.test(codeChallenge)) return;
    const problem = "must be the base64url of a SHA-256, 43 characters (PKCE, S256)";
    throw new GatewayError("INVALID_REQUEST", `code_challenge: ${problem}`, {
      details: [{ field: "code_challenge", problem }],
    });
  }

  /** Makes a code for a wallet that proved itself. */
  async issue(
    { namespace, wallet, callback, codeChallenge }: CodeGrant & { readonly codeChallenge: string },
    { signal }: RequestContext,
  ): Promise<string> {
    this.assertTakesCode(callback, codeChallenge);
    const { control, now, random } = this.parts;
    const code = random(32).toBase64({ alphabet: "base64url", omitPadding: true });
    await control.run(
      control.db.insertInto("login_codes").values({
        hash: hashKey(code),
        namespace,
        wallet,
        callback,
        code_challenge: codeChallenge,
        expires_at: now() + TTL,
      }),
      signal,
    );
    return code;
  }

  /** Uses a code up. @throws GatewayError `INVALID_CREDENTIAL` */
  async redeem(code: string, verifier: string, callback: string, { signal }: RequestContext): Promise<CodeGrant> {
    const { control, now } = this.parts;
    // Deleted by whoever presents it first, right or wrong: a code that leaked is worth one guess.
    const { rows: [row] } = await control.run<LoginCodeTable>(
      control.db.deleteFrom("login_codes").where("hash", "=", hashKey(code)).returningAll(),
      signal,
    );
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
    const challenge = digest.toBase64({ alphabet: "base64url", omitPadding: true });
    if (
      !row || row.expires_at <= now() || row.callback !== callback ||
      !timingSafeEqual(new TextEncoder().encode(challenge), new TextEncoder().encode(row.code_challenge))
    ) throw new GatewayError("INVALID_CREDENTIAL", "invalid or expired code");
    return { namespace: row.namespace, wallet: row.wallet, callback };
  }
}

/** What a code stands for. */
export interface CodeGrant {
  readonly namespace: string;
  /** Canonical. */
  readonly wallet: string;
  readonly callback: string;
}

const badCallback = (problem: string) =>
  new GatewayError("INVALID_REQUEST", `callback: ${problem}`, { details: [{ field: "callback", problem }] });
