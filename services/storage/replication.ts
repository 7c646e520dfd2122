import type { Replication } from "../../src/contracts/storage.ts";
import { invalid } from "./failures.ts";

const MOST = 1_000;

/**
 * What holds where a caller says some of it: the other bound gives way.
 * @param defaults what holds where nothing is said
 * @throws GatewayError `INVALID_REQUEST`
 */
export function checkedReplication(given: Partial<Replication> | undefined, defaults: Replication): Replication {
  if (given?.min === undefined && given?.max === undefined) return defaults;
  for (const name of ["min", "max"] as const) checkCount(given[name], `replication_${name}`);
  const everywhere = given.min === -1 || given.max === -1;
  if (everywhere) {
    if ((given.min ?? -1) !== (given.max ?? -1)) {
      throw invalid("replication_min", "is -1 for both bounds or for neither");
    }
    return { min: -1, max: -1 };
  }
  const { min, max } = defaults.min === -1 ? { min: 1, max: 1 } : defaults;
  const least = given.min ?? Math.min(min, given.max!);
  const most = given.max ?? Math.max(max, given.min!);
  if (least > most) throw invalid("replication_min", "must be no more than replication_max");
  return { min: least, max: most };
}

function checkCount(count: number | undefined, field: string): void {
  if (count === undefined || count === -1) return;
  if (Number.isSafeInteger(count) && count >= 1 && count <= MOST) return;
  throw invalid(field, `must be a whole number from 1 to ${MOST}, or -1 for all peers`);
}
