import {
  CallRefused,
  type FunctionHostPool,
  type HostRun,
  type HostWork,
} from "../../../../../services/functions/hosts/contract.ts";
import type { FunctionEvent } from "../../../../../services/functions/invoker/events.ts";
import { Invoker, type InvokerOptions } from "../../../../../services/functions/invoker/invoker.ts";
import type { CallScope, GuestOutcome, GuestReply } from "../../../../../services/functions/parts.ts";
import type { Revocation } from "../../../../../services/control_plane/revocations.ts";
import { GatewayError } from "../../../../../src/contracts/errors.ts";
import type { Invocation } from "../../../../../src/contracts/function_invocations.ts";
import type { LoggedInvocation } from "../../../../../src/contracts/function_logs.ts";
import type { FunctionVersion } from "../../../../../src/contracts/functions.ts";
import type { Principal } from "../../../../../src/contracts/identity.ts";
import type { FunctionRules } from "../../../../../src/contracts/settings.ts";
import { FakeClock } from "../../../cache/support/fake_clock.ts";
import { versionOf } from "../../log/support/logs.ts";

export const RULES: FunctionRules = {
  maxFunctions: 10,
  maxVersions: 5,
  maxModuleBytes: 2 ** 20,
  maxMemory: 64,
  maxTimeout: 60_000,
  maxConcurrency: 8,
  maxWaiting: 4,
  maxInputBytes: 1_024,
  maxOutputBytes: 1_024,
  maxLogBytes: 2_000,
  maxHostCalls: 10,
  maxTriggers: 5,
  maxSecrets: 5,
  logRetention: 3_600_000,
};

/** What a host does with a call. */
export type Guest = (work: HostWork, signal: AbortSignal) => Promise<HostRun> | HostRun;

const outcome = (end: GuestOutcome["end"], more: Partial<GuestOutcome> = {}): HostRun => ({
  ended: "outcome",
  outcome: { end, output: new Uint8Array(), message: "", pages: 2, calls: 0, ...more },
  waited: 1,
  ran: 7,
  coldStart: false,
  calls: 3,
});

/** Ends of calls. */
export const ENDS = {
  done: (text = ""): HostRun => outcome("done", { output: new TextEncoder().encode(text) }),
  exit: (exitCode = 1, message = ""): HostRun => outcome("exit", { exitCode, message }),
  of: outcome,
  deadline: { ended: "deadline", waited: 1, ran: 30_000, coldStart: false, calls: 0 } as HostRun,
  crashed: (outOfMemory = false): HostRun => ({
    ended: "crashed",
    outOfMemory,
    waited: 1,
    ran: 7,
    coldStart: true,
    calls: 0,
  }),
  closed: { ended: "closed", waited: 1, ran: 7, coldStart: false, calls: 0 } as HostRun,
};

/** A principal of a namespace. */
export const principalOf = (namespace: string, more: Partial<Principal> = {}): Principal => ({
  kind: "api_key",
  id: "key_1",
  subject: "key:key_1",
  namespace,
  scopes: new Set(["functions:invoke"]),
  operator: false,
  asOf: 0,
  describe: {},
  ...more,
});

/** An invoker whose hosts do as a test says, and all that it told others. */
export class World {
  readonly clock = new FakeClock();
  readonly works: HostWork[] = [];
  readonly lines: { readonly of: string; readonly message: string; readonly level: string }[] = [];
  readonly invocations: (Omit<LoggedInvocation, "id"> & { readonly of: string })[] = [];
  readonly events: FunctionEvent[] = [];
  readonly errors: unknown[] = [];
  readonly published: {
    readonly namespace: string;
    readonly topic: string;
    readonly letter: Record<string, unknown>;
  }[] = [];
  readonly forgotten: string[] = [];
  readonly performed: { readonly call: unknown; readonly scope: CallScope }[] = [];
  readonly functions = new Map<string, FunctionVersion>();
  readonly revoked = new Map<string, Revocation>();
  readonly picks: number[] = [];
  /** What hosts do. */
  guest: Guest = () => ENDS.done("ok");
  perform: (call: unknown, scope: CallScope) => Promise<GuestReply> = () => Promise.resolve({ value: 1 });
  /** Called before what is published counts; may throw. */
  onPublish: () => void = () => {};
  /** Called at each look for a function; may throw. */
  onResolve: () => void | Promise<void> = () => {};
  rules: Partial<FunctionRules> = {};
  chance = 0.5;
  readonly #listeners: ((revocation: Revocation) => void)[] = [];
  readonly invoker: Invoker;

