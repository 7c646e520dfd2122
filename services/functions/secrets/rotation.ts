import { sql } from "kysely";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import { CannotOpen, type SealingKeys } from "./keys.ts";

/** What a rotation came to. */
export interface RotationResult {
  /** Secrets that are sealed with the newest key now and were not before. */
  readonly rewritten: number;
  /** Secrets that cannot be opened, so that they stay as they are. */
  readonly unreadable: number;
}

interface Row {
  readonly namespace: string;
  readonly name: string;
  readonly key_id: string;
  readonly sealed: string;
  readonly made: number;
}

/** What rotating needs. */
export interface RotationParts {
  readonly control: ControlDatabase;
  readonly keys: SealingKeys;
  /** Told of a secret that cannot be opened. */
  readonly onUnreadable: (namespace: string, name: string, error: CannotOpen) => void;
}

/** Secrets in one look, and milliseconds between two. */
const PAGE = 20, PAUSE = 20;

/**
 * Seals with the newest key what another one sealed. May be called again after it was broken off, and beside gateways that run: a
 * secret is replaced only if it is still the one that was read.
 * @throws GatewayError `UNAVAILABLE`, `OUTCOME_UNKNOWN`; the reason of the signal
 */
export async function rotate(
  { control, keys, onUnreadable }: RotationParts,
  signal: AbortSignal,
): Promise<RotationResult> {
  let rewritten = 0, unreadable = 0;
  let after = { namespace: "", name: "" };
  for (;;) {
    signal.throwIfAborted();
    const { rows } = await control.run<Row>(
      sql`SELECT s.namespace, s.name, s.key_id, s.sealed, n.created_at AS made
        FROM function_secrets s JOIN namespaces n ON n.name = s.namespace
        WHERE s.key_id <> ${keys.newest} AND (s.namespace, s.name) > (${after.namespace}, ${after.name})
        ORDER BY s.namespace, s.name LIMIT ${PAGE}`.compile(control.db),
      signal,
    );
    for (const { namespace, name, key_id, sealed, made } of rows) {
      try {
        const place = { namespace, made, name };
        const fresh = await keys.seal(await keys.open({ keyId: key_id, sealed }, place), place);
        const { changes } = await control.run(
          control.db.updateTable("function_secrets").set({ key_id: fresh.keyId, sealed: fresh.sealed })
            .where("namespace", "=", namespace).where("name", "=", name).where("sealed", "=", sealed),
          signal,
        );
        rewritten += changes;
      } catch (error) {
        if (!(error instanceof CannotOpen)) throw error;
        unreadable++;
        onUnreadable(namespace, name, error);
      }
    }
    const last = rows.at(-1);
    if (rows.length < PAGE || last === undefined) return { rewritten, unreadable };
    after = last;
    // The embedded control plane works in this process: others must come between two pages.
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}
