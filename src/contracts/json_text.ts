/** The value of JSON text, integers that a number cannot hold exactly as `bigint`. @throws SyntaxError */
export const jsonOf = (text: string): unknown =>
  // The reviver with source text is ten times slower, so it runs only where a long number can be.
  /\d{16}/.test(text) ? JSON.parse(text, exactInteger) : JSON.parse(text);

/** No longer than 64 bits can be: a million digits would take a quarter of a second. */
const exactInteger =
  ((_key: string, value: unknown, context: { source?: string }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d{1,19}$/.test(context.source ?? "")
      ? BigInt(context.source!)
      : value) as (key: string, value: unknown) => unknown;

/** Whether arrays and objects nest too deep. Walks level by level, without recursion: the depth is what a hostile client chooses. */
export function isDeeper(value: unknown, maxDepth: number): boolean {
  let level = [value].filter(isContainer);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) return true;
    level = level.flatMap((item): unknown[] => Object.values(item)).filter(isContainer);
  }
  return false;
}

const isContainer = (item: unknown): item is object => typeof item === "object" && item !== null;

/** What JSON text may hold. */
export interface JsonBounds {
  /** How deep arrays and objects may nest. */
  readonly maxDepth: number;
  /** How many values there may be, arrays and objects among them. */
  readonly maxValues: number;
}

/**
 * Which bound a JSON text exceeds, told without parsing it: a megabyte of brackets is a hundred of objects. Of text that is no JSON it
 * tells something, or nothing.
 */
export function exceededBound(text: string, { maxDepth, maxValues }: JsonBounds): keyof JsonBounds | undefined {
  let depth = 0, values = 1;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        at = endOfString(text, at);
        break;
      case "[":
      case "{":
        if (++depth > maxDepth) return "maxDepth";
        values++;
        break;
      case "]":
      case "}":
        depth--;
        break;
      case ",":
        values++;
    }
    if (values > maxValues) return "maxValues";
  }
  return undefined;
}

/** Where the quotation mark is that ends the string at `at`; the end of the text where there is none. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
