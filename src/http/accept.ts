/**
 * Whether a client would rather have `wanted` than what it gets otherwise (RFC 9110, 12.5.1). Only a client that names the
 * media type can mean it: `*` and `application/*` are no wish for it.
 * @param accept the header `Accept`
 */
export function prefers(accept: string | null, wanted: string, usual: string): boolean {
  if (accept === null || !accept.toLowerCase().includes(wanted)) return false;
  const ranges = accept.toLowerCase().split(",").map(rangeOf);
  const weight = qualityOf(ranges, [wanted]);
  const [kind = ""] = usual.split("/");
  return weight > 0 && weight >= qualityOf(ranges, [usual, `${kind}/*`, "*/*"]);
}

interface Range {
  readonly type: string;
  readonly quality: number;
}

function rangeOf(text: string): Range {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim());
  const given = parameters.find((one) => /^q\s*=/.test(one))?.split("=")[1]?.trim();
  const quality = given === undefined ? 1 : /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(given) ? Number(given) : 0;
  return { type, quality };
}

/** The weight of the first of these names that is there, from the most to the least specific; 0 for none. */
function qualityOf(ranges: readonly Range[], names: readonly string[]): number {
  for (const name of names) {
    const found = ranges.filter(({ type }) => type === name);
    if (found.length > 0) return Math.max(...found.map(({ quality }) => quality));
  }
  return 0;
}
