import { GatewayError } from "../../../src/contracts/errors.ts";
import type { SqlFault } from "../driver.ts";
import { errorOf } from "../faults.ts";

/** The client's error for a fault. @param row the one it is about, from 1, where that is known */
export function withRow(fault: SqlFault, row: number | undefined): GatewayError {
  const { code, message } = errorOf(fault);
  return row === undefined
    ? new GatewayError(code, message)
    : new GatewayError(code, `row ${row}: ${message}`, { details: { row } });
}

/** The client's error for a row that cannot be one. @param row from 1 */
export const wrongRow = (row: number, problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `row ${row}: ${problem}`, {
    details: [{ field: `rows.${row - 1}`, problem, row }],
  });
