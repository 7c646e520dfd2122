import { GatewayError } from "../../../src/contracts/errors.ts";

/** A place in the log of one life of a database. */
export interface Position {
  readonly epoch: string;
  readonly id: number;
}

/** Where somebody wants to begin. */
export type Start = "now" | "kept" | Position;

/** What a position looks like on the wire. */
const POSITION_PATTERN = /^([0-9a-f]{16})-(0|[1-9]\d{0,15})$/;

/** `<epoch>-<id>`. */
export const positionText = ({ epoch, id }: Position): string => `${epoch}-${id}`;

/** @throws GatewayError `INVALID_REQUEST` for anything but `now`, `0` or a position */
export function readStart(since: string): Start {
  if (since === "now") return "now";
  if (since === "0") return "kept";
  const [, epoch, id] = POSITION_PATTERN.exec(since) ?? [];
  if (epoch !== undefined) return { epoch, id: Number(id) };
  const problem = "must be now, 0, or the id of an event";
  throw new GatewayError("INVALID_REQUEST", `since: ${problem}`, { details: [{ field: "since", problem }] });
}
