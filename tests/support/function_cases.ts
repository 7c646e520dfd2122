import { FUNCTION_FAILURES } from "../../src/contracts/function_invocations.ts";
import type { FunctionCase } from "../fixtures/functions/index.ts";
import type { Answer } from "./client.ts";
import type { DeployFields } from "./functions.ts";

/** What a case is deployed under, which some of them are called with. */
export const caseName = ({ file }: FunctionCase): string => file.replace(/\.\w+$/, "");

/** What the form says that deploys a case, beside its name. */
export function caseFields({ settings: { memoryLimit, timeout, env } = {} }: FunctionCase): DeployFields {
  return {
    ...timeout !== undefined && { timeout_seconds: String(timeout / 1_000) },
    ...memoryLimit !== undefined && { memory_limit_mb: String(memoryLimit) },
    ...env !== undefined && { metadata: JSON.stringify({ env_vars: env }) },
  };
}

/** What a function wrote, whether it came as it is or within an object. */
export const outputOf = (answer: Answer): string =>
  answer.text.startsWith('{"request_id"') ? answer.string("output") : answer.text;

/** What is wrong with how a case was deployed or refused; nothing where it is as it says. */
export function deployProblem(answer: Answer, { refusedAtDeploy }: FunctionCase): string | undefined {
  const found = shortened(answer);
  if (refusedAtDeploy === undefined) return answer.status === 201 ? undefined : `deployed with ${found}`;
  if (answer.status !== 400 || answer.get("code") !== "MODULE_INVALID") return `to be refused, and ${found}`;
  return refusedAtDeploy.test(answer.string("error")) ? inner(answer) : `refused, but with ${found}`;
}

/** What is wrong with how a call of a case ended; nothing where it is as it says. */
export function callProblem(answer: Answer, one: FunctionCase): string | undefined {
  const { end, answer: expected, mayAnswer } = one;
  if (answer.status !== 200) return failureProblem(answer, one);
  if (end !== undefined && !mayAnswer) return `to end with ${end}, and answered ${shortened(answer)}`;
  if (expected === undefined) return undefined;
  const output = outputOf(answer);
  const fits = typeof expected === "string" ? output === expected : expected.test(output);
  return fits ? undefined : `to answer ${expected}, and answered ${JSON.stringify(output.slice(0, 300))}`;
}

function failureProblem(answer: Answer, { end, exitCode }: FunctionCase): string | undefined {
  const found = shortened(answer);
  const code = answer.get("code");
  if (!FUNCTION_FAILURES.some((known) => known === code)) return found;
  if (![end].flat().some((expected) => expected === code)) return `to end with ${end ?? "an answer"}, and ${found}`;
  const status = code === "OUTCOME_UNKNOWN" ? 409 : 422;
  if (answer.status !== status) return `${status} expected, and ${found}`;
  if (answer.get("status") !== (code === "FUNCTION_TIMEOUT" ? "timeout" : "error")) return `the wrong status: ${found}`;
  if (exitCode !== undefined && answer.get("details.exit_code") !== exitCode) return `no exit code: ${found}`;
  return inner(answer);
}

/** Words of the gateway's own inside, which are nobody's business. */
function inner(answer: Answer): string | undefined {
  return /file:\/\/|\.ts\b|\bat \w+ \(/.test(answer.string("error")) ? `it tells ${shortened(answer)}` : undefined;
}

const shortened = ({ status, text }: Answer) => `${status} ${text.slice(0, 300)}`;
