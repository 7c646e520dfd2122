import type { Client } from "../http.ts";
import type { ProxyAnswer } from "./answer.ts";
import type { ProxyInit, ProxyOptions } from "./options.ts";
import { RemoteProxy } from "./remote_proxy.ts";

/**
 * Requests to other servers that leave the gateway through an anonymous proxy (Anyone, tor): the server sees the proxy's exit, and
 * the exit alone looks up its name.
 *
 * There is `fetch` and nothing beside it for `POST /v1/proxy/anon`: that form takes text alone, and holds both bodies in memory, the
 * answer's a third larger. What it does beyond is to send a text again where a 307 or 308 says so; here that is an answer with its
 * `Location`.
 */
export interface AnonymousProxy {
  /**
   * Sends a request, and gives the answer when its head is there. Whatever status a server answers is an answer and no error; the
   * gateway follows redirects, but none that would need the body once more.
   *
   * It is sent once. Only where the gateway itself answers 429 or 503 with `Retry-After`, so that nothing was sent, it is asked again,
   * and only for `GET`, `HEAD`, `OPTIONS`, `PUT` and `DELETE` whose body is no stream. What ends without an answer is
   * `OUTCOME_UNKNOWN`, but for `GET`, `HEAD` and `OPTIONS`: the server may have got it, a part of a stream too.
   * @param url `http` or `https`, with a name as its host
   * @throws OramaError of the gateway: `EGRESS_ADDRESS_REFUSED`, `EGRESS_TARGET_REFUSED` (403), `EGRESS_BUSY` (429),
   *   `EGRESS_UNREACHABLE`, `EGRESS_TLS_FAILED` (502), `EGRESS_PROXY_UNAVAILABLE` (503), of which nothing was sent unless a redirect
   *   led there; `EGRESS_TIMEOUT`, `EGRESS_RESPONSE_INVALID`, `EGRESS_RESPONSE_TOO_LARGE`, `EGRESS_TOO_MANY_REDIRECTS` (422), which
   *   the server may have got. `NOT_SUPPORTED` for a stream where the platform's `fetch` sends none; the client's own
   * @throws TypeError for what cannot be requested, before anything is sent
   * @throws RangeError for a `requestTimeout` that no timer counts
   */
  fetch(url: string | URL, init?: ProxyInit): Promise<ProxyAnswer>;
}

/** The anonymous proxy of a client's gateway. Its credential needs the scope `egress:proxy`. */
export const createProxy = (client: Client, options: ProxyOptions = {}): AnonymousProxy =>
  new RemoteProxy(client, options);
