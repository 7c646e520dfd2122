import { setImmediate } from "node:timers";

/** Lets whatever else waits have its turn: one thread serves everybody. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
