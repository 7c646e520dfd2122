import type { SigningKeys } from "../services/auth/signing_keys.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import { removeExpired } from "../services/control_plane/expiry.ts";
import type { RevocationFeed } from "../services/control_plane/revocations.ts";
import { GatewayError } from "./contracts/errors.ts";

/** What the upkeep is about, and whom it tells of failures. */
export interface UpkeepParts {
  readonly control: ControlDatabase;
  readonly signingKeys: SigningKeys;
  readonly revocations: RevocationFeed;
  /** Brings the control plane's tables up to date. Safe when several gateways do so at once. */
  readonly migrate: () => Promise<void>;
  /** Whether a control plane that does not answer may come later: it is another process then. */
  readonly mayComeLater: boolean;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two tries to reach the control plane at the start, and between two rounds of upkeep. */
const RETRY = 1_000;
const PERIOD = 60_000;

/** Brings the control plane into service and keeps it in order: tables, signing keys, revocations, expired rows. */
export class Upkeep {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(private readonly parts: UpkeepParts) {}

  /**
   * Resolves once everything is in order, or, where the control plane may come later, after the first try; the tries go on.
   * @param ready called when the tables are there
   */
  async start(ready: () => void): Promise<void> {
    try {
      await this.#open(ready);
    } catch (error) {
      if (!this.parts.mayComeLater || !isPassing(error)) throw error;
      this.parts.onError(error);
      if (!this.#closed) this.#timer = setTimeout(() => void this.start(ready).catch(this.parts.onError), RETRY);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #open(ready: () => void): Promise<void> {
    const { migrate, signingKeys, revocations } = this.parts;
    await migrate();
    ready();
    await signingKeys.maintain();
    await revocations.start();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(async () => {
      const { control, signingKeys, now, onError } = this.parts;
      await signingKeys.maintain().then(() => removeExpired(control, now())).catch(onError);
      this.#schedule();
    }, PERIOD);
  }
}

const isPassing = (error: unknown) =>
  error instanceof GatewayError && (error.code === "UNAVAILABLE" || error.code === "OUTCOME_UNKNOWN");
