import type { Assignment, Reading } from "../assignment.ts";
import { type Catalogue, type Group, leavesOf } from "../catalogue.ts";
import { type ConfigProblem, found, nearestOf } from "../problems.ts";
import { lineAt, parseYaml, toPlain, type YamlEntry, type YamlNode } from "../yaml.ts";
import { ORIGINAL_KEYS, translateOriginal } from "./original.ts";

/**
 * Reads what a configuration file says, ours or the Go gateway's `gateway.yaml`.
 * @param file its name, for messages
 */
export function readConfigText(catalogue: Catalogue, file: string, text: string): Reading {
  const { root, problems } = parseYaml(text);
  const at = (line: number) => ({ source: `${file}:${line}`, file, line });
  const broken = problems.map(({ line, problem }): ConfigProblem => ({ ...at(line), key: "", problem }));
  if (root === undefined || (root.kind === "scalar" && root.value === null)) {
    return { assignments: [], problems: broken };
  }
  if (root.kind !== "map") {
    const expected = `a map with the sections ${[...catalogue.root.children.keys()].join(", ")}`;
    return {
      assignments: [],
      problems: [...broken, {
        ...at(root.line),
        key: "",
        problem: `expected ${expected}; found ${nameOf(root)}`,
        expected,
      }],
    };
  }
  const walk = new Walk(catalogue, file);
  walk.group(catalogue.root, root.entries);
  const old = translateOriginal(catalogue, file, walk.originalKeys, walk.assignments);
  return {
    assignments: [...walk.assignments, ...old.assignments],
    problems: [...broken, ...walk.problems, ...old.problems],
    notes: old.notes ?? [],
  };
}

class Walk {
  readonly assignments: Assignment[] = [];
  readonly problems: ConfigProblem[] = [];
  /** Keys at the top that are the Go gateway's. */
  readonly originalKeys = new Map<string, YamlEntry>();

  constructor(private readonly catalogue: Catalogue, private readonly file: string) {}

  group(group: Group, entries: ReadonlyMap<string, YamlEntry>): void {
    for (const [key, entry] of entries) {
      const child = group.children.get(key);
      if (child?.type === "leaf") {
        this.assignments.push({
          leaf: child,
          raw: toPlain(entry.node),
          origin: { kind: "file", file: this.file, line: entry.line },
          lineAt: (path) => path.length === 0 ? entry.line : lineAt(entry.node, path),
        });
      } else if (child) this.#inner(child, entry);
      else if (group.path === "" && ORIGINAL_KEYS.has(key)) this.originalKeys.set(key, entry);
      else this.#unknown(group, key, entry);
    }
  }

  #inner(group: Group, { line, node }: YamlEntry): void {
    if (node.kind === "map") return this.group(group, node.entries);
    // A section whose settings are all commented out.
    if (node.kind === "scalar" && node.value === null) return;
    const expected = `a map with the keys ${[...group.children.keys()].join(", ")}`;
    this.#refuse(line, { key: group.path, problem: `expected ${expected}; found ${nameOf(node)}`, expected });
  }

  #unknown(group: Group, key: string, { line }: YamlEntry): void {
    const known = [...group.children.keys(), ...(group.path === "" ? ORIGINAL_KEYS.keys() : [])];
    const nearest = nearestOf(key, known) ?? this.#elsewhere(key, group);
    this.#refuse(line, {
      key: (group.path === "" ? key : `${group.path}.${key}`).slice(0, 200),
      problem: "unknown key",
      expected: `one of the keys ${[...group.children.keys()].join(", ")}`,
      ...(nearest !== undefined && { nearest }),
    });
  }

  /** A right key in a wrong place; of several, the one that is in the same section. */
  #elsewhere(key: string, { path: place }: Group): string | undefined {
    const paths = leavesOf(this.catalogue.root).map(({ path }) => path).filter((path) =>
      path === key || path.endsWith(`.${key}`)
    );
    const section = `${place.split(".", 1)[0]}.`;
    return paths.find((path) => path.startsWith(section)) ?? paths[0];
  }

  #refuse(line: number, problem: Omit<ConfigProblem, "source" | "file" | "line">): void {
    this.problems.push({ source: `${this.file}:${line}`, file: this.file, line, ...problem });
  }
}

/** What stands there; a scalar's text is left out, since what stands in a wrong place may be a secret. */
const nameOf = (node: YamlNode) =>
  node.kind === "scalar" ? found(node.value, true) : node.kind === "list" ? "a list" : "a map";
