import { GatewayError } from "../contracts/errors.ts";

const textOf = (url: string): string => {
  const start = url.indexOf("?");
  return start < 0 ? "" : url.slice(start + 1);
};

/** The fields of an address, each with its last value. @param url as it came */
export const queryOf = (url: string): Record<string, string> => Object.fromEntries(new URLSearchParams(textOf(url)));

/** All values of a field of an address, each once. @param url as it came */
export const valuesOf = (url: string, name: string): string[] => [
  ...new Set(new URLSearchParams(textOf(url)).getAll(name)),
];

/**
 * Refuses bytes that are no UTF-8: what reads addresses puts U+FFFD in their place, so that different bytes would mean the same.
 * @param fields that are read; what is in others is nobody's business
 * @throws GatewayError `INVALID_REQUEST` that names the field
 */
export function assertUtf8(url: string, fields: object): void {
  const query = textOf(url);
  if (!/%[89a-f]/i.test(query)) return;
  for (const pair of query.split("&")) {
    if (pair.match(/(?:%[0-9a-f]{2})+/gi)?.every(isUtf8) ?? true) continue;
    const [field = ""] = new URLSearchParams(pair).keys();
    if (!Object.hasOwn(fields, field)) continue;
    const problem = "must be percent-encoded UTF-8";
    throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
  }
}

/** @param escapes with nothing between them: no character is made of escapes and something else */
function isUtf8(escapes: string): boolean {
  try {
    decodeURIComponent(escapes);
    return true;
  } catch {
    return false;
  }
}
