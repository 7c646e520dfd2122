import type { SqlArgument } from "../../src/contracts/database.ts";

/** An argument as `node:sqlite` binds it: every number as REAL, and no boolean. */
export type Bound = null | number | bigint | string | Uint8Array;

/** Arguments as they are bound: whole numbers as INTEGER and booleans as 0 and 1, which is how rqlite stores them. */
export function bind(args: readonly SqlArgument[]): Bound[] {
  return args.map((arg) => {
    if (typeof arg === "number") return Number.isSafeInteger(arg) ? BigInt(arg) : arg;
    if (typeof arg === "boolean") return arg ? 1n : 0n;
    if (typeof arg === "object" && arg !== null && "real" in arg) return arg.real;
    return arg;
  });
}

/** An integer as `number` where that is exact. */
export const fromInteger = (value: bigint): number | bigint => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};
