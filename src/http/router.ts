import type { Params, Result, Router } from "hono/router";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { SmartRouter } from "hono/router/smart-router";
import { TrieRouter } from "hono/router/trie-router";

/** A path of one method, and what it leads to. */
type Added<T> = readonly [method: string, path: string, handler: T];

/**
 * Finds paths without parameters in a map, and the others by a regular expression: those first that have a text where another one
 * has a parameter. Hono's own choice goes back to a slower router for all routes as soon as there is one of these.
 */
export class FixedFirstRouter<T> implements Router<T> {
  readonly name = "FixedFirstRouter";
  readonly #fixed = new Map<string, Map<string, Result<T>>>();
  readonly #nearer = regExpRouter<T>();
  readonly #others = regExpRouter<T>();
  /** Paths with parameters that are in no router yet: which one is theirs hangs on all of them. */
  #added: Added<T>[] = [];

  /** Which routers have the paths with parameters; known once some were looked for in each. */
  get others(): readonly string[] {
    return [this.#nearer.name, this.#others.name];
  }

  add(method: string, path: string, handler: T): void {
    if (/[:*{}?]/.test(path)) return void this.#added.push([method, path, handler]);
    const paths = this.#fixed.get(method) ?? new Map<string, Result<T>>();
    const [before = []] = paths.get(path) ?? [];
    this.#fixed.set(method, paths.set(path, [[...before as [T, Params][], [handler, {}]]]));
  }

  match(method: string, path: string): Result<T> {
    const fixed = this.#fixed.get(method)?.get(path);
    if (fixed) return fixed;
    if (this.#added.length > 0) this.#settle();
    const nearer = this.#nearer.match(method, path);
    return nearer[0].length > 0 ? nearer : this.#others.match(method, path);
  }

  #settle(): void {
    for (const one of this.#added) {
      const router = this.#added.some((other) => isNearer(one, other)) ? this.#nearer : this.#others;
      router.add(...one);
    }
    this.#added = [];
  }
}

const regExpRouter = <T>() => new SmartRouter<T>({ routers: [new RegExpRouter(), new TrieRouter()] });

/** Whether a path has a text at the first place where another one of its method has something else, and that has a parameter. */
function isNearer([method, path]: Added<unknown>, [otherMethod, other]: Added<unknown>): boolean {
  if (method !== otherMethod) return false;
  const segments = path.split("/"), others = other.split("/");
  const at = segments.findIndex((segment, i) => segment !== others[i]);
  return at >= 0 && !segments[at]!.startsWith(":") && others[at]?.startsWith(":") === true;
}
