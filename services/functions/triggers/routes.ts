import { LRUCache } from "lru-cache";
import type { FunctionTrigger, RouteMatch } from "../../../src/contracts/function_triggers.ts";
import { decoded, readPattern, type Segment } from "./route_pattern.ts";

type RouteTrigger = RouteMatch["trigger"];

interface Candidate {
  readonly trigger: RouteTrigger;
  readonly segments: readonly Segment[];
}

/** Paths are not looked at further than any pattern could take them apart. */
const LONGEST_PATH = 8_192;

/** The routes of one namespace, best first. */
export class RouteTable {
  readonly #byMethod: ReadonlyMap<string, readonly Candidate[]>;
  /** Roughly, in memory. */
  readonly bytes: number;

  constructor(triggers: readonly FunctionTrigger[]) {
    const candidates = triggers.filter(isRoute).filter(({ enabled }) => enabled)
      .map((trigger) => ({ trigger, segments: readPattern(trigger.source.path).segments })).sort(better);
    this.#byMethod = Map.groupBy(candidates, ({ trigger }) => trigger.source.method);
    this.bytes = 200 + candidates.reduce((sum, { trigger: { source } }) => sum + 1_000 + 10 * source.path.length, 0);
  }

  /**
   * The route that fits best: with most texts, then without a `*`, then with the first text further in front. `HEAD` is a `GET` where
   * nothing else takes it (RFC 9110, 9.3.2).
   * @param path percent-encoded, without a query
   */
  match(method: string, path: string): RouteMatch | undefined {
    if (path.length > LONGEST_PATH) return undefined;
    const bare = path.startsWith("/") ? path.slice(1) : path;
    const parts: string[] = [];
    for (const part of bare === "" ? [] : bare.split("/")) {
      const text = decoded(part);
      if (text === undefined) return undefined;
      parts.push(text);
    }
    return this.#find(method, parts) ?? (method === "HEAD" ? this.#find("GET", parts) : undefined);
  }

  #find(method: string, parts: readonly string[]): RouteMatch | undefined {
    for (const { trigger, segments } of this.#byMethod.get(method) ?? []) {
      const params = taken(segments, parts);
      if (params !== undefined) return { trigger, params };
    }
    return undefined;
  }
}

function taken(segments: readonly Segment[], parts: readonly string[]): Record<string, string> | undefined {
  const hasRest = segments.at(-1)?.kind === "rest";
  if (hasRest ? parts.length < segments.length - 1 : parts.length !== segments.length) return undefined;
  const params: [string, string][] = [];
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at]!, part = parts[at];
    if (segment.kind === "rest") params.push(["*", parts.slice(at).join("/")]);
    else if (part === undefined || part === "") return undefined;
    else if (segment.kind === "param") params.push([segment.name, part]);
    else if (segment.text !== part) return undefined;
  }
  // A parameter may be called `__proto__`.
  return Object.fromEntries(params);
}

const isRoute = (trigger: FunctionTrigger): trigger is RouteTrigger => trigger.source.kind === "route";

const texts = ({ segments }: Candidate) => segments.filter(({ kind }) => kind === "text").length;
const rank = ({ segments }: Candidate) =>
  segments.map(({ kind }) => ({ text: "0", param: "1", rest: "2" })[kind]).join("");
const rests = ({ segments }: Candidate) => Number(segments.at(-1)?.kind === "rest");

function better(a: Candidate, b: Candidate): number {
  const [first, second] = [rank(a), rank(b)];
  return texts(b) - texts(a) || rests(a) - rests(b) || (first < second ? -1 : first > second ? 1 : 0);
}

/** Where routes come from. */
export interface RouteCacheParts {
  /** @throws GatewayError `UNAVAILABLE` */
  readonly read: (namespace: string, signal: AbortSignal) => Promise<readonly FunctionTrigger[]>;
  /** @throws GatewayError `UNAVAILABLE` when nothing was heard of changes for so long that memory proves nothing */
  readonly assertFresh: () => void;
}

/** Bytes of all tables together. */
const MEMORY = 16 * 2 ** 20;
/** Milliseconds that reading has: several requests may wait for it. */
const READING = 3_000;

/** Routes of namespaces in memory. What is being read when a change is told of may be older than that, and is not kept. */
export class RouteCache {
  readonly #known = new LRUCache<string, RouteTable>({ maxSize: MEMORY, sizeCalculation: ({ bytes }) => bytes });
  readonly #underWay = new Map<string, Promise<RouteTable>>();

  constructor(private readonly parts: RouteCacheParts) {}

  /** The routes of a namespace, at once where they are known. */
  of(namespace: string): RouteTable | Promise<RouteTable> {
    this.parts.assertFresh();
    return this.#known.get(namespace) ?? this.#underWay.get(namespace) ?? this.#read(namespace);
  }

  /** They changed, or the namespace is gone. */
  changed(namespace: string): void {
    this.#known.delete(namespace);
    this.#underWay.delete(namespace);
  }

  #read(namespace: string): Promise<RouteTable> {
    const isLatest = () => this.#underWay.get(namespace) === reading;
    const reading: Promise<RouteTable> = this.parts.read(namespace, AbortSignal.timeout(READING)).then((triggers) => {
      const table = new RouteTable(triggers);
      if (isLatest()) this.#known.set(namespace, table);
      return table;
    }).finally(() => {
      if (isLatest()) this.#underWay.delete(namespace);
    });
    this.#underWay.set(namespace, reading);
    return reading;
  }
}
