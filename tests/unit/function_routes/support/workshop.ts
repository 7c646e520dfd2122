import { routes } from "../../../../routes/index.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { Invocation, InvocationResult } from "../../../../src/contracts/function_invocations.ts";
import type { DeclaredTriggers, RouteMatch, TriggerSource } from "../../../../src/contracts/function_triggers.ts";
import type { Deployment, FunctionVersion } from "../../../../src/contracts/functions.ts";
import { type Principal, SCOPES } from "../../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../../src/contracts/request.ts";
import type { Services } from "../../../../src/contracts/services.ts";
import type { FunctionRules } from "../../../../src/contracts/settings.ts";
import { principal } from "../../auth/support/node.ts";
import { appOf } from "../../http/support.ts";
import { RULES } from "../../realtime/support/live.ts";

/** What holds where a test says nothing else. */
export const FUNCTION_RULES: FunctionRules = {
  maxFunctions: 10,
  maxVersions: 10,
  maxModuleBytes: 1_000,
  maxMemory: 64,
  maxTimeout: 1_000,
  maxConcurrency: 10,
  maxWaiting: 10,
  maxInputBytes: 1_000,
  maxOutputBytes: 1_000,
  maxLogBytes: 1_000,
  maxHostCalls: 10,
  maxTriggers: 10,
  maxSecrets: 10,
  logRetention: 60_000,
};

/** A version as it is shown. */
export const version = (parts: Partial<FunctionVersion> = {}): FunctionVersion => ({
  id: "0b0e6f6c-0000-4000-8000-000000000000",
  namespace: "shop",
  name: "resize",
  version: 1,
  wasmCid: "bafkqaaa",
  size: 8,
  abi: "wasi",
  entry: "_start",
  memoryLimit: 64,
  timeout: 30_000,
  isPublic: false,
  retryCount: 0,
  retryDelay: 5_000,
  dlqTopic: undefined,
  concurrency: undefined,
  env: {},
  createdAt: 0,
  createdBy: "0xabc",
  updatedAt: 0,
  serving: true,
  ...parts,
});

/** How a call ended. */
export const result = (output: string | Uint8Array, parts: Partial<InvocationResult> = {}): InvocationResult => ({
  requestId: "r-1",
  version: version(),
  duration: 12.4,
  attempts: 1,
  output: typeof output === "string" ? new TextEncoder().encode(output) : output,
  failure: undefined,
  ...parts,
});

/** Deployments that have a place at once. */
export const MOST_DEPLOYS = 2;

/** A deployment, its module read. */
export type Deployed = Omit<Deployment, "wasm" | "place" | "admit"> & { readonly wasm: Uint8Array };

