import { EgressFailure } from "../../../src/contracts/egress.ts";
import type { Target } from "../parts.ts";
import { withoutBlanks } from "./fields.ts";
import { targetOf } from "./target.ts";

/** A response, as far as it says where to go on, and the request that it answers. */
export interface Redirection {
  readonly status: number;
  /** As it was written; `undefined` where there is none. */
  readonly location: string | undefined;
  /** In upper case. */
  readonly method: string;
  readonly target: Target;
  /** Whether the request can be sent once more with all that it had: also where it has no body. */
  readonly hasReplayableBody: boolean;
}

/** The request that another is redirected to. */
export interface NextRequest {
  readonly target: Target;
  readonly method: string;
  /** Whether it is sent with the body that the first had, if it had one. */
  readonly keepsBody: boolean;
  /** Whether it goes to another server, by scheme, host or port, which must not get what was meant for the first. */
  readonly crossOrigin: boolean;
}

/** Statuses that redirect (RFC 9110, 15.4); 300 and 304 leave it to the client. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Where a response redirects to: after 301 and 302 `POST` becomes `GET`, after 303 everything but `HEAD` does, and 307 and 308 keep the
 * method and the body (RFC 9110, 15.4; Fetch standard, 4.4). Where the URL leads has still to be checked as the first's was.
 * @returns `answer as is` when the response redirects nowhere, or the body would be needed once more and is gone
 * @throws EgressFailure `EGRESS_RESPONSE_INVALID` when it redirects to what cannot be requested, and `EGRESS_TARGET_REFUSED` when it
 * redirects from https to http
 */
export function nextOf(redirection: Redirection): NextRequest | "answer as is" {
  const { status, location, method, target, hasReplayableBody } = redirection;
  const written = withoutBlanks(location ?? "");
  if (!REDIRECTS.has(status) || written === "") return "answer as is";
  const isRewritten = status === 303 || (status <= 302 && method === "POST");
  if (!isRewritten && !hasReplayableBody) return "answer as is";
  const next = redirectTarget(written, target);
  if (target.scheme === "https" && next.scheme === "http") {
    throw new EgressFailure(
      "EGRESS_TARGET_REFUSED",
      "the server redirects from https to http, where everybody on the way could read it: ask for that URL itself",
    );
  }
  return {
    target: next,
    method: isRewritten && method !== "HEAD" ? "GET" : method,
    keepsBody: !isRewritten,
    crossOrigin: isCrossOrigin(target, next),
  };
}

/** Whether two targets are of different servers (RFC 6454, 5). */
export const isCrossOrigin = (a: Target, b: Target): boolean =>
  a.scheme !== b.scheme || a.host !== b.host || a.port !== b.port;

function redirectTarget(location: string, base: Target): Target {
  try {
    return targetOf(asText(location), base);
  } catch (error) {
    if (!(error instanceof EgressFailure)) throw error;
    const sentence = `the server redirects to a URL that cannot be requested: ${error.message}`;
    throw new EgressFailure("EGRESS_RESPONSE_INVALID", sentence, error);
  }
}

/** Header fields are read byte by byte; servers that write other than ASCII into this one write UTF-8. */
function asText(location: string): string {
  if (!/[\x80-\xff]/.test(location) || /[^\0-\xff]/.test(location)) return location;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(location, (char) => char.charCodeAt(0)));
  } catch {
    return location;
  }
}
