import type { FunctionRules } from "../../../src/contracts/function_rules.ts";
import type { FunctionOptions } from "../../../src/contracts/functions.ts";
import { invalid } from "./failures.ts";

/** MiB, milliseconds and tries where a deployment does not say; never more than the namespace may have. */
const DEFAULTS = { memoryLimit: 64, timeout: 30_000, retryCount: 0, retryDelay: 5_000 };
/** Tries after the first, and milliseconds before the first of them. */
const MOST_RETRIES = 10, LONGEST_RETRY_DELAY = 5 * 60_000;
/** Variables of one version, and bytes of all of them as JSON. */
const MOST_VARIABLES = 256, MOST_ENV_BYTES = 32 * 1024;
/** Bytes of a topic's name. */
const LONGEST_TOPIC = 255;

/**
 * What a version is deployed with.
 * @throws GatewayError `INVALID_REQUEST` for a value that cannot be, or is beyond what the namespace may have
 */
export function checkedOptions(given: Partial<FunctionOptions>, rules: FunctionRules): FunctionOptions {
  const {
    memoryLimit = Math.min(DEFAULTS.memoryLimit, rules.maxMemory),
    timeout = Math.min(DEFAULTS.timeout, rules.maxTimeout),
    isPublic = false,
    retryCount = DEFAULTS.retryCount,
    retryDelay = DEFAULTS.retryDelay,
    dlqTopic,
    concurrency,
    env = {},
  } = given;
  // By the names and in the units of the form that deploys.
  checkWhole("memory_limit_mb", memoryLimit, 1, rules.maxMemory, "MiB");
  checkTime("timeout_seconds", timeout, 1, rules.maxTimeout);
  checkWhole("retry_count", retryCount, 0, MOST_RETRIES, "tries");
  checkTime("retry_delay_seconds", retryDelay, 0, LONGEST_RETRY_DELAY);
  if (concurrency !== undefined) checkWhole("concurrency", concurrency, 1, rules.maxConcurrency, "calls");
  if (dlqTopic !== undefined) checkTopic(dlqTopic);
  checkEnv(env);
  return { memoryLimit, timeout, isPublic, retryCount, retryDelay, dlqTopic, concurrency, env: { ...env } };
}

function checkWhole(field: string, value: number, least: number, most: number, unit: string): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw invalid(field, `must be a whole number from ${least} to ${most} ${unit}`);
}

/** Of milliseconds. */
function checkTime(field: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw invalid(field, `must be ${least > 0 ? "more than 0 and " : ""}at most ${most / 1000} seconds`);
}

function checkTopic(topic: string): void {
  const bytes = new TextEncoder().encode(topic).length;
  if (bytes === 0 || bytes > LONGEST_TOPIC || /\p{Cc}/u.test(topic) || !topic.isWellFormed()) {
    throw invalid("dlq_topic", `must be the name of a topic: 1 to ${LONGEST_TOPIC} bytes without control characters`);
  }
}

function checkEnv(env: Readonly<Record<string, string>>): void {
  const variables = Object.entries(env);
  if (variables.length > MOST_VARIABLES) throw invalid("env_vars", `at most ${MOST_VARIABLES} variables`);
  for (const [name, value] of variables) {
    if (name === "") throw invalid("env_vars", "a variable has an empty name");
    const texts: readonly unknown[] = [name, value];
    for (const text of texts) {
      if (typeof text !== "string" || text.includes("\0") || !text.isWellFormed()) {
        throw invalid("env_vars", "names and values must be texts without U+0000 and halves of surrogate pairs");
      }
    }
  }
  if (new TextEncoder().encode(JSON.stringify(env)).length > MOST_ENV_BYTES) {
    throw invalid("env_vars", `must have at most ${MOST_ENV_BYTES} bytes as JSON; keep files in the storage`);
  }
}
