import { z } from "zod";
import type { CacheAddress } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Call } from "../../src/http/call.ts";
import { rawSegments } from "../../src/http/segments.ts";
import { ADDRESS_REQUIRED, nameProblem } from "./fields.ts";

/** A map or key in a path, for the reference; what it may be {@link addressIn} decides. */
export const nameInPath = z.string().describe("1 to 255 bytes of UTF-8, any characters, percent-encoded.");

/** `v1` and `cache` */
const BEFORE = 2;

/** The map that the path names. @throws GatewayError `INVALID_REQUEST` */
export const mapIn = (call: Call): string => named(call, BEFORE, "dmap");

/** The map and the key that the path names. @throws GatewayError `INVALID_REQUEST` */
export const addressIn = (call: Call): CacheAddress => ({
  map: named(call, BEFORE, "dmap"),
  key: named(call, BEFORE + 1, "key"),
});

function named({ http }: Call, at: number, field: string): string {
  const segment = rawSegments(http.req.raw.url)[at] ?? "";
  if (segment === "." || segment === "..") {
    throw refused(field, "must be percent-encoded in a path, or sent by POST: as it is, it means another path");
  }
  let name: string;
  try {
    name = decodeURIComponent(segment);
  } catch {
    throw refused(field, "must be percent-encoded UTF-8");
  }
  const wrong = nameProblem(name);
  if (wrong) throw refused(field, wrong.problem, wrong.missing ? ADDRESS_REQUIRED : undefined);
  return name;
}

const refused = (field: string, problem: string, sentence = `${field}: ${problem}`) =>
  new GatewayError("INVALID_REQUEST", sentence, { details: [{ field, problem }] });
