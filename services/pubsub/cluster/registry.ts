import { sql } from "kysely";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import type { NodeId } from "../mesh/mesh.ts";
import type { Epoch, EpochRegistry } from "./epochs.ts";

/** What the registry is built on. */
export interface ControlEpochsOptions {
  readonly control: ControlDatabase;
  /** Unix milliseconds. They decide nothing but when a life that ended is forgotten. */
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
}

/** How often a beginning of unknown outcome is made sure of before it is reported. */
const TRIES = 3;

interface Row {
  readonly number: number;
  readonly node: string;
  readonly state: string;
  readonly addresses: string;
  readonly former: number | null;
}

/**
 * Lives of gateways in the control database, the same for all gateways that share one. Those that ended are forgotten after a
 * week, but for the newest of them, which then counts as lost (`services/control_plane/expiry.ts`).
 */
export class ControlEpochs implements EpochRegistry {
  constructor(private readonly options: ControlEpochsOptions) {}

  async begin(node: NodeId, addresses: readonly string[], signal: AbortSignal, silent?: number): Promise<Epoch> {
    const life = this.options.random(16).toHex();
    for (let tries = 1;; tries++) {
      try {
        return await this.#begin({ life, node, addresses, silent }, signal);
      } catch (error) {
        // The same life begins once, however often it is tried.
        if (!hasCode(error, "OUTCOME_UNKNOWN")) throw error;
        if (tries < TRIES && !signal.aborted) continue;
        throw new GatewayError("UNAVAILABLE", "it is not known whether this gateway's epoch began", { cause: error });
      }
    }
  }

  async list(after: number, signal: AbortSignal): Promise<readonly Epoch[]> {
    const { control } = this.options;
    const { rows } = await control.run<Row>(
      control.db.selectFrom("gateway_epochs").select(["number", "node", "state", "addresses", "former"])
        .where((row) => row.or([row("state", "=", "open"), row("number", ">", after)])).orderBy("number"),
      signal,
    );
    return rows.map(epochOf);
  }

  async renew(epoch: number, signal: AbortSignal): Promise<boolean> {
    const { control } = this.options;
    const { changes } = await control.run(
      control.db.updateTable("gateway_epochs").set({ renewals: sql`renewals + 1` })
        .where("number", "=", epoch).where("state", "=", "open"),
      signal,
    );
    return changes > 0;
  }

  async end(epoch: number, signal: AbortSignal): Promise<void> {
    const { control, now } = this.options;
    await control.run(
      control.db.updateTable("gateway_epochs").set({ state: "clean", ended_at: now() })
        .where("number", "=", epoch).where("state", "=", "open"),
      signal,
    );
  }

  async bury(seen: ReadonlyMap<number, number>, signal: AbortSignal): Promise<void> {
    if (seen.size === 0) return;
    const { control, now } = this.options;
    await control.atomically(
      Array.from(
        seen,
        ([number, renewals]) =>
          control.db.updateTable("gateway_epochs").set({ state: "lost", ended_at: now() })
            .where("number", "=", number).where("renewals", "=", renewals).where("state", "=", "open"),
      ),
      signal,
    );
  }

  async renewals(signal: AbortSignal): Promise<ReadonlyMap<number, number>> {
    const { control } = this.options;
    const { rows } = await control.run<{ readonly number: number; readonly renewals: number }>(
      control.db.selectFrom("gateway_epochs").select(["number", "renewals"]).where("state", "=", "open"),
      signal,
    );
    return new Map(rows.map(({ number, renewals }) => [number, renewals]));
  }

  async #begin(
    { life, node, addresses, silent }: {
      readonly life: string;
      readonly node: NodeId;
      readonly addresses: readonly string[];
      readonly silent: number | undefined;
    },
    signal: AbortSignal,
  ): Promise<Epoch> {
    const { control: { db }, control, now } = this.options;
    const begunAt = now();
    const last = sql`(SELECT max(number) FROM gateway_epochs WHERE node = ${node})`;
    const former = sql`(SELECT number FROM gateway_epochs
      WHERE number = ${last} AND state = 'lost' AND number <> ${silent ?? 0})`;
    const [, , found] = await control.atomically([
      sql`INSERT INTO gateway_epochs (life, node, state, addresses, former, renewals, begun_at)
        VALUES (${life}, ${node}, 'open', ${JSON.stringify(addresses)}, ${former}, 0, ${begunAt})
        ON CONFLICT (life) DO NOTHING`.compile(db),
      // Behind the other, which minds what was held for lost before.
      db.updateTable("gateway_epochs").set({ state: "lost", ended_at: begunAt })
        .where("node", "=", node).where("state", "=", "open").where("life", "<>", life),
      db.selectFrom("gateway_epochs").select(["number", "node", "state", "addresses", "former"])
        .where("life", "=", life),
    ], signal);
    return epochOf(found!.rows[0] as unknown as Row);
  }
}

const epochOf = ({ number, node, state, addresses, former }: Row): Epoch => ({
  number,
  node,
  state: state as Epoch["state"],
  addresses: JSON.parse(addresses) as string[],
  ...(former !== null && { former }),
});
