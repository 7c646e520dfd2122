import { sql } from "kysely";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { AuditEntry, ControlAuditLog } from "../../control_plane/audit.ts";
import {
  ConstraintViolation,
  type ControlDatabase,
  type ControlQuery,
  type ControlResult,
} from "../../control_plane/control_database.ts";
import type { RevocationFeed } from "../../control_plane/revocations.ts";
import { conflict, namespaceGone } from "./failures.ts";
import { keyOf } from "./names.ts";
import { type FunctionState, readState, type Seen } from "./state.ts";

/** What changes need of the rest. */
export interface ChangesParts {
  readonly control: ControlDatabase;
  readonly revocations: Pick<RevocationFeed, "entry" | "pull">;
  readonly audit: Pick<ControlAuditLog, "entry">;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Numbers from 0 up to 1. */
  readonly chance: () => number;
  /** Called when a function is, or may be, another one than before: what this gateway remembers of it is to go. */
  readonly onChanged: (namespace: string, name: string) => void;
}

/** One transaction. */
export interface Change<T> {
  /**
   * What may only happen to the function as it was seen: its first query changes one row then, and otherwise fails on a constraint
   * or changes none.
   */
  readonly queries: readonly ControlQuery[];
  readonly audit: Pick<AuditEntry, "action" | "details">;
  readonly answer: (results: readonly ControlResult[]) => T;
  /** What a constraint means that refused it, where that is not that somebody else was faster. */
  readonly refusal?: (violation: ConstraintViolation) => unknown;
}

/** What is to be done about what was seen: a transaction, or nothing, because it has been done. */
export type Decision<T> = Change<T> | { readonly done: T };

/** Milliseconds for recording what was decided; not the client's to cut short, who could not tell what became of it. */
const RECORDING = 10_000;
/** How often a change is decided anew because somebody else was faster, and milliseconds between two tries, at most. */
const TRIES = 20, PAUSE = 25;

/**
 * Changes functions: each change is decided by what was read at one moment, and happens only if nothing has changed since. So
 * nobody needs a lock, and what is decided may rest on all that was seen.
 */
export class FunctionChanges {
  constructor(private readonly parts: ChangesParts) {}

  /**
   * @param decide called again with what is there then where somebody else was faster, or where it is not known what became of the
   *   change before; `unsure` then. May throw
   * @throws GatewayError what `decide` throws; `CONFLICT`, `UNAVAILABLE`, `OUTCOME_UNKNOWN`
   */
  async make<T>(
    { namespace, name, actor }: { readonly namespace: string; readonly name: string; readonly actor: string },
    decide: (seen: Seen, unsure: boolean) => Decision<T>,
    context: RequestContext,
  ): Promise<T> {
    const { control, revocations, audit } = this.parts;
    let unknown: GatewayError | undefined;
    let made: number | undefined;
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries > 0) await this.#pause(tries);
      const seen = await this.#look(namespace, name, unknown, context.signal);
      // Another namespace of this name by now: the caller has no rights in that one.
      if (seen.namespaceMade === undefined || (made ??= seen.namespaceMade) !== seen.namespaceMade) {
        throw unknown ?? namespaceGone();
      }
      const decision = decided(() => decide(seen, unknown !== undefined), unknown);
      if ("done" in decision) return decision.done;
      // Whoever leaves after that has perhaps changed it: only now is there a way back.
      if (unknown === undefined) context.signal.throwIfAborted();
      const entry = audit.entry({ namespace, actor, resource: name, ...decision.audit }, context);
      const revocation = revocations.entry("function", keyOf(namespace, name));
      try {
        const results = await control.atomically(
          [...decision.queries, revocation, entry],
          AbortSignal.timeout(RECORDING),
        );
        if (results[0]!.changes === 1) {
          await this.#changed(namespace, name);
          return decision.answer(results);
        }
      } catch (error) {
        if (hasCode(error, "OUTCOME_UNKNOWN")) {
          unknown ??= error;
          await this.#changed(namespace, name);
        } else {
          const refusal = refused(error, decision);
          if (refusal !== undefined) throw unknown ?? refusal;
        }
      }
    }
    throw unknown ?? conflict("the function is being changed elsewhere; try again");
  }

  /**
   * The query that every change of a function begins with: it fails, on a constraint, where the function is not any more what was
   * seen, or the namespace is another one or about to go.
   * @param serving `null`: the function ends
   */
  touching(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    seen: Seen,
    state: FunctionState,
    { serving, lastVersion, unnamed = [] }: {
      readonly serving?: number | null | undefined;
      readonly lastVersion?: number | undefined;
      /** References that no trigger may have. */
      readonly unnamed?: readonly string[] | undefined;
    } = {},
  ): ControlQuery {
    const { control, now } = this.parts;
    return sql`UPDATE functions SET
        namespace = ${activeNamespace(namespace, seen.namespaceMade!)},
        last_version = ${lastVersion ?? state.lastVersion},
        serving = ${serving === undefined ? state.serving : serving},
        revision = CASE WHEN id = ${state.id} AND revision = ${state.revision} AND NOT EXISTS (
          SELECT 1 FROM function_triggers t WHERE t.function_id = ${state.id}
            AND t.reference IN (SELECT value FROM json_each(${JSON.stringify(unnamed)}))
        ) THEN revision + 1 END,
        updated_at = ${now()}
      WHERE namespace = ${namespace} AND name = ${name}`.compile(control.db);
  }

  async #look(namespace: string, name: string, unknown: GatewayError | undefined, signal: AbortSignal): Promise<Seen> {
    try {
      return await readState(this.parts.control, namespace, name, unknown ? AbortSignal.timeout(RECORDING) : signal);
    } catch (error) {
      throw unknown ?? error;
    }
  }

  async #changed(namespace: string, name: string): Promise<void> {
    this.parts.onChanged(namespace, name);
    await this.parts.revocations.pull();
  }

  async #pause(tries: number): Promise<void> {
    const ms = this.parts.chance() * Math.min(PAUSE, tries);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

/** A value for a column that may not be null: the namespace, if it is still the one that was looked at. */
export const activeNamespace = (namespace: string, made: number) =>
  sql<string>`CASE WHEN EXISTS (
    SELECT 1 FROM namespaces WHERE name = ${namespace} AND state = 'active' AND created_at = ${made}
  ) THEN ${namespace} END`;

/** What the caller is told of a change that failed; `undefined` where it was only too late. */
function refused(error: unknown, { refusal }: Pick<Change<unknown>, "refusal">): unknown {
  if (!(error instanceof ConstraintViolation) || error.kind === "check") return error;
  return error.subject === "functions.namespace" ? namespaceGone(error) : refusal?.(error);
}

/** After a change of which nobody knows what became of it, that is what the caller must hear, not why a second one is refused. */
function decided<T>(decide: () => Decision<T>, unknown: GatewayError | undefined): Decision<T> {
  try {
    return decide();
  } catch (error) {
    throw unknown ?? error;
  }
}
