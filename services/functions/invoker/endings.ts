import { GatewayError } from "../../../src/contracts/errors.ts";
import type { InvocationFailure } from "../../../src/contracts/function_invocations.ts";
import type { CallRefused, HostRun } from "../hosts/contract.ts";
import { keptText } from "../log/text.ts";
import type { GuestLimits, GuestOutcome } from "../parts.ts";

/**
 * Why a call that ran brought no answer, for whoever wrote the function; `undefined` where it brought one.
 * @param timeout milliseconds that it had
 */
export function failureOf(run: HostRun, limits: GuestLimits, timeout: number): InvocationFailure | undefined {
  switch (run.ended) {
    case "outcome":
      return failureOfOutcome(run.outcome, limits);
    case "deadline":
      return { code: "FUNCTION_TIMEOUT", message: `the function took longer than ${timeout} ms, and was ended` };
    case "crashed":
      if (run.outOfMemory) {
        return { code: "FUNCTION_OUT_OF_MEMORY", message: "the function took more memory than its process may have" };
      }
      return { code: "OUTCOME_UNKNOWN", message: `the function's process ended in mid call${DONE}` };
    case "closed":
      return { code: "OUTCOME_UNKNOWN", message: `the call was ended before the function was done${DONE}` };
  }
}

const DONE = "; what it did until then is done";

function failureOfOutcome(outcome: GuestOutcome, limits: GuestLimits): InvocationFailure | undefined {
  const words = keptText(outcome.message);
  const { exitCode } = outcome;
  switch (outcome.end) {
    case "done":
      return undefined;
    case "exit": {
      const ended = exitCode === undefined ? "the function failed" : `the function ended with exit code ${exitCode}`;
      return { code: "FUNCTION_FAILED", message: withWords(ended, words), exitCode };
    }
    case "trap":
      return { code: "FUNCTION_TRAPPED", message: withWords("the function trapped", words) };
    case "stack":
      return { code: "FUNCTION_TRAPPED", message: withWords("the function's stack ran over", words) };
    case "link":
      return { code: "FUNCTION_TRAPPED", message: withWords("the function could not be started", words) };
    case "memory":
      return {
        code: "FUNCTION_OUT_OF_MEMORY",
        message: withWords(`the function's memory was full: it may have ${limits.pages / 16} MiB`, words),
      };
    case "output":
      return {
        code: "FUNCTION_OUTPUT_TOO_LARGE",
        message: `the function wrote more than the ${limits.output} bytes that its answer may have`,
      };
    case "calls":
      return {
        code: "FUNCTION_CALLS_EXCEEDED",
        message: `the function made more than the ${limits.calls} host calls that it may`,
      };
  }
}

const withWords = (sentence: string, words: string) => words === "" ? sentence : `${sentence}: ${words}`;

/** What whoever calls is told of a call that did not begin. */
export function refusalOf({ reason, message, retryAfter }: CallRefused): GatewayError {
  switch (reason) {
    case "busy":
      return new GatewayError("TOO_MANY_INVOCATIONS", `${message}; nothing of the call ran`, { retryAfter });
    case "forgotten":
      return functionNotFound();
    case "closed":
    case "unavailable":
    case "not_ready":
      return new GatewayError("UNAVAILABLE", `${message}; nothing of the call ran`, { retryAfter });
  }
}

/** The same sentence for a function that is not there, and for one that is none of the caller's business. */
export const functionNotFound = (): GatewayError => new GatewayError("NOT_FOUND", "function not found");
