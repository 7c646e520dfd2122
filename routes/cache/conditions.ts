import type { CacheCondition, CacheEntry, Maybe } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";

/** Entity tags that a header names (RFC 9110, 8.8.3): those that are compared strongly, and all of them. */
interface Tags {
  readonly strong: readonly string[];
  readonly all: readonly string[];
}

const TAG = /(W\/)?"([\x21\x23-\x7e]*)"/g;

/** What a request expects of what is there. */
export class Preconditions {
  readonly #match: Tags | "*" | undefined;
  readonly #noneMatch: Tags | "*" | undefined;

  /** @throws GatewayError `INVALID_REQUEST` for a header that is no list of tags: to leave it out would change too much */
  constructor(headers: Headers) {
    this.#match = tagsOf(headers, "If-Match");
    this.#noneMatch = tagsOf(headers, "If-None-Match");
  }

  /**
   * Whether a read gives what is there, or says that the caller has it.
   * @throws GatewayError `PRECONDITION_FAILED`
   */
  isKnown({ version }: CacheEntry): boolean {
    if (this.#match !== undefined && this.#match !== "*" && !this.#match.strong.includes(version)) throw failed();
    return this.#noneMatch === "*" || this.#noneMatch?.all.includes(version) === true;
  }

  /**
   * When a write may happen.
   * @param current what is there; asked only where the headers leave several possibilities
   * @throws GatewayError `PRECONDITION_FAILED`, `INVALID_REQUEST`
   */
  async condition(current: () => Maybe<CacheEntry | undefined>): Promise<CacheCondition | undefined> {
    const match = this.#match, noneMatch = this.#noneMatch;
    if (match !== undefined && noneMatch !== undefined) throw refused("If-None-Match", "cannot go with If-Match here");
    if (match === "*") return "present";
    if (noneMatch === "*") return "absent";
    if (match !== undefined) {
      const [only, ...others] = match.strong;
      if (only !== undefined && others.length === 0) return { version: only };
      const entry = await current();
      if (entry === undefined || !match.strong.includes(entry.version)) throw failed();
      return { version: entry.version };
    }
    if (noneMatch === undefined) return undefined;
    const entry = await current();
    if (entry === undefined) return "absent";
    if (noneMatch.all.includes(entry.version)) throw failed();
    return { version: entry.version };
  }
}

/** The tag of a version. */
export const etagOf = (version: string): string => `"${version}"`;

function tagsOf(headers: Headers, name: string): Tags | "*" | undefined {
  const text = headers.get(name);
  if (text === null) return undefined;
  if (text.trim() === "*") return "*";
  const tags = [...text.matchAll(TAG)];
  if (tags.length === 0 || !/^[ \t,]*$/.test(text.replaceAll(TAG, ""))) {
    throw refused(name, 'must be "*", or entity tags in quotes with commas in between');
  }
  return {
    strong: tags.flatMap(([, weak, tag]) => weak === undefined ? [tag!] : []),
    all: tags.map(([, , tag]) => tag!),
  };
}

const failed = () => new GatewayError("PRECONDITION_FAILED", "another version is there than the request expects");

const refused = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
