import { GatewayError } from "../../../src/contracts/errors.ts";
import type { DeclaredTriggers, FunctionTrigger } from "../../../src/contracts/function_triggers.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { Clock } from "../../clock/clock.ts";
import { ConstraintViolation, type ControlQuery } from "../../control_plane/control_database.ts";
import type { CronTimes } from "./cron_times.ts";
import { declaresAny, readDeclared } from "./declared.ts";
import { gone, notFound, routeTaken, tooMany } from "./failures.ts";
import type { LastNotes } from "./notes.ts";
import { type NewTrigger, type Owner, triggerOf, type TriggerRow, type TriggerRows } from "./rows.ts";
import type { TriggersOptions } from "./service.ts";
import { checkedSource, refuseOwnDeadLetters } from "./sources.ts";

/** What changing triggers needs. */
export interface TriggerEditorParts
  extends Pick<TriggersOptions, "control" | "revocations" | "audit" | "directory" | "rulesOf" | "random"> {
  readonly rows: TriggerRows;
  readonly times: CronTimes;
  readonly notes: LastNotes;
  readonly clock: Clock;
}

/** Makes, shows and changes triggers, each change in one transaction with its audit entry and its revocation. */
export class TriggerEditor {
  constructor(private readonly parts: TriggerEditorParts) {}

  /** As `FunctionTriggers.list`. */
  async list(namespace: string, functionName: string, context: RequestContext): Promise<readonly FunctionTrigger[]> {
    const rows = await this.parts.rows.of(await this.#owner(namespace, functionName, context), context.signal);
    return rows.map((row) => this.#seen(row));
  }

  /** As `FunctionTriggers.create`. */
  async create(
    principal: Principal,
    functionName: string,
    { reference, source, enabled }: Pick<FunctionTrigger, "reference" | "source" | "enabled">,
    context: RequestContext,
  ): Promise<FunctionTrigger> {
    const { namespace } = principal;
    const checked = checkedSource(source, this.parts.times, this.parts.clock.now());
    const owner = await this.#owner(namespace, functionName, context, reference);
    const trigger = this.#newTrigger(principal, { ...checked, reference, enabled, isDeclared: false });
    const [row] = await this.#change(owner, principal, context, {
      queries: [this.parts.rows.insertion(owner, trigger, (await this.parts.rulesOf(namespace, context)).maxTriggers)],
      action: "trigger.created",
      resource: trigger.id,
      details: { function: functionName, kind: source.kind },
    });
    return this.#seen(row!);
  }

  /** As `FunctionTriggers.setEnabled`. */
  async setEnabled(
    principal: Principal,
    functionName: string,
    id: string,
    enabled: boolean,
    context: RequestContext,
  ): Promise<FunctionTrigger> {
    const owner = await this.#owner(principal.namespace, functionName, context);
    const found = await this.#find(owner, id, context);
    const { source } = this.#seen(found);
    const [row] = await this.#change(owner, principal, context, {
      queries: [this.parts.rows.switching(owner, id, enabled, enabled ? this.#nextOf(source) : undefined)],
      action: enabled ? "trigger.enabled" : "trigger.disabled",
      resource: id,
      details: { function: functionName },
    });
    if (row === undefined) throw notFound(id);
    return this.#seen(row);
  }

