import type { InvocationFailure } from "../../../src/contracts/function_invocations.ts";
import type { FunctionVersion } from "../../../src/contracts/functions.ts";
import type { Invocation } from "../../../src/contracts/function_invocations.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { FunctionRules } from "../../../src/contracts/settings.ts";
import { CallRefused, type FunctionHostPool, type HostRun, type HostWork } from "../hosts/contract.ts";
import type { FunctionDirectory, InvocationLog } from "../parts.ts";
import { failureOf, refusalOf } from "./endings.ts";
import { GuestWatch, type WatchParts } from "./guest_watch.ts";
import { callerText } from "./rights.ts";

/** What a try needs. */
export interface AttemptParts extends WatchParts {
  readonly hosts: Pick<FunctionHostPool, "run">;
  readonly directory: Pick<FunctionDirectory, "prepared">;
  readonly log: InvocationLog;
}

/** What is tried. */
export interface Attempted {
  readonly version: FunctionVersion;
  readonly invocation: Invocation;
  readonly context: RequestContext;
  readonly rules: FunctionRules;
  /** From 1. */
  readonly attempt: number;
  /** Milliseconds that it may run at most, whatever the function may otherwise. */
  readonly timeLeft: number;
  /** Called before it begins: throws where it must not any more. */
  readonly admit: () => Promise<void> | void;
  /** Told of the try's watch while there is one. */
  readonly onWatch: (watch: GuestWatch | undefined) => void;
}

/** How a try ended. */
export interface AttemptEnd {
  readonly output: Uint8Array;
  readonly failure: InvocationFailure | undefined;
}

const PAGES_PER_MIB = 16, BYTES_PER_PAGE = 65_536;
const NOTHING = new Uint8Array();

/** Runs a function once, and writes down that it ran. @throws GatewayError where nothing of it ran */
export async function attempt(parts: AttemptParts, attempted: Attempted): Promise<AttemptEnd> {
  const { version, context, onWatch } = attempted;
  const work = workOf(parts, attempted);
  onWatch(work.listener);
  let run: HostRun;
  try {
    run = await parts.hosts.run(work, context.signal);
  } catch (error) {
    throw error instanceof CallRefused ? refusalOf(error) : error;
  } finally {
    work.listener.end();
    onWatch(undefined);
  }
  const failure = failureOf(run, work.task.limits, work.timeout);
  record(parts, attempted, run, failure);
  if (failure) {
    const message = `${failure.code}: ${failure.message}`;
    parts.log.line(version, context.requestId, { level: "error", message, at: parts.clock.now() });
  }
  return { output: failure || run.ended !== "outcome" ? NOTHING : run.outcome.output, failure };
}

function workOf(parts: AttemptParts, attempted: Attempted): HostWork & { readonly listener: GuestWatch } {
  const { version, invocation, context, rules, admit } = attempted;
  const { namespace, id, name, abi, entry, wasmCid, env, timeout, concurrency } = version;
  // What the namespace may now have may be less than when this version was deployed.
  const memory = Math.min(version.memoryLimit, rules.maxMemory);
  const limits = {
    pages: memory * PAGES_PER_MIB,
    output: rules.maxOutputBytes,
    log: rules.maxLogBytes,
    calls: rules.maxHostCalls,
  };
  return {
    namespace,
    functionId: id,
    // By content, so that versions and functions with one module are one to the hosts.
    moduleKey: `${wasmCid}/${abi}/${memory}/${entry}`,
    module: async (signal) => {
      const capped = memory === version.memoryLimit ? version : { ...version, memoryLimit: memory };
      return { bytes: await parts.directory.prepared(capped, signal), abi, entry };
    },
    task: {
      name,
      requestId: context.requestId,
      caller: callerText(invocation.caller, namespace),
      env,
      input: invocation.input,
      limits,
    },
    timeout: Math.min(timeout, rules.maxTimeout, attempted.timeLeft),
    // Those behind a trigger are nobody's who waits.
    depth: invocation.trigger === "function" ? invocation.depth : 0,
    concurrency: { namespace: rules.maxConcurrency, function: concurrency, waiting: rules.maxWaiting },
    admit,
    // What a function calls ends with it; of all others nobody ends what runs by leaving.
    ...(invocation.trigger === "function" && { kill: context.signal }),
    listener: new GuestWatch(parts, { version, context, depth: invocation.depth, limits }),
  };
}

function record(
  { log, clock, observe }: AttemptParts,
  { version, invocation, context: { requestId }, attempt }: Attempted,
  run: HostRun,
  failure: InvocationFailure | undefined,
): void {
  const { trigger, triggerId, caller, input } = invocation;
  const outcome = run.ended === "outcome" ? run.outcome : undefined;
  observe({
    kind: "invocation",
    trigger,
    outcome: failure?.code ?? "success",
    duration: run.ran,
    waited: run.waited,
    cold: run.coldStart,
  });
  log.invocation(version, {
    requestId,
    version: version.version,
    attempt,
    trigger,
    triggerId,
    caller: callerText(caller, version.namespace) || undefined,
    startedAt: clock.now() - run.ran,
    duration: run.ran,
    status: failure === undefined ? "success" : failure.code === "FUNCTION_TIMEOUT" ? "timeout" : "error",
    error: failure && `${failure.code}: ${failure.message}`,
    inputBytes: input.length,
    outputBytes: failure ? 0 : outcome?.output.length ?? 0,
    memoryBytes: (outcome?.pages ?? 0) * BYTES_PER_PAGE,
    hostCalls: run.calls,
    coldStart: run.coldStart,
  });
}
