import { sql } from "kysely";
import type { FunctionRules } from "../../../src/contracts/function_rules.ts";
import type { Deployment, FunctionAbi, FunctionOptions, FunctionVersion } from "../../../src/contracts/functions.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { ConstraintViolation, ControlDatabase, ControlQuery } from "../../control_plane/control_database.ts";
import { CallRefused } from "../hosts/contract.ts";
import type { ModuleFacts } from "../parts.ts";
import { activeNamespace, type Decision, type FunctionChanges } from "./changes.ts";
import { type ModuleContent, wasmCidOf } from "./content.ts";
import { namespaceGone, notCompiled } from "./failures.ts";
import { Intake, moduleOf, refuse } from "./intake.ts";
import { checkName } from "./names.ts";
import { checkedOptions } from "./options.ts";
import { assertRoom, MOST_NAMES, superfluous } from "./room.ts";
import { readState, type Seen } from "./state.ts";
import { insertion, removal, storedAs } from "./versions.ts";

/** What is to be known of modules, and of hosts that compile them. */
export interface ModuleTools {
  /** @throws GatewayError `MODULE_INVALID` */
  readonly readModule: (
    bytes: Uint8Array,
    limits: { readonly maxMemory: number },
    wanted: { readonly entry?: string | undefined },
  ) => ModuleFacts;
  /** A module whose memory's maximum is in place. @param pages of 64 KiB */
  readonly prepareModule: (bytes: Uint8Array, pages: number) => Uint8Array;
  /**
   * Compiles a module where modules run.
   * @param timeout milliseconds
   * @returns what is wrong with it; `undefined`: nothing
   * @throws CallRefused, the signal's reason
   */
  readonly check: (
    bytes: Uint8Array,
    abi: FunctionAbi,
    entry: string,
    timeout: number,
    signal: AbortSignal,
  ) => Promise<string | undefined>;
}

/** What deploying needs. */
export interface DeployingParts extends ModuleTools {
  readonly control: ControlDatabase;
  readonly changes: FunctionChanges;
  readonly content: ModuleContent;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => FunctionRules | Promise<FunctionRules>;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** A UUID that was never given before. */
  readonly uuid: () => string;
}

/** Pages of WebAssembly's memory in one MiB. */
export const PAGES_PER_MIB = 16;
/** Milliseconds that a module may take to be compiled. */
const COMPILING = 5_000;
/** How often content is stored because what was there already has gone meanwhile. */
const TRIES = 3;

/** A module that was read and found good, with all that is said of it. */
interface Checked extends Pick<Deployment, "name" | "admit"> {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly wasmCid: string;
  readonly facts: ModuleFacts;
  readonly options: FunctionOptions;
  readonly rules: FunctionRules;
}

/** Content that a version may name. `reused`: another version of the namespace has it. */
interface Kept {
  readonly storedCid: string;
  readonly reused: boolean;
}

/** The content that was to be named once more has been let go. */
class ContentGone extends Error {}

/** Puts versions in place: read, checked and compiled, then stored, then recorded. */
export class Deploying {
  readonly #intake = new Intake();

  constructor(private readonly parts: DeployingParts) {}

  /** As `Functions.beginDeploy`. */
  begin(namespace: string): Disposable {
    return this.#intake.begin(namespace);
  }

  /** As `Functions.deploy`. */
  async deploy(principal: Principal, deployment: Deployment, context: RequestContext): Promise<FunctionVersion> {
    const { namespace } = principal;
    let isTaken = false;
    try {
      checkName(deployment.name);
      const rules = await this.parts.rulesOf(namespace, context);
      const options = checkedOptions(deployment, rules);
      using _place = deployment.place === undefined ? this.#intake.begin(namespace) : undefined;
      const before = await readState(this.parts.control, namespace, deployment.name, context.signal);
      if (before.namespaceMade === undefined) throw namespaceGone();
      // What cannot be is said before anything is read; it is looked at again when the version is recorded.
      assertRoom(before, rules);
      isTaken = true;
      const bytes = await moduleOf(deployment.wasm, rules.maxModuleBytes);
      const checked = await this.#checked(namespace, deployment, bytes, options, rules, context.signal);
      return await this.#place(principal, checked, before.namespaceMade, context);
    } finally {
      if (!isTaken) await refuse(deployment.wasm);
    }
  }

