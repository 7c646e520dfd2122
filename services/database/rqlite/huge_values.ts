import type { SqlFault } from "../driver.ts";
import { isOperator, tokenize } from "../gate/lexer.ts";

/** Bytes that one call may make: as much as one entry of the log carries. */
const MOST = 16 * 2 ** 20;
/** Functions that make as many bytes as they are told to. */
const MAKERS: ReadonlySet<string> = new Set(["RANDOMBLOB", "ZEROBLOB"]);
/** Nearly no statement has one, and reading its text piece by piece costs. */
const MENTION = /\b(?:random|zero)blob\b/i;

/**
 * Why a statement must not run that says by itself that it makes a huge value. Nothing bounds the memory of `rqlited`, and what is
 * random is written out as text before it goes to the log. What only turns out to be huge is not told here.
 */
export function hugeValueOf(sql: string): SqlFault | undefined {
  if (!MENTION.test(sql)) return undefined;
  const tokens = tokenize(sql).filter(({ kind }) => kind !== "comment");
  for (const [at, { kind, value }] of tokens.entries()) {
    const name = value.toUpperCase();
    if ((kind !== "word" && kind !== "quoted") || !MAKERS.has(name)) continue;
    const [opens, length, closes] = tokens.slice(at + 1, at + 4);
    if (!isOperator(opens, "(") || length?.kind !== "number" || !isOperator(closes, ")")) continue;
    if (Number(length.value.replaceAll("_", "")) <= MOST) continue;
    const message =
      `string or blob too big: ${name.toLowerCase()}() may make ${MOST} bytes here, and is asked for more`;
    return { kind: "too_big", message };
  }
  return undefined;
}
