import { deepEqual, equal, rejects } from "node:assert/strict";
import { type AnonymousProxy, createClient, createProxy, OramaError } from "../../../../src/client/index.ts";

const TARGET = "http://shop.example/";

/** Calls a server that behaves as the first part of the path says. Runs on Deno and on Node. */
const proxyAt = (url: string, behaviour: string): AnonymousProxy =>
  createProxy(createClient({ url: `${url}/${behaviour}`, apiKey: "ak_test:test" }), { retry: { firstPause: 1 } });

async function failureOf(work: Promise<unknown>): Promise<OramaError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof OramaError) return error;
    throw error;
  }
  throw new Error("there was no error");
}

async function failure(work: Promise<unknown>): Promise<[code: string, status: number]> {
  const { code, status } = await failureOf(work);
  return [code, status];
}

/** A stream that tells when it is let go. @param end what comes behind some pieces; without one there is no end */
function source(end?: { readonly error: Error }) {
  let cancelled = () => {}, pieces = 0;
  const told = new Promise<void>((resolve) => cancelled = resolve);
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve));
      if (end && ++pieces > 3) return controller.error(end.error);
      controller.enqueue(new Uint8Array(10_000));
    },
    cancel: () => cancelled(),
  }, { highWaterMark: 0 });
  return { stream, cancelled: told };
}

/** A signal that fires a moment later. */
function leaving() {
  const controller = new AbortController(), reason = new Error("left");
  setTimeout(() => controller.abort(reason), 100);
  return { signal: controller.signal, reason };
}

