import type { FieldProblem } from "../../../src/contracts/errors.ts";
import type {
  Change,
  FunctionLimitValues,
  FunctionRules,
  FunctionSettings,
  NamespaceSettings,
  OrDefault,
} from "../../../src/contracts/settings.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of functions. */
export interface FunctionDefaults {
  readonly limits: FunctionLimitValues;
  /** Milliseconds. */
  readonly log_retention: number;
  /** Bytes of memory beyond which no call can have any, whatever its namespace may. */
  readonly max_memory: number;
  /** Bytes of an answer beyond which no process sends any, whatever a namespace may. */
  readonly max_output: number;
  /** Calls beyond which no namespace can have any at once on one gateway, whatever it may. */
  readonly max_concurrency: number;
}

/** What holds for functions, in each of the forms it is asked for. */
export interface EffectiveFunctions {
  readonly settings: FunctionSettings;
  readonly limits: FunctionLimitValues;
  readonly rules: FunctionRules;
}

/** The settings of a namespace whose owner set nothing. */
export const NO_FUNCTION_SETTINGS: FunctionSettings = { log_retention: null };

/** The limits of a namespace for which no operator set anything. */
export const NO_FUNCTION_LIMITS: OrDefault<FunctionLimitValues> = {
  functions: null,
  versions: null,
  module_bytes: null,
  memory: null,
  timeout: null,
  concurrency: null,
  waiting: null,
  input_bytes: null,
  output_bytes: null,
  log_bytes: null,
  host_calls: null,
  triggers: null,
  secrets: null,
  log_retention: null,
};

const MIB = 2 ** 20;

/** Settings within limits, and defaults for what neither says. */
export function effectiveFunctions(
  own: FunctionSettings,
  ownLimits: OrDefault<FunctionLimitValues>,
  defaults: FunctionDefaults,
): EffectiveFunctions {
  const given = withDefaults(ownLimits, defaults.limits);
  const limits = {
    ...given,
    memory: Math.min(given.memory, defaults.max_memory),
    output_bytes: Math.min(given.output_bytes, defaults.max_output),
    concurrency: Math.min(given.concurrency, defaults.max_concurrency),
  };
  const log_retention = Math.min(amount(own.log_retention) ?? defaults.log_retention, limits.log_retention);
  return {
    settings: { log_retention },
    limits,
    rules: {
      maxFunctions: limits.functions,
      maxVersions: limits.versions,
      maxModuleBytes: limits.module_bytes,
      maxMemory: Math.floor(limits.memory / MIB),
      maxTimeout: limits.timeout,
      maxConcurrency: limits.concurrency,
      maxWaiting: limits.waiting,
      maxInputBytes: limits.input_bytes,
      maxOutputBytes: limits.output_bytes,
      maxLogBytes: limits.log_bytes,
      maxHostCalls: limits.host_calls,
      maxTriggers: limits.triggers,
      maxSecrets: limits.secrets,
      logRetention: log_retention,
    },
  };
}

// Another version of the gateway may have written something else.
const amount = (value: unknown) => Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : undefined;

/** What of a change lies beyond the limits. */
export const functionsBeyondLimits = (
  { log_retention }: NonNullable<Change<NamespaceSettings>["functions"]>,
  limits: FunctionLimitValues,
): FieldProblem[] =>
  (log_retention ?? 0) <= limits.log_retention ? [] : [{
    field: "functions.log_retention",
    problem: `at most ${limits.log_retention} ms, which is the limit of this namespace`,
  }];
