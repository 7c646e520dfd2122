import type { StatementOptions } from "../../src/contracts/database.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { GatedStatement, SqlFault, StatementOutcome } from "./driver.ts";
import type { Ran, Runner } from "./runner.ts";

/** A client's statement, and what the gateway runs right behind it in the same transaction. */
export interface Unit {
  readonly statement: GatedStatement;
  readonly behind?: readonly GatedStatement[];
}

/** What a transaction of units came to. */
export type UnitsReply =
  /** Outcomes of the clients' statements alone. */
  | { readonly kind: "done"; readonly outcomes: readonly StatementOutcome[]; readonly level: Ran["level"] }
  | {
    readonly kind: "rolled_back";
    readonly fault: SqlFault;
    /** The unit that failed, itself or in what stands behind it; −1 for what stands before all of them. */
    readonly step: number;
  };

/** How units are run. */
export type UnitsRunner = Pick<Runner, "run">;

/** Units of one namespace. */
export interface AskedUnits {
  readonly namespace: string;
  /** Statements of the gateway's own that come first. */
  readonly before?: readonly GatedStatement[];
  readonly units: readonly Unit[];
}

/** Runs units as one transaction. @throws GatewayError as the runner */
export async function runUnits(
  runner: UnitsRunner,
  { namespace, before = [], units }: AskedUnits,
  request: RequestContext,
  options: StatementOptions,
): Promise<UnitsReply> {
  const statements = [...before];
  const steps: number[] = before.map(() => -1);
  const places: number[] = [];
  for (const [step, { statement, behind = [] }] of units.entries()) {
    places.push(statements.length);
    statements.push(statement, ...behind);
    while (steps.length < statements.length) steps.push(step);
  }
  const { reply, level } = await runner.run({ namespace, mode: "atomic", statements }, request, options);
  if (reply.kind === "rolled_back") return { ...reply, step: steps[reply.step] ?? units.length - 1 };
  return { kind: "done", outcomes: places.map((place) => reply.outcomes[place]!), level };
}