  async #checked(
    namespace: string,
    { name, entry, admit }: Pick<Deployment, "name" | "entry" | "admit">,
    bytes: Uint8Array<ArrayBuffer>,
    options: FunctionOptions,
    rules: FunctionRules,
    signal: AbortSignal,
  ): Promise<Checked> {
    const { readModule, prepareModule } = this.parts;
    const facts = readModule(bytes, { maxMemory: options.memoryLimit }, { entry });
    const problem = await this.#intake.inLine(namespace, async () => {
      const prepared = prepareModule(bytes, options.memoryLimit * PAGES_PER_MIB);
      return await this.#compiled(prepared, facts, signal);
    }, signal);
    if (problem !== undefined) throw new GatewayError("MODULE_INVALID", `wasm: ${problem}`);
    return { name, admit, bytes, wasmCid: await wasmCidOf(bytes), facts, options, rules };
  }

  async #compiled(module: Uint8Array, { abi, entry }: ModuleFacts, signal: AbortSignal): Promise<string | undefined> {
    try {
      return await this.parts.check(module, abi, entry, COMPILING, signal);
    } catch (error) {
      throw error instanceof CallRefused ? notCompiled(error) : error;
    }
  }

  async #place(
    principal: Principal,
    checked: Checked,
    made: number,
    context: RequestContext,
  ): Promise<FunctionVersion> {
    for (let tries = 1;; tries++) {
      const kept = await this.#kept(principal.namespace, checked, tries, context);
      try {
        await checked.admit?.();
        return await this.#record(principal, checked, kept, made, context);
      } catch (error) {
        // What may have been recorded is kept: where it was not, it is found later that nothing names it.
        if (!kept.reused && !hasCode(error, "OUTCOME_UNKNOWN")) await this.parts.content.release([kept.storedCid]);
        if (!(error instanceof ContentGone) || tries === TRIES) throw error;
      }
    }
  }

  async #kept(
    namespace: string,
    { name, bytes, wasmCid }: Checked,
    tries: number,
    context: RequestContext,
  ): Promise<Kept> {
    const { control, content } = this.parts;
    const known = tries === 1 ? await storedAs(control, namespace, wasmCid, context.signal) : undefined;
    if (known !== undefined && await content.has(known, context)) return { storedCid: known, reused: true };
    return { storedCid: await content.store(bytes, `${namespace}.${name}.wasm`, context), reused: false };
  }

  async #record(
    { namespace, subject }: Principal,
    checked: Checked,
    kept: Kept,
    made: number,
    context: RequestContext,
  ): Promise<FunctionVersion> {
    const { changes, content, uuid } = this.parts;
    const { name } = checked;
    const deployment = uuid();
    const { version, gone } = await changes.make(
      { namespace, name, actor: subject },
      (seen) => {
        if (seen.namespaceMade !== made) throw namespaceGone();
        const own = seen.function?.versions.find((version) => version.deployment === deployment);
        if (own !== undefined) return { done: { version: own.shown, gone: [] } };
        return this.#change(seen, { namespace, name, by: subject, deployment }, checked, kept);
      },
      context,
    );
    await content.release(gone);
    return version;
  }

  #change(
    seen: Seen,
    { namespace, name, by, deployment }: Readonly<Record<"namespace" | "name" | "by" | "deployment", string>>,
    { wasmCid, bytes, facts, options, rules }: Checked,
    { storedCid, reused }: Kept,
  ): Decision<{ readonly version: FunctionVersion; readonly gone: readonly string[] }> {
    const { control, changes, now, uuid } = this.parts;
    assertRoom(seen, rules);
    const state = seen.function;
    const number = (state ?? seen.former)?.lastVersion ?? 0;
    const at = { namespace, name };
    const id = state?.id ?? uuid();
    const time = now();
    const { abi, entry } = facts;
    const version = {
      ...options,
      ...at,
      id,
      version: number + 1,
      wasmCid,
      size: bytes.length,
      abi,
      entry,
      createdAt: time,
      createdBy: by,
    };
    const serving = version.version;
    const old = state === undefined ? [] : superfluous(state, serving, rules);
    const first = state === undefined
      ? this.#beginning(at, id, seen, serving, rules)
      : changes.touching(at, seen, state, { serving, lastVersion: serving, unnamed: old.map(String) });
    return {
      queries: [
        first,
        // Before the removal: what goes may be what has the content.
        insertion(control, { ...version, storedCid, deployment }, reused),
        ...(old.length === 0 ? [] : [removal(control, at, old)]),
      ],
      audit: { action: "function.deployed", details: { version: serving, wasm_cid: wasmCid } },
      answer: () => ({
        version: { ...version, updatedAt: time, serving: true },
        gone: state?.versions.filter(({ shown }) => old.includes(shown.version)).map((kept) => kept.storedCid) ?? [],
      }),
      refusal: refusalOf,
    };
  }

  /** Makes a function, or has another one take the name of one that was deleted; fails on a constraint where that may not be. */
  #beginning(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    id: string,
    { namespaceMade, former }: Seen,
    serving: number,
    { maxFunctions }: FunctionRules,
  ): ControlQuery {
    const { control, now } = this.parts;
    const active = activeNamespace(namespace, namespaceMade!);
    // Without this name: whoever was faster to make it is no reason against it.
    const count = sql`SELECT count(*) FROM functions x WHERE x.namespace = ${namespace} AND x.name <> ${name}`;
    const mayBe = sql`(${count} AND x.serving IS NOT NULL) < ${maxFunctions}`;
    if (former !== undefined) {
      return sql`UPDATE functions SET namespace = ${active}, id = CASE WHEN ${mayBe} THEN ${id} END,
          last_version = ${serving}, serving = ${serving}, updated_at = ${now()},
          revision = CASE WHEN revision = ${former.revision} AND serving IS NULL THEN revision + 1 END
        WHERE namespace = ${namespace} AND name = ${name}`.compile(control.db);
    }
    return sql`INSERT INTO functions (namespace, name, id, last_version, serving, revision, updated_at)
      VALUES (${active}, ${name}, CASE WHEN ${mayBe} AND (${count}) < ${MOST_NAMES} THEN ${id} END,
        ${serving}, ${serving}, 1, ${now()})`.compile(control.db);
  }
}

/** Whether there is room for one more function is found out anew, as whatever else was another one's to change. */
const refusalOf = ({ subject }: ConstraintViolation): unknown =>
  subject === "function_versions.stored_cid" ? new ContentGone() : undefined;
