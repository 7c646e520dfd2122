import { z } from "zod";
import { type FieldMeta, metaOf, type Section } from "./field.ts";
import { path as pathKind } from "./kinds/plain.ts";

/** One setting. */
export interface Leaf {
  readonly type: "leaf";
  /** `http.body.max_bytes`: the keys in a file, joined by dots; also the name in messages and origins. */
  readonly path: string;
  /** `ORAMA_HTTP__BODY__MAX_BYTES` */
  readonly variable: string;
  readonly schema: z.ZodType;
  readonly meta: FieldMeta;
  /** For a setting `x_file`: the setting `x` whose value the named file holds. It is no part of the configuration itself. */
  readonly contentOf?: Leaf;
}

/** Settings under one key. */
export interface Group {
  readonly type: "group";
  readonly path: string;
  readonly children: ReadonlyMap<string, Leaf | Group>;
}

/** The domains' sections, by name. */
export type Sections = Readonly<Record<string, Section>>;

/** Every setting there is, as a tree and by its names. Made from sections once; the loader, printer and reference walk it. */
export interface Catalogue {
  readonly sections: Sections;
  readonly root: Group;
  readonly byPath: ReadonlyMap<string, Leaf>;
  readonly byVariable: ReadonlyMap<string, Leaf>;
}

/** What the names of all our environment variables begin with. */
export const PREFIX = "ORAMA_";

/** `http.listen` → `ORAMA_HTTP__LISTEN` */
const variableOf = (path: string): string => PREFIX + path.toUpperCase().replaceAll(".", "__");

/**
 * Reads the settings out of the sections.
 * @throws TypeError for a section with a field that was not made by `field()` or `group()`: a defect
 */
export function catalogueOf(sections: Sections): Catalogue {
  const children = Object.entries(sections).map(([name, { schema }]) => [name, groupOf(schema, name)] as const);
  const root: Group = { type: "group", path: "", children: new Map(children) };
  const leaves = leavesOf(root);
  return {
    sections,
    root,
    byPath: new Map(leaves.map((leaf) => [leaf.path, leaf])),
    byVariable: new Map(leaves.map((leaf) => [leaf.variable, leaf])),
  };
}

/** All settings at or below a place, in the order of declaration. */
export const leavesOf = (place: Leaf | Group): Leaf[] =>
  place.type === "leaf" ? [place] : [...place.children.values()].flatMap(leavesOf);

function groupOf(schema: z.ZodObject, path: string): Group {
  const children = new Map<string, Leaf | Group>();
  for (const [name, child] of Object.entries(schema.shape)) {
    const childPath = `${path}.${name}`;
    if (child instanceof z.ZodObject && !metaOf(child)) {
      children.set(name, groupOf(child, childPath));
      continue;
    }
    const leaf = leafOf(child as z.ZodType, childPath);
    children.set(name, leaf);
    if (leaf.meta.secret || leaf.meta.inFile) children.set(`${name}_file`, fileLeafOf(leaf));
  }
  return { type: "group", path, children };
}

function leafOf(schema: z.ZodType, path: string): Leaf {
  const meta = metaOf(schema);
  if (!meta) throw new TypeError(`${path} was not declared with field()`);
  return { type: "leaf", path, variable: variableOf(path), schema, meta };
}

function fileLeafOf(setting: Leaf): Leaf {
  const path = `${setting.path}_file`;
  const meta = {
    kind: pathKind,
    description: `A file with the value of \`${setting.path}\`, without blanks at its ends. Give one of the two.`,
  };
  return { type: "leaf", path, variable: variableOf(path), schema: pathKind.schema, meta, contentOf: setting };
}
