import { exceededBound, type JsonBounds, jsonOf } from "../../../src/contracts/json_text.ts";
import { invalid } from "./arguments.ts";

/**
 * The value of a JSON text of a guest, integers that a number cannot hold exactly as `bigint`; `undefined` for empty text.
 * @param tooMany what is wrong with more values than the bounds allow, for a client that counts otherwise than the bounds
 * @throws GatewayError `INVALID_REQUEST` for what is no JSON, or more than the bounds allow: found before anything is made of it
 */
export function jsonArgument(
  field: string,
  text: string,
  bounds: JsonBounds,
  tooMany = `must have at most ${bounds.maxValues} values`,
): unknown {
  switch (text === "" ? undefined : exceededBound(text, bounds)) {
    case "maxDepth":
      throw invalid(field, `must not nest deeper than ${bounds.maxDepth} levels`);
    case "maxValues":
      throw invalid(field, tooMany);
  }
  try {
    return text === "" ? undefined : jsonOf(text);
  } catch {
    throw invalid(field, "must be JSON");
  }
}
