import type { CacheCondition, CacheEntry, Maybe } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { type EntityTags, entityTagsOf } from "../../src/http/entity_tags.ts";

/** What a request expects of what is there. */
export class Preconditions {
  readonly #match: EntityTags | "*" | undefined;
  readonly #noneMatch: EntityTags | "*" | undefined;

  /** @throws GatewayError `INVALID_REQUEST` for a header that is no list of tags: to leave it out would change too much */
  constructor(headers: Headers) {
    this.#match = entityTagsOf(headers, "If-Match");
    this.#noneMatch = entityTagsOf(headers, "If-None-Match");
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

const failed = () => new GatewayError("PRECONDITION_FAILED", "another version is there than the request expects");

const refused = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
