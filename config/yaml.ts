import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from "yaml";

/** A piece of YAML that knows its line. */
export type YamlNode =
  & {
    /** Counted from 1. */
    readonly line: number;
    /** How many values it stands for, those of aliases counted each time. */
    readonly size: number;
    /** How many levels it has, those of aliases included. */
    readonly height: number;
  }
  & (
    | { readonly kind: "scalar"; readonly value: unknown }
    | { readonly kind: "list"; readonly items: readonly YamlNode[] }
    | { readonly kind: "map"; readonly entries: ReadonlyMap<string, YamlEntry> }
  );

/** One key of a map and its value. */
export interface YamlEntry {
  /** Line of the key. */
  readonly line: number;
  readonly node: YamlNode;
}

/** What is wrong with a text as YAML. Never quotes values: they may be secret. */
export interface YamlProblem {
  readonly line: number;
  readonly problem: string;
}

/** What {@link parseYaml} found. */
export interface ParsedYaml {
  /** Absent when the text is empty or no YAML at all. */
  readonly root?: YamlNode;
  readonly problems: readonly YamlProblem[];
}

/** A configuration is a page or two; more is a mistake or an attack. */
export const MAX_CHARACTERS = 1024 * 1024;
const MAX_VALUES = 100_000;
/** One slip can make the parser complain at every sign that follows. */
const MAX_COMPLAINTS = 100;
const MAX_DEPTH = 32;

/**
 * Reads one document of YAML 1.2 (core schema). Unknown tags, keys given twice, more than one document and the key
 * `__proto__` are problems. Aliases are values shared, never copied, and the values they stand for are counted, so that
 * a few lines cannot unfold into gigabytes.
 */
export function parseYaml(text: string): ParsedYaml {
  if (text.length > MAX_CHARACTERS) return failed(`longer than ${MAX_CHARACTERS} characters`);
  const lineCounter = new LineCounter();
  // What is missing at the end is missed on the last line that has something on it.
  const end = text.trimEnd().length;
  const lineOf = (offset: number) => Math.max(1, lineCounter.linePos(Math.min(offset, end)).line);
  try {
    const document = parseDocument(text, {
      lineCounter,
      prettyErrors: false,
      stringKeys: true,
      // Checked below instead: the library compares every key with every other.
      uniqueKeys: false,
      schema: "core",
      merge: false,
      resolveKnownTags: false,
    });
    const complaints = [...document.errors, ...document.warnings].slice(0, MAX_COMPLAINTS);
    if (complaints.length > 0) {
      return { problems: complaints.map((error) => ({ line: lineOf(error.pos[0]), problem: sentence(error) })) };
    }
    return document.contents === null ? { problems: [] } : new Reader(lineOf).read(document.contents);
  } catch (error) {
    if (error instanceof TooMuch) return failed(error.message, error.line);
    if (error instanceof RangeError) return failed("nested too deeply");
    throw error;
  }
}

/** The value without its lines. Safe from `__proto__`, which {@link parseYaml} refuses. */
export function toPlain(node: YamlNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(toPlain);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toPlain(entry.node)]));
}

/** The line of what lies at a path below a node, or of the nearest thing above it that is there. */
export function lineAt(node: YamlNode, path: readonly PropertyKey[]): number {
  let here = node;
  let { line } = node;
  for (const step of path) {
    const entry = here.kind === "map" ? here.entries.get(String(step)) : undefined;
    const next = entry?.node ?? (here.kind === "list" ? here.items[Number(step)] : undefined);
    if (!next) break;
    line = entry?.line ?? next.line;
    here = next;
  }
  return line;
}

const failed = (problem: string, line = 1): ParsedYaml => ({ problems: [{ line, problem }] });

/** The library's words, without what they quote from the text. */
function sentence({ code, message }: YAMLError): string {
  if (code === "TAB_AS_INDENT") return "tabs cannot indent in YAML: use blanks";
  if (code === "MULTIPLE_DOCS") return "more than one YAML document in the file";
  if (code === "RESOURCE_EXHAUSTION") return "nested too deeply";
  const [said] = message.split(/: |\n/);
  const quote = code === "TAG_RESOLVE_FAILED" || code === "BAD_SCALAR_START";
  return `not valid YAML: ${said}${quote ? " (put quotes around a text that begins with a sign)" : ""}`;
}

class TooMuch extends Error {
  constructor(message: string, readonly line: number) {
    super(message);
  }
}

type Content = { readonly range?: readonly number[] | null; readonly anchor?: string | undefined };

class Reader {
  readonly #problems: YamlProblem[] = [];
  /** In the order of the document, so that a name that is given twice means the latest, as YAML has it. */
  readonly #anchors = new Map<string, YamlNode>();

  constructor(private readonly lineOf: (offset: number) => number) {}

  read(contents: unknown): ParsedYaml {
    const root = this.#node(contents, 1, 0);
    return { root, problems: this.#problems };
  }

  #node(content: unknown, parentLine: number, depth: number): YamlNode {
    const { range, anchor } = (content ?? {}) as Content;
    const line = range ? this.lineOf(range[0] ?? 0) : parentLine;
    if (depth > MAX_DEPTH) throw tooDeep(line);
    const node = this.#value(content, line, depth);
    // An alias can stand for a value as deep as is allowed, and stand deep itself.
    if (node.height > MAX_DEPTH) throw tooDeep(line);
    if (node.size > MAX_VALUES) throw new TooMuch(`more than ${MAX_VALUES} values, those of aliases included`, line);
    if (anchor) this.#anchors.set(anchor, node);
    return node;
  }

  #value(content: unknown, line: number, depth: number): YamlNode {
    if (isAlias(content)) {
      const target = this.#anchors.get(content.source);
      if (!target) {
        throw new TooMuch(
          "an alias of nothing that is complete before it (put quotes around a text that begins with a sign)",
          line,
        );
      }
      return { ...target, line };
    }
    if (isSeq(content)) {
      const items = content.items.map((item) => this.#node(item, line, depth + 1));
      return { kind: "list", line, items, ...extent(items) };
    }
    if (isMap(content)) {
      const entries = new Map<string, YamlEntry>();
      for (const { key, value } of content.items) this.#entry(entries, key, value, line, depth);
      return { kind: "map", line, entries, ...extent([...entries.values()].map(({ node }) => node)) };
    }
    return { kind: "scalar", line, value: isScalar(content) ? content.value : null, size: 1, height: 1 };
  }

  #entry(entries: Map<string, YamlEntry>, key: unknown, value: unknown, mapLine: number, depth: number): void {
    const line = isScalar(key) && key.range ? this.lineOf(key.range[0]) : mapLine;
    const node = this.#node(value, line, depth + 1);
    const name = isScalar(key) && typeof key.value === "string" ? key.value : undefined;
    if (name === undefined) this.#problems.push({ line, problem: "a key that is no text" });
    else if (name === "__proto__") this.#problems.push({ line, problem: '"__proto__" cannot be a key' });
    else if (entries.has(name)) {
      this.#problems.push({
        line,
        problem: `the key ${JSON.stringify(name.slice(0, 80))} is given twice (line ${entries.get(name)!.line})`,
      });
    } else entries.set(name, { line, node });
  }
}

const tooDeep = (line: number) => new TooMuch(`nested deeper than ${MAX_DEPTH} levels`, line);

const extent = (nodes: readonly YamlNode[]) => ({
  size: nodes.reduce((sum, { size }) => sum + size, 1),
  height: nodes.reduce((most, { height }) => Math.max(most, height), 0) + 1,
});
