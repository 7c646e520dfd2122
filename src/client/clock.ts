import { pause } from "./pause.ts";

/** Time and chance, as far as work that goes on over several requests needs them. */
export interface ClientClock {
  /** Waits. @throws the signal's reason, as soon as it fires */
  pause(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Calls back once. @returns what takes it back */
  after(milliseconds: number, run: () => void): () => void;
  /** From 0 to 1. */
  random(): number;
}

/** The clock of the platform. */
export const PLATFORM_CLOCK: ClientClock = {
  pause,
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
