import { LRUCache } from "lru-cache";
import type { RE2JS } from "re2js";
import { invalid } from "./failures.ts";
import { expandedSize } from "./pattern_size.ts";

/** Characters that a pattern may have. */
const MAX_PATTERN = 1_000;
/** How large it may become once its repetitions are written out. The time for one key grows with it: see `DESIGN.md`. */
const MAX_PROGRAM = 1_100;
/** Patterns that are kept compiled, and how large they may be: a class of letters takes kilobytes each time it is written out. */
const KEPT = 20, MAX_KEPT = 100;

/** A pattern that is compiled. */
export interface Pattern {
  /** Whether it is found anywhere in a key. */
  matches(key: string): boolean;
  /** Gives back what matching has built, up to eight megabytes; the next match builds it anew. */
  rest(): void;
}

/** Patterns in RE2 syntax, whose time never grows faster than their text and the key's. */
export class Patterns {
  readonly #compiled = new LRUCache<string, Pattern>({ max: KEPT });
  /** Loaded with the first pattern: a quarter of a megabyte of code that most gateways never need. */
  #compiler: typeof RE2JS | undefined;

  /** Without a promise but for the first one ever. @throws GatewayError `INVALID_REQUEST` that names `match` */
  compile(pattern: string): Pattern | Promise<Pattern> {
    if (pattern.length > MAX_PATTERN) {
      throw invalid("match", `has ${pattern.length} characters; the most is ${MAX_PATTERN}`);
    }
    const known = this.#compiled.get(pattern);
    if (known) return known;
    if (this.#compiler) return this.#compile(this.#compiler, pattern);
    return import("re2js").then(({ RE2JS }) => this.#compile(this.#compiler = RE2JS, pattern));
  }

  #compile(compiler: typeof RE2JS, text: string): Pattern {
    // Before it is compiled: a thousand characters can take a second.
    if (expandedSize(text) > MAX_PROGRAM) throw tooLarge();
    const compiled = compile(compiler, text);
    const size = compiled.programSize();
    if (size > MAX_PROGRAM) throw tooLarge();
    const pattern = { matches: (key: string) => compiled.test(key), rest: () => compiled.reset() };
    if (size <= MAX_KEPT) this.#compiled.set(text, pattern);
    return pattern;
  }
}

const tooLarge = () => invalid("match", "is too large once its repetitions are written out; use smaller ones");

function compile(compiler: typeof RE2JS, text: string): RE2JS {
  try {
    return compiler.compile(text);
  } catch (cause) {
    const problem = cause instanceof Error
      ? cause.message.replace(/^error parsing regexp: /, "")
      : "cannot be compiled";
    throw invalid("match", `is no pattern in RE2 syntax: ${problem}`);
  }
}
