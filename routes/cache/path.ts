import { z } from "zod";
import type { CacheAddress } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Call } from "../../src/http/call.ts";
import { ADDRESS_REQUIRED, nameProblem } from "./fields.ts";

/** A map or key in a path, for the reference; what it may be {@link addressIn} decides. */
export const nameInPath = z.string().describe("1 to 255 bytes of UTF-8, any characters, percent-encoded.");

/** `/v1/cache/` */
const BEFORE = 3;

/** The map that the path names. @throws GatewayError `INVALID_REQUEST` */
export const mapIn = (call: Call): string => named(call, BEFORE, "dmap");

/** The map and the key that the path names. @throws GatewayError `INVALID_REQUEST` */
export const addressIn = (call: Call): CacheAddress => ({
  map: named(call, BEFORE, "dmap"),
  key: named(call, BEFORE + 1, "key"),
});

/** Taken from the address as it came: the router takes `%ff` for a text, and `%2e%2e` for the folder above. */
function named({ http }: Call, at: number, field: string): string {
  const { url } = http.req.raw;
  const target = url.slice(url.indexOf("/", url.indexOf("://") + 3)).split(/[?#]/, 1)[0]!;
  const segment = target.split("/")[at] ?? "";
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