/** Services of functions that keep what they are given, in the request path. */
export function workshop() {
  const deployed: Deployed[] = [];
  const called: (Invocation & { readonly text: string; readonly requestId: string })[] = [];
  let answer: (invocation: Invocation) => InvocationResult | Promise<InvocationResult> = () => result("");
  let route:
    | {
      readonly source: Partial<Extract<TriggerSource, { kind: "route" }>>;
      readonly params: object;
      readonly trigger: Partial<RouteMatch["trigger"]>;
    }
    | undefined;
  const declared: unknown[] = [];
  let underWay = 0, modulesRead = 0;
  let whileDeploying = () => Promise.resolve(), whileDeclaring = () => Promise.resolve();
  const asked: string[] = [];
  const services = {
    settings: { rulesOf: () => ({ functions: FUNCTION_RULES, pubsub: RULES }) },
    functions: {
      beginDeploy(namespace: string) {
        if (underWay === MOST_DEPLOYS) throw new GatewayError("TOO_MANY_UPLOADS", `too many of ${namespace}`);
        underWay++;
        return { [Symbol.dispose]: () => void underWay-- };
      },
      get: (_: string, name: string) => Promise.resolve(version({ name })),
      module(_: string, name: string) {
        modulesRead++;
        return Promise.resolve({ version: version({ name }), bytes: Uint8Array.of(0, 0x61, 0x73, 0x6d) });
      },
      async deploy(_: Principal, { wasm, place, admit, ...rest }: Deployment) {
        if (place === undefined || underWay === 0) throw new Error("a place was taken that is not handed on");
        const pieces: Uint8Array[] = [];
        for await (const piece of wasm) pieces.push(piece.slice());
        const bytes = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
        await whileDeploying();
        await admit!();
        deployed.push({ ...rest, wasm: bytes });
        return version({ name: rest.name, size: bytes.length });
      },
    },
    invocations: {
      async invoke(invocation: Invocation, context: RequestContext) {
        const text = new TextDecoder().decode(invocation.input);
        called.push({ ...invocation, text, requestId: context.requestId });
        return await answer(invocation);
      },
    },
    functionTriggers: {
      checkDeclared({ cronExpressions = [] }: DeclaredTriggers, maxTriggers: number) {
        if (cronExpressions.length > maxTriggers) throw new GatewayError("QUOTA_EXCEEDED", "too many triggers");
      },
      async replaceDeclared(_: Principal, name: string, triggers: DeclaredTriggers) {
        await whileDeclaring();
        declared.push({ name, ...triggers });
      },
      route(namespace: string, method: string, path: string) {
        asked.push(`${namespace} ${method} ${path}`);
        if (route === undefined) return Promise.resolve(undefined);
        const source = { kind: "route", method, path, isPublic: true, ...route.source };
        const trigger = { id: "trg_1", functionName: "resize", reference: "prod", ...route.trigger, source };
        return Promise.resolve({ trigger, params: route.params } as unknown as RouteMatch);
      },
    },
  };
  const path = appOf(routes, {
    body: { maxBytes: 100_000, stallTimeout: 1_000, timeout: 2_000, maxDepth: 8 },
  });
  const app = appOf(routes, {
    body: { maxBytes: 100_000, stallTimeout: 1_000, timeout: 2_000, maxDepth: 8 },
    services: { authenticator: path.authenticator, rateLimits: path.limits, ...services } as unknown as Services,
  });
  const key = (text: string, parts: Partial<Principal>) => path.authenticator.known.set(text, principal(parts));
  key("shops", { namespace: "shop", scopes: new Set(SCOPES) });
  key("cafes", { namespace: "cafe", scopes: new Set(SCOPES) });
  key("readers", { namespace: "shop", scopes: new Set(["functions:read"] as const) });
  return {
    ...app,
    deployed,
    /** How often a module was read to be given back. */
    modulesRead: () => modulesRead,
    /** Takes a key away. */
    revokes: (text: string) => void path.authenticator.known.delete(text),
    /** Deployments that have a place. */
    underWay: () => underWay,
    /** Done in the middle of each deployment from now on, before it is asked whether it still may be. */
    duringDeploy: (work: () => Promise<void>) => void (whileDeploying = work),
    /** Done before triggers are put in place from now on. */
    beforeTriggers: (work: () => Promise<void>) => void (whileDeclaring = work),
    /** Triggers that came with deployments. */
    declared,
    called,
    asked,
    /** What calls answer from now on. */
    answers(next: string | Uint8Array | typeof answer) {
      answer = typeof next === "function" ? next : () => result(next);
    },
    /** Calls fail before they run. */
    refuses: (...args: ConstructorParameters<typeof GatewayError>) =>
      answer = () => {
        throw new GatewayError(...args);
      },
    /** There is a route for every path. */
    hasRoute: (
      source: Partial<Extract<TriggerSource, { kind: "route" }>> = {},
      params: object = {},
      trigger: Partial<RouteMatch["trigger"]> = {},
    ) => route = { source, params, trigger },
    /** There is none any more. */
    hasNoRoute: () => void (route = undefined),
  };
}

/** The headers of a caller. */
export const as = (key: string, more: Record<string, string> = {}) => ({ "x-api-key": key, ...more });
