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

/** One of the media types that a client accepts, all in lower case. */
export interface MediaRange {
  readonly type: string;
  /** Those before and behind `q`. Of one that comes twice, the first. */
  readonly parameters: ReadonlyMap<string, string>;
  /** 0: not accepted. */
  readonly quality: number;
}

/**
 * What a client accepts, what it likes best first, and of what it likes equally what it names before what it only means with others;
 * what it does not accept is left out.
 * @param accept the header `Accept`
 */
export const mediaRangesOf = (accept: string | null): readonly MediaRange[] =>
  (accept?.toLowerCase().split(",") ?? []).map(rangeOf)
    .filter(({ type, quality }) => type !== "" && quality > 0)
    .sort((a, b) => b.quality - a.quality || breadthOf(a) - breadthOf(b));

/** 0: one type, 1: all of a kind, 2: all. */
const breadthOf = ({ type }: MediaRange): number => type === "*/*" ? 2 : type.endsWith("/*") ? 1 : 0;

function rangeOf(text: string): MediaRange {
  const [type = "", ...rest] = text.split(";").map((part) => part.trim());
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const [name = "", value = ""] = parameter.split("=", 2).map((part) => part.trim());
    if (name !== "" && !parameters.has(name)) parameters.set(name, value.replace(/^"(.*)"$/, "$1"));
  }
  const given = parameters.get("q");
  const quality = given === undefined ? 1 : /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(given) ? Number(given) : 0;
  parameters.delete("q");
  return { type, parameters, quality };
}

/** The weight of the first of these names that is there, from the most to the least specific; 0 for none. */
function qualityOf(ranges: readonly MediaRange[], names: readonly string[]): number {
  for (const name of names) {
    const found = ranges.filter(({ type }) => type === name);
    if (found.length > 0) return Math.max(...found.map(({ quality }) => quality));
  }
  return 0;
}
