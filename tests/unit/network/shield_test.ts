import { deepEqual, equal } from "node:assert/strict";
import { shield } from "../../../services/network/shield.ts";

/** Whether a failure that nobody caught would end the process. */
function ends(error: unknown): boolean {
  return globalThis.dispatchEvent(new ErrorEvent("error", { error, cancelable: true }));
}

function thrownBy(stack: string, name = "Error"): Error {
  const error = new Error("x");
  error.name = name;
  error.stack = stack;
  return error;
}

const OURS = "Error: x\n    at work (file:///gateway/services/pubsub/mesh/libp2p.ts:1:1)";
const LIBP2P =
  "Error: x\n    at push (file:///npm/registry.npmjs.org/@libp2p/utils/7.4.1/dist/src/abstract-message-stream.js:1:1)";

Deno.test("a failure that libp2p left uncaught ends nothing and is told; any other one goes its way", () => {
  const caught: unknown[] = [];
  const end = shield((error) => caught.push(error));
  try {
    const library = thrownBy(LIBP2P), inOneFile = thrownBy("Error: x\n    at a (main.js:1:1)", "StreamStateError");
    deepEqual([library, inOneFile, thrownBy(OURS), "text", undefined].map(ends), [false, false, true, true, true]);
    deepEqual(caught, [library, inOneFile]);
    const reason = thrownBy(LIBP2P);
    const promise = Promise.reject(reason);
    promise.catch(() => {});
    const event = new PromiseRejectionEvent("unhandledrejection", { promise, reason, cancelable: true });
    equal(globalThis.dispatchEvent(event), false);
    equal(caught.at(-1), reason);
  } finally {
    end();
  }
  equal(ends(thrownBy(LIBP2P)), true, "it is over");
});
