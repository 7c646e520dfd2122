import { GatewayError } from "../contracts/errors.ts";

/**
 * The segments of a request's path, as they came: the router takes `%ff` for a text, and a parser of URLs `%2e%2e` for the folder
 * above.
 * @param url of the request; its host may be anything
 */
export function rawSegments(url: string): string[] {
  const target = url.slice(url.indexOf("/", url.indexOf("://") + 3)).split(/[?#]/, 1)[0]!;
  return target.split("/").slice(1);
}

/**
 * What a segment names within a folder.
 * @param field for the error
 * @throws GatewayError `INVALID_REQUEST` for what is no UTF-8, and for what would lead elsewhere: `.`, `..`, `/`, U+0000, nothing
 */
export function nameOfSegment(segment: string, field: string): string {
  let name: string;
  try {
    name = decodeURIComponent(segment);
  } catch {
    throw refused(field, "must be percent-encoded UTF-8");
  }
  if (name === "" || name === "." || name === "..") throw refused(field, "must have no empty segment, . or ..");
  if (/[/\0]/.test(name)) throw refused(field, "must have no slash and no U+0000 within a segment");
  return name;
}

const refused = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
