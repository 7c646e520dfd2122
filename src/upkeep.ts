import { RootKeyError } from "../services/auth/crypto/root_key.ts";
import type { SigningKeys } from "../services/auth/signing_keys.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import { removeExpired } from "../services/control_plane/expiry.ts";
import { SchemaTooNew } from "../services/control_plane/migrate.ts";
import type { RevocationFeed } from "../services/control_plane/revocations.ts";
import { hasCode } from "./contracts/errors.ts";
import type { ServiceHealth } from "./contracts/health.ts";

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

/** Milliseconds that a start waits for a control plane that may come later. */
const PATIENCE = 3_000;
/** Milliseconds between two tries to reach the control plane, and between two rounds of upkeep. */
const RETRY = 1_000;
const PERIOD = 60_000;

/** Brings the control plane into service and keeps it in order: tables, signing keys, revocations, expired rows. */
export class Upkeep {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #problem: string | undefined;

  constructor(private readonly parts: UpkeepParts) {}

  /**
   * Resolves once everything is in order, or, where the control plane may come later, when the first try failed or takes
   * long; the tries go on.
   * @param ready called when the tables are there and the root key fits them
   * @throws whatever the first try came to that waiting does not mend
   */
  async start(ready: () => void): Promise<void> {
    const opened = this.#open(ready);
    if (!this.parts.mayComeLater) return await opened;
    let waiting = true;
    const tried = opened.catch((error) => {
      if (waiting && !isPassing(error)) throw error;
      this.#tryAgain(ready, error, RETRY);
    });
    const { promise: patience, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PATIENCE);
    try {
      await Promise.race([tried, patience]);
    } finally {
      waiting = false;
      clearTimeout(timer);
    }
  }

  /** How the control plane is; `degraded`, with a public reason, when it answers and this gateway cannot use it all the same. */
  async health(signal: AbortSignal): Promise<ServiceHealth> {
    const health = await this.parts.control.health(signal);
    return this.#problem === undefined ? health : { ...health, status: "degraded", reason: this.#problem };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #open(ready: () => void): Promise<void> {
    const { migrate, signingKeys, revocations } = this.parts;
    await migrate();
    // Before anybody is let in: with another root key wallets would get other keys.
    await signingKeys.maintain();
    this.#problem = undefined;
    ready();
    await revocations.start();
    this.#schedule();
  }

  /** Soon where waiting mends it, ever more seldom where somebody has to. Each try that fails is told. */
  #tryAgain(ready: () => void, error: unknown, pause: number): void {
    this.#note(error);
    if (this.#closed) return;
    const next = isPassing(error) ? RETRY : Math.min(2 * pause, PERIOD);
    this.#timer = setTimeout(() => void this.#open(ready).catch((error) => this.#tryAgain(ready, error, next)), pause);
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(async () => {
      const { control, signingKeys, now } = this.parts;
      try {
        await signingKeys.maintain();
        await removeExpired(control, now());
        this.#problem = undefined;
      } catch (error) {
        this.#note(error);
      }
      this.#schedule();
    }, PERIOD);
  }

  #note(error: unknown): void {
    this.#problem = isPassing(error) ? undefined : publicReason(error);
    this.parts.onError(error);
  }
}

const isPassing = (error: unknown) => hasCode(error, "UNAVAILABLE", "OUTCOME_UNKNOWN");

function publicReason(error: unknown): string {
  if (error instanceof RootKeyError) return "this gateway's root key is not the one of the cluster";
  if (error instanceof SchemaTooNew) return "its tables are those of a newer gateway";
  return "it could not be brought into order";
}