  constructor(options: Partial<InvokerOptions> = {}) {
    this.invoker = new Invoker({
      directory: {
        resolve: (namespace, name, reference, pick) => {
          this.picks.push(pick());
          const found = () => {
            const version = this.functions.get(`${namespace}/${name}`);
            if (!version) throw new GatewayError("NOT_FOUND", "function not found");
            if (reference === undefined || reference === String(version.version)) return version;
            throw new GatewayError("NOT_FOUND", "function version not found");
          };
          const waiting = this.onResolve();
          return waiting ? waiting.then(found) : found();
        },
        prepared: ({ memoryLimit }) => new Uint8Array(memoryLimit),
      },
      hosts: {
        run: async (work, signal) => {
          this.works.push(work);
          signal.throwIfAborted();
          await work.admit?.(signal);
          return await this.guest(work, signal);
        },
        forget: (namespace) => {
          this.forgotten.push(namespace);
          return Promise.resolve();
        },
        figures: () => ({
          running: 1,
          waiting: 2,
          hosts: { busy: 0, idle: 0, spare: 0 },
          ended: {},
          confinement: {},
        }),
      } satisfies Pick<FunctionHostPool, "run" | "forget" | "figures">,
      calls: {
        perform: (call, scope) => {
          this.performed.push({ call, scope });
          return this.perform(call, scope);
        },
      },
      log: {
        line: ({ id }, _requestId, { level, message }) => void this.lines.push({ of: id, level, message }),
        invocation: ({ id }, invocation) => void this.invocations.push({ of: id, ...invocation }),
      },
      rulesOf: () => ({ ...RULES, ...this.rules }),
      pubsub: {
        publish: (namespace, topic, [message]) => {
          this.onPublish();
          const letter = JSON.parse(new TextDecoder().decode(message!.data));
          this.published.push({ namespace, topic, letter });
          return { position: undefined, repeated: false };
        },
      },
      revocations: {
        find: (kind, id) => kind === "namespace" ? this.revoked.get(id) : undefined,
        onRevoked: (listener) => void this.#listeners.push(listener),
      },
      clock: this.clock,
      random: () => this.chance,
      observe: (event) => this.events.push(event),
      onError: (_requestId, error) => this.errors.push(error),
      ...options,
    });
  }

  /** Puts a function in place. */
  deploy(namespace: string, name: string, more: Partial<FunctionVersion> = {}): FunctionVersion {
    const version = versionOf(namespace, name, more);
    this.functions.set(`${namespace}/${name}`, version);
    return version;
  }

  /** Calls one, as a program of its namespace would. */
  invoke(namespace: string, name: string, more: Partial<Invocation> = {}, signal = new AbortController().signal) {
    return this.invoker.invoke({
      namespace,
      name,
      input: new TextEncoder().encode("in"),
      trigger: "http",
      caller: principalOf(namespace),
      depth: 0,
      ...more,
    }, { requestId: "r1", clientAddress: "192.0.2.1", traceparent: "00-1", signal });
  }

  /** A namespace is deleted, and this gateway hears of it. */
  revoke(namespace: string, seq = 1): void {
    const revocation: Revocation = { seq, kind: "namespace", id: namespace, at: 0, expires_at: Infinity };
    this.revoked.set(namespace, revocation);
    for (const listener of this.#listeners) listener(revocation);
  }
}

/** What a call answered. */
export const textOf = ({ output }: { readonly output: Uint8Array }): string => new TextDecoder().decode(output);

/** Nothing of the call ran. */
export const refused = (reason: CallRefused["reason"]): CallRefused => new CallRefused(reason, 3, "there is no place");
