/** What holds for functions of a namespace. */
export interface FunctionRules {
  readonly maxFunctions: number;
  /** Versions kept of one function; the oldest that neither serves nor is named by an alias or a trigger goes. */
  readonly maxVersions: number;
  /** Bytes of one module. */
  readonly maxModuleBytes: number;
  /** MiB that the memory of a call may have. */
  readonly maxMemory: number;
  /** Milliseconds that a call may take. */
  readonly maxTimeout: number;
  /** Calls that run at once, on each gateway. */
  readonly maxConcurrency: number;
  /** Calls that wait for their turn, on each gateway. */
  readonly maxWaiting: number;
  readonly maxInputBytes: number;
  readonly maxOutputBytes: number;
  /** Bytes of lines that a call may log. */
  readonly maxLogBytes: number;
  /** Host calls of one call. */
  readonly maxHostCalls: number;
  readonly maxTriggers: number;
  readonly maxSecrets: number;
  /** Milliseconds for which lines and calls are remembered. */
  readonly logRetention: number;
}

/** The owner's settings for functions. `null`: the gateway's default. */
export interface FunctionSettings {
  /** Milliseconds for which lines and calls are remembered. */
  readonly log_retention: number | null;
}

/** What each limit for functions may be at most; see {@link FunctionRules} for what they mean. */
export interface FunctionLimitValues {
  readonly functions: number;
  readonly versions: number;
  readonly module_bytes: number;
  /** Bytes. */
  readonly memory: number;
  /** Milliseconds. */
  readonly timeout: number;
  readonly concurrency: number;
  readonly waiting: number;
  readonly input_bytes: number;
  readonly output_bytes: number;
  readonly log_bytes: number;
  readonly host_calls: number;
  readonly triggers: number;
  readonly secrets: number;
  /** Milliseconds. The most that {@link FunctionSettings.log_retention} may be. */
  readonly log_retention: number;
}