/** What calls through the proxy must stand. The server counts its requests. */
export const PROXY_HOSTILE_SCENARIOS: Readonly<Record<string, (target: { readonly url: string }) => Promise<void>>> = {
  async "what a server answers is an answer, also where it says what a gateway would"({ url }) {
    const broken = await proxyAt(url, "target-500").fetch(TARGET);
    deepEqual([broken.status, broken.ok, await broken.text()], [500, false, "out of order"]);
    const liar = await proxyAt(url, "target-liar").fetch(TARGET, { method: "POST", body: "x" });
    deepEqual([liar.status, liar.headers.get("retry-after"), liar.requestId], [503, "0", "r-own"]);
    equal((await liar.json() as { code: string }).code, "EGRESS_PROXY_UNAVAILABLE");
    const moved = await proxyAt(url, "target-307").fetch(TARGET, { method: "POST", body: "x" });
    deepEqual([moved.status, moved.headers.get("location")], [307, "http://elsewhere.example/"]);
    deepEqual(moved.headers.getSetCookie(), ["a=1", "b=2"]);
    moved.close();
  },

  async "what the gateway refuses is its error, whatever the method"({ url }) {
    for (const method of ["GET", "POST"]) {
      const error = await failureOf(proxyAt(url, "refused").fetch(TARGET, { method }));
      deepEqual([error.code, error.status, error.requestId], ["EGRESS_ADDRESS_REFUSED", 403, "r-1"]);
    }
  },

  async "only a gateway that has sent nothing is asked again, and only for what is as good twice as once"({ url }) {
    equal((await proxyAt(url, "busy-get").fetch(TARGET)).status, 200);
    const put = { method: "PUT", body: "x" };
    equal((await proxyAt(url, "limited-put").fetch(TARGET, put)).status, 200);
    const refused = ["EGRESS_PROXY_UNAVAILABLE", 503];
    deepEqual(await failure(proxyAt(url, "busy-post").fetch(TARGET, { method: "POST" })), refused);
    const { stream, cancelled } = source();
    deepEqual(await failure(proxyAt(url, "busy-stream").fetch(TARGET, { method: "PUT", body: stream })), refused);
    await cancelled;
    deepEqual(await failure(proxyAt(url, "busy-for-ever").fetch(TARGET)), refused);
    deepEqual(await failure(proxyAt(url, "busy-before").fetch(TARGET)), ["HTTP_503", 503]);
    deepEqual(await failure(proxyAt(url, "busy-before-put").fetch(TARGET, put)), ["OUTCOME_UNKNOWN", 503]);
    deepEqual(await failure(proxyAt(url, "unreachable").fetch(TARGET)), ["EGRESS_UNREACHABLE", 502]);
  },

  async "what is cut before its answer is not sent again, and of what may have changed something nobody knows"(
    { url },
  ) {
    deepEqual(await failure(proxyAt(url, "cut-get").fetch(TARGET)), ["NETWORK_ERROR", 0]);
    for (const method of ["POST", "PUT", "DELETE", "MKCOL"]) {
      deepEqual(await failure(proxyAt(url, `cut-${method}`).fetch(TARGET, { method })), ["OUTCOME_UNKNOWN", 0]);
    }
    const later = proxyAt(url, "cut-later");
    equal(await (await later.fetch(TARGET, { method: "POST", body: "x" })).text(), "done");
    deepEqual(await failure(later.fetch(TARGET, { method: "POST", body: "x" })), ["OUTCOME_UNKNOWN", 0]);
  },

  async "what is no gateway is told from a server"({ url }) {
    deepEqual(await failure(proxyAt(url, "html").fetch(TARGET)), ["INVALID_RESPONSE", 200]);
    deepEqual(await failure(proxyAt(url, "html").fetch(TARGET, { method: "POST" })), ["OUTCOME_UNKNOWN", 200]);
    deepEqual(await failure(proxyAt(url, "other-status").fetch(TARGET)), ["INVALID_RESPONSE", 404]);
    deepEqual(await failure(proxyAt(url, "other-headers").fetch(TARGET)), ["INVALID_RESPONSE", 200]);
    deepEqual(await failure(proxyAt(url, "redirect").fetch(TARGET, { method: "POST" })), ["INVALID_RESPONSE", 307]);
  },

  async "an answer that is cut is an error, and never a part that looks whole"({ url }) {
    for (const behaviour of ["cut-body", "cut-chunk"]) {
      const answer = await proxyAt(url, behaviour).fetch(TARGET, { method: "POST" });
      equal(answer.status, 200);
      deepEqual(await failure(answer.text()), ["NETWORK_ERROR", 0], behaviour);
    }
  },

  async "a body that streams is let go of wherever the call ends"({ url }) {
    for (const [behaviour, expected] of [["full", ["EGRESS_TIMEOUT", 422]], ["cut-stream", ["OUTCOME_UNKNOWN", 0]]]) {
      const { stream, cancelled } = source();
      const sent = proxyAt(url, String(behaviour)).fetch(TARGET, { method: "POST", body: stream });
      deepEqual(await failure(sent), expected);
      await cancelled;
    }
    const early = source();
    const answer = await proxyAt(url, "early").fetch(TARGET, { method: "POST", body: early.stream });
    equal(await answer.text(), "done");
    await early.cancelled;
    const error = new Error("the disk is gone");
    const lost = await failureOf(
      proxyAt(url, "silent-source").fetch(TARGET, { method: "POST", body: source({ error }).stream }),
    );
    deepEqual([lost.code, lost.cause], ["OUTCOME_UNKNOWN", error]);
  },

  async "a signal and a deadline end it wherever it is"({ url }) {
    const get = leaving();
    await rejects(proxyAt(url, "silent").fetch(TARGET, { signal: get.signal }), get.reason);
    const post = leaving();
    const left = await failureOf(proxyAt(url, "silent").fetch(TARGET, { method: "POST", signal: post.signal }));
    deepEqual([left.code, left.cause], ["OUTCOME_UNKNOWN", post.reason]);
    deepEqual(await failure(proxyAt(url, "silent").fetch(TARGET, { requestTimeout: 100 })), ["TIMEOUT", 0]);
    const late = proxyAt(url, "silent").fetch(TARGET, { method: "PUT", requestTimeout: 100 });
    deepEqual(await failure(late), ["OUTCOME_UNKNOWN", 0]);
    const { stream, cancelled } = source();
    const sending = leaving();
    const stopped = proxyAt(url, "silent").fetch(TARGET, { method: "POST", body: stream, signal: sending.signal });
    equal((await failureOf(stopped)).cause, sending.reason);
    await cancelled;
    const reading = leaving();
    const answer = await proxyAt(url, "silent-body").fetch(TARGET, { requestTimeout: 60_000, signal: reading.signal });
    await rejects(answer.text(), reading.reason);
    const closed = await proxyAt(url, "silent-body").fetch(TARGET);
    const rest = closed.text();
    closed.close();
    await rejects(rest, { name: "AbortError" });
  },
};
