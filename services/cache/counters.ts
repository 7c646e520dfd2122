import type { CacheValue } from "../../src/contracts/cache.ts";
import { wrongType } from "./failures.ts";

const NUMBER = /^[ \t\r\n]*(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)[ \t\r\n]*$/;

/** The number that an entry holds. @throws GatewayError `WRONG_TYPE` for anything else, and for one that a double rounds */
export function numberOf(value: CacheValue): number {
  const digits = "json" in value ? NUMBER.exec(value.json)?.[1] : undefined;
  if (digits === undefined) throw wrongType("the entry is no JSON number");
  return bounded(Number(digits), "the entry");
}

/** The sum of two numbers. @throws GatewayError `WRONG_TYPE` for one that a JSON number cannot hold exactly */
export function sumOf(count: number, by: number): number {
  return bounded(count + by, "the sum");
}

function bounded(value: number, what: string): number {
  if (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value)) return value;
  throw wrongType(`${what} is beyond ${Number.MAX_SAFE_INTEGER}, up to which whole numbers are exact`);
}