  /** As `FunctionTriggers.delete`. */
  async delete(principal: Principal, functionName: string, id: string, context: RequestContext): Promise<void> {
    const owner = await this.#owner(principal.namespace, functionName, context);
    await this.#find(owner, id, context);
    const [row] = await this.#change(owner, principal, context, {
      queries: [this.parts.rows.deletion(owner, id)],
      action: "trigger.deleted",
      resource: id,
      details: { function: functionName },
    });
    if (row === undefined) throw notFound(id);
  }

  /** As `FunctionTriggers.checkDeclared`. */
  checkDeclared(declared: DeclaredTriggers, maxTriggers: number, dlqTopic: string | undefined): void {
    for (const { source } of this.#declared(declared, maxTriggers).sources) refuseOwnDeadLetters(source, dlqTopic);
  }

  /** As `FunctionTriggers.replaceDeclared`. */
  async replaceDeclared(
    principal: Principal,
    functionName: string,
    declared: DeclaredTriggers,
    context: RequestContext,
  ): Promise<void> {
    if (!declaresAny(declared)) return;
    const { namespace } = principal;
    const { maxTriggers } = await this.parts.rulesOf(namespace, context);
    const { kinds, sources } = this.#declared(declared, maxTriggers);
    const owner = await this.#owner(namespace, functionName, context);
    const rest = { reference: undefined, enabled: true, isDeclared: true };
    await this.#change(owner, principal, context, {
      queries: [
        this.parts.rows.undeclaring(owner, kinds, sources.map(({ source }) => source)),
        ...sources.map((checked) =>
          this.parts.rows.insertion(owner, this.#newTrigger(principal, { ...checked, ...rest }), maxTriggers)
        ),
      ],
      action: "trigger.declared",
      resource: functionName,
      details: { triggers: sources.length },
    });
  }

  #declared(declared: DeclaredTriggers, maxTriggers: number) {
    const { kinds, sources } = readDeclared(declared);
    // Before they are looked at: further ones would be refused anyway, and looking at a thousand holds up everybody else.
    if (sources.length > maxTriggers) throw tooMany(maxTriggers);
    const checked = sources.map(({ field, source }) => {
      try {
        return checkedSource(source, this.parts.times, this.parts.clock.now());
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        throw new GatewayError(error.code, `${field}: ${error.message}`, {
          details: [{ field, problem: error.message }],
        });
      }
    });
    return { kinds, sources: checked };
  }

  #newTrigger(
    { subject }: Principal,
    given: Pick<NewTrigger, "source" | "route" | "reference" | "enabled" | "isDeclared">,
  ): NewTrigger {
    const id = `trg_${this.parts.random(10).toHex()}`;
    const nextAt = given.enabled ? this.#nextOf(given.source) : undefined;
    return { ...given, id, by: subject, at: this.parts.clock.now(), nextAt };
  }

  #nextOf(source: FunctionTrigger["source"]): number | undefined {
    return source.kind === "cron"
      ? this.parts.times.next(source.expression, source.timezone, this.parts.clock.now())
      : undefined;
  }

  async #owner(
    namespace: string,
    functionName: string,
    { signal }: RequestContext,
    reference?: string,
  ): Promise<Owner> {
    const found = this.parts.directory.resolve(namespace, functionName, reference, () => 0, signal);
    const { id, name } = found instanceof Promise ? await found : found;
    return { namespace, functionId: id, functionName: name };
  }

  async #find(owner: Owner, id: string, { signal }: RequestContext): Promise<TriggerRow> {
    const row = (await this.parts.rows.of(owner, signal)).find((row) => row.id === id);
    if (row === undefined) throw notFound(id);
    return row;
  }

  #seen(row: TriggerRow): FunctionTrigger {
    return triggerOf(row, this.parts.notes.of(row.id));
  }

  async #change(
    { namespace }: Owner,
    { subject }: Principal,
    context: RequestContext,
    { queries, action, resource, details }: {
      readonly queries: readonly ControlQuery[];
      readonly action: string;
      readonly resource: string;
      readonly details: Readonly<Record<string, unknown>>;
    },
  ): Promise<readonly (TriggerRow | undefined)[]> {
    const { control, revocations, audit, rulesOf } = this.parts;
    try {
      const results = await control.atomically([
        ...queries,
        revocations.entry("triggers", namespace),
        audit.entry({ namespace, actor: subject, action, resource, details }, context),
      ], context.signal);
      await revocations.pull();
      return results.slice(0, queries.length).map(({ rows: [row] }) => row as TriggerRow | undefined);
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
      if (error.subject.includes("created_by")) throw tooMany((await rulesOf(namespace, context)).maxTriggers, error);
      if (error.subject.includes("route")) throw routeTaken(error);
      if (error.subject.includes("namespace")) throw gone(error);
      throw error;
    }
  }
}
