import { checkRedirect, errorOf, textOf } from "../answers.ts";
import { Deadline, LONGEST } from "../deadline.ts";
import { invalidResponse, OramaError } from "../errors.ts";
import type { Client, ClientRequest } from "../http.ts";
import { afterSending } from "../outcome.ts";
import { pause } from "../pause.ts";
import { DEFAULT_RETRY, pauseAfter, type RetryPolicy } from "../retry.ts";
import { sendingTime, StreamedBody } from "../streamed_body.ts";
import { answerOf, type ProxyAnswer } from "./answer.ts";
import type { ProxyInit, ProxyOptions } from "./options.ts";
import type { AnonymousProxy } from "./proxy.ts";
import { type ProxyRequest, requestOf } from "./request.ts";

const PATH = "/v1/proxy/anon/stream";

/** The anonymous proxy behind a gateway. Its calls are its own, since the client takes any refusal for the gateway's. */
export class RemoteProxy implements AnonymousProxy {
  readonly #client: Client;
  readonly #options: ProxyOptions;
  readonly #retry: RetryPolicy;

  constructor(client: Client, options: ProxyOptions) {
    this.#client = client;
    this.#options = options;
    this.#retry = { ...DEFAULT_RETRY, ...options.retry };
  }

  async fetch(url: string | URL, init: ProxyInit = {}): Promise<ProxyAnswer> {
    const request = await requestOf(url, init);
    const deadline = new Deadline(this.#timeout(request, init.requestTimeout), init.signal);
    try {
      const answer = await this.#repeat(request, deadline, init.requestTimeout === undefined);
      deadline.stopClock();
      return answer;
    } catch (error) {
      deadline.abort();
      if (request.body instanceof StreamedBody) request.body.release(deadline.signal.reason);
      throw error;
    }
  }

  #timeout({ body }: ProxyRequest, given: number | undefined): number {
    const usual = this.#options.requestTimeout ?? 60_000;
    return given ?? (body instanceof Blob ? Math.min(usual + sendingTime(body.size), LONGEST) : usual);
  }

  async #repeat(request: ProxyRequest, deadline: Deadline, isUsual: boolean): Promise<ProxyAnswer> {
    const { random = Math.random } = this.#options;
    for (let failures = 1;; failures++) {
      try {
        return await this.#once(request, deadline, isUsual);
      } catch (error) {
        if (!request.repeatable || !saysNothingWasSent(error) || deadline.signal.aborted) throw error;
        const milliseconds = pauseAfter(error, failures, this.#retry, random());
        if (milliseconds === undefined || milliseconds >= deadline.left) throw error;
        await pause(milliseconds, deadline.signal);
      }
    }
  }

  async #once(request: ProxyRequest, deadline: Deadline, isUsual: boolean): Promise<ProxyAnswer> {
    const { method, headers, body, effect } = request;
    const credential = await deadline.within(this.#client.credential());
    deadline.signal.throwIfAborted();
    // In place of the platform's own message, which would quote it.
    if (credential !== undefined && !/^[\x21-\x7e]+$/.test(credential)) {
      throw new TypeError("token must be text of visible ASCII characters");
    }
    const { fetch: call = fetch } = this.#options;
    const sending = body instanceof StreamedBody ? body : undefined;
    const taken = (whole = 0) => deadline.restart(isUsual ? sendingTime(whole) : 0);
    try {
      const response = await call(this.#client.url + PATH, {
        method: "POST",
        headers: { ...headers, ...(credential !== undefined && { authorization: `Bearer ${credential}` }) },
        redirect: "manual",
        signal: deadline.signal,
        // Without `duplex`, no platform sends what streams.
        ...(body instanceof StreamedBody ? { body: body.stream(taken), ...{ duplex: "half" } } : { body }),
      });
      await check(response);
      return answerOf({ method, response, deadline, sending });
    } catch (cause) {
      if (cause instanceof OramaError && cause !== deadline.signal.reason && isElsewhere(cause)) throw cause;
      const failure = sending?.failure;
      if (failure && effect === "read") throw failure.error;
      throw afterSending(asked(effect), deadline.signal, failure ? failure.error : cause);
    }
  }
}

/**
 * Without its body: a server gets a stream as it comes, so that also of one that ended early nobody knows what it did, unlike with
 * what a gateway stores.
 */
const asked = (effect: ProxyRequest["effect"]): ClientRequest => ({ method: "POST", path: PATH, effect });

/** An address that sends its callers elsewhere has taken nothing. */
const isElsewhere = ({ code, status }: OramaError): boolean =>
  code === "INVALID_RESPONSE" && status >= 300 && status <= 399;

/** Refuses what is no server's answer that the gateway passes on. @throws OramaError */
async function check(response: Response): Promise<void> {
  const { status, type, headers, ok } = response;
  if (type === "opaqueredirect") {
    throw invalidResponse(
      "it redirects, and browsers do not tell a page where to: either url is not where the gateway is, or the server wants the body " +
        "at another address",
    );
  }
  const told = headers.get("x-target-status");
  if (told === null) {
    await checkRedirect(response);
    if (!ok) throw errorOf(response, await textOf(response));
    throw invalidResponse("it is no server's: the gateway may be older than this feature", { status });
  }
  // Servers and clients disagree how an answer with 205 ends, so the gateway passes it on as 204.
  if (told !== String(status) && !(told === "205" && status === 204)) {
    throw invalidResponse("its X-Target-Status is another", { status });
  }
}

/**
 * Whether it is the gateway itself that could not send. What stands before it may say the same after the gateway has, and what may
 * come of a write without an answer carries a status too.
 */
const saysNothingWasSent = (error: unknown): error is OramaError =>
  error instanceof OramaError && (error.status === 429 || error.status === 503) && error.retryAfter !== undefined &&
  !error.code.startsWith("HTTP_") && error.code !== "OUTCOME_UNKNOWN";
