import { z } from "zod";
import { GatewayError } from "../../contracts/errors.ts";
import type { Payload } from "../../contracts/pubsub.ts";
import { assertHeld, type JsonSource } from "../json_source.ts";

/** The two members in which what is published stands: one of them is there. */
export const payloadMembers = {
  data: z.unknown().optional().meta({ description: "Any JSON. Subscribers get it as it is, to the last digit." }),
  data_base64: z.string().optional().describe("Bytes of any kind, in base64 (RFC 4648, 4). In place of `data`."),
};

/** What {@link payloadMembers} hold. */
export interface PayloadMembers {
  readonly data?: unknown;
  readonly data_base64?: string | undefined;
}

/**
 * What an object has to publish.
 * @param source the text that the object was read from
 * @param at where the object begins in it
 * @param prefix of the names of its members: `messages.0.`
 * @throws GatewayError `INVALID_REQUEST`
 */
export function payloadOf(
  { data, data_base64: base64 }: PayloadMembers,
  source: JsonSource,
  at: number,
  prefix = "",
): Payload {
  const json = source.member(at, "data");
  if (base64 !== undefined) {
    if (json !== undefined) throw refused(`${prefix}data_base64`, "cannot go with data: give one of them");
    return { data: bytesOf(base64, `${prefix}data_base64`), json: false };
  }
  if (json === undefined) throw refused(`${prefix}data`, "is missing; give data or data_base64");
  const text = source.slice(json);
  // Few have an exponent or very many digits, and the rest needs no look.
  if (text.length > 3) assertHeld(source.text(json), data, `${prefix}data`);
  return { data: text, json: true };
}

function bytesOf(text: string, field: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    const problem = "must be base64 of the standard alphabet, with its padding";
    throw new GatewayError("INVALID_REQUEST", "invalid base64 data", { details: [{ field, problem }] });
  }
}

const refused = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });

/** @throws GatewayError `BODY_TOO_LARGE` for a message beyond the namespace's rule */
export function assertFits({ data }: Payload, maxBytes: number, field: string): void {
  if (data.length <= maxBytes) return;
  throw new GatewayError("BODY_TOO_LARGE", `${field}: has more than ${maxBytes} bytes, which is the limit`, {
    details: { field, limit: maxBytes },
  });
}
