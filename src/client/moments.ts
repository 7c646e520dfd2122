import { invalidResponse } from "./errors.ts";

/** A moment of an answer. @throws OramaError `INVALID_RESPONSE` */
export function momentOf(text: unknown): Date {
  const moment = typeof text === "string" ? new Date(text) : undefined;
  if (moment === undefined || Number.isNaN(moment.getTime())) throw invalidResponse("a time of it is none");
  return moment;
}
