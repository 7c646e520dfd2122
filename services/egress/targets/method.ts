import { EgressFailure } from "../../../src/contracts/egress.ts";
import { TOKEN } from "./fields.ts";

/** A connection after one of these is no exchange any more, or shows the request with its secrets to whoever reads the response. */
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);

/**
 * The method of a request, in upper case: servers tell `get` from `GET` (RFC 9110, 9.1), and whoever writes it so does not mean to.
 * @throws EgressFailure `EGRESS_REQUEST_INVALID` for what is no method, and for those that no proxy may send (Fetch standard, 2.2.1)
 */
export function methodOf(method: string): string {
  const upper = method.toUpperCase();
  if (method.length > 32 || !TOKEN.test(method)) throw invalid("the method must be a word such as GET or POST");
  if (FORBIDDEN.has(upper)) {
    throw invalid(`the method ${upper} cannot be sent: use GET, HEAD, POST, PUT, PATCH or DELETE`);
  }
  return upper;
}

const invalid = (sentence: string) => new EgressFailure("EGRESS_REQUEST_INVALID", sentence);
