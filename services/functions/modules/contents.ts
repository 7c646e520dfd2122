import { BOUNDS } from "./bounds.ts";
import { Cursor, tooMany } from "./cursor.ts";
import { skipConstant } from "./expressions.ts";
import { type Limits, memoryOf, tablesOf } from "./limits.ts";
import { grouped, refused, shown } from "./refusals.ts";
import { type Section, sectionsOf } from "./sections.ts";
import { Types, valueType } from "./types.ts";

const KINDS = ["function", "table", "memory", "global", "tag"] as const;

/** What is imported or exported. */
export type ExternalKind = typeof KINDS[number];

/** One import of a module. */
export interface ModuleImport {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternalKind;
  /** Of a function, as it is told. */
  readonly type: string | undefined;
}

/** One export of a module. */
export interface ModuleExport {
  readonly kind: ExternalKind;
  /** Of a function, as it is told. */
  readonly type: string | undefined;
}

/** What of a module matters to who calls it. */
export interface Contents {
  readonly imports: readonly ModuleImport[];
  readonly exports: ReadonlyMap<string, ModuleExport>;
  readonly memory: Limits | undefined;
}

/**
 * Reads what a module is made of, in time and memory that are in proportion to its length. Whether its code is valid is for an
 * engine to say.
 * @throws GatewayError `MODULE_INVALID` for damage, and for more of anything than {@link BOUNDS}
 */
export function contentsOf(bytes: Uint8Array): Contents {
  const sections = new Map(sectionsOf(bytes).map((section) => [section.name, section]));
  const cursor = (name: string) => cursorOf(bytes, sections.get(name));
  const types = new Types(bytes, sections.get("type"));
  const imports = importsOf(cursor("import"), types);
  const own = functionsOf(cursor("function"));
  const functions = [...imports.flatMap(({ index }) => index === undefined ? [] : [index]), ...own];
  tablesOf(bytes, sections.get("table"));
  const memory = memoryOf(bytes, sections.get("memory"));
  cursor("tag")?.count("tags", BOUNDS.tags);
  cursor("global")?.count("globals", BOUNDS.globals);
  const exports = exportsOf(cursor("export"), types, functions);
  checkElements(cursor("element"));
  checkCode(cursor("code"), own.length);
  cursor("data")?.count("data segments", BOUNDS.dataSegments);
  return { imports: imports.map(({ index: _, ...rest }) => rest), exports, memory };
}

const cursorOf = (bytes: Uint8Array, section: Section | undefined): Cursor | undefined =>
  section && new Cursor(bytes, section.from, section.to, `${section.name} section`);

function importsOf(
  cursor: Cursor | undefined,
  types: Types,
): (ModuleImport & { readonly index: number | undefined })[] {
  const imports: (ModuleImport & { index: number | undefined })[] = [];
  if (!cursor) return imports;
  for (let left = cursor.count("imports", BOUNDS.imports); left > 0; left--) {
    const module = cursor.name();
    const name = cursor.name();
    const kind = kindOf(cursor);
    const index = kind === "function" ? cursor.u32() : undefined;
    if (index === undefined) skipDescription(cursor, kind);
    imports.push({ module, name, kind, index, type: index === undefined ? undefined : typeAt(cursor, types, index) });
  }
  return imports;
}

function kindOf(cursor: Cursor): ExternalKind {
  const code = cursor.byte();
  const kind = KINDS[code];
  if (kind === undefined) throw cursor.damaged(`has something of the unknown kind ${code}`);
  return kind;
}

function skipDescription(cursor: Cursor, kind: ExternalKind): void {
  if (kind === "global" || kind === "table") valueType(cursor);
  if (kind === "global") return cursor.skip(1);
  if (kind === "tag") {
    cursor.skip(1);
    return void cursor.u32();
  }
  // None of these is taken, and so it does not matter what they say.
  const flags = cursor.byte();
  for (let left = flags & 1 ? 2 : 1; left > 0; left--) {
    if (flags & 4) cursor.skipSigned(64);
    else cursor.u32();
  }
}

function typeAt(cursor: Cursor, types: Types, index: number): string {
  const type = types.told(index);
  if (type === undefined) throw cursor.damaged(`names the type ${grouped(index)}, which there is not`);
  return type;
}

/** The type of each function that the module defines. */
function functionsOf(cursor: Cursor | undefined): number[] {
  if (!cursor) return [];
  const count = cursor.count("functions", BOUNDS.functions);
  return Array.from({ length: count }, () => cursor.u32());
}

function exportsOf(
  cursor: Cursor | undefined,
  types: Types,
  functions: readonly number[],
): ReadonlyMap<string, ModuleExport> {
  const exports = new Map<string, ModuleExport>();
  if (!cursor) return exports;
  for (let left = cursor.count("exports", BOUNDS.exports); left > 0; left--) {
    const name = cursor.name();
    const kind = kindOf(cursor);
    const index = cursor.u32();
    if (exports.has(name)) throw refused(`The module exports ${shown(name)} twice.`);
    if (kind !== "function") {
      exports.set(name, { kind, type: undefined });
      continue;
    }
    const type = functions[index];
    if (type === undefined) throw cursor.damaged(`exports the function ${grouped(index)}, which there is not`);
    exports.set(name, { kind, type: typeAt(cursor, types, type) });
  }
  return exports;
}

/** See https://webassembly.github.io/spec/core/binary/modules.html#element-section for what the flags say. */
function checkElements(cursor: Cursor | undefined): void {
  if (!cursor) return;
  let elements = 0, instructions = 0;
  const constant = () => {
    instructions += skipConstant(cursor);
    if (instructions > BOUNDS.constantsInAll) {
      throw tooMany("instructions in its element segments, or more", instructions, BOUNDS.constantsInAll);
    }
  };
  for (let left = cursor.count("element segments", BOUNDS.elementSegments); left > 0; left--) {
    const flags = cursor.u32();
    if (flags > 7) throw cursor.damaged(`has a segment with the unknown flags ${flags}`);
    const isActive = (flags & 1) === 0;
    const isExplicit = (flags & 2) !== 0;
    const areExpressions = (flags & 4) !== 0;
    if (isActive && isExplicit) cursor.u32();
    if (isActive) constant();
    if (isExplicit || !isActive) {
      if (areExpressions) valueType(cursor);
      else cursor.skip(1);
    }
    const count = cursor.u32();
    elements += count;
    if (elements > BOUNDS.elements) throw tooMany("elements in its segments", elements, BOUNDS.elements);
    for (let each = 0; each < count; each++) {
      if (areExpressions) constant();
      else cursor.u32();
    }
  }
}

function checkCode(cursor: Cursor | undefined, functions: number): void {
  const bodies = cursor?.count("functions", BOUNDS.functions) ?? 0;
  if (bodies !== functions) {
    throw refused(`The module declares ${grouped(functions)} functions and has the code of ${grouped(bodies)}.`);
  }
  let groupsInAll = 0;
  for (let left = bodies; left > 0; left--) {
    const body = cursor!.within(cursor!.u32(), "code section");
    let locals = 0;
    const count = body.count("groups of local variables in one function", BOUNDS.localGroups);
    groupsInAll += count;
    if (groupsInAll > BOUNDS.localGroupsInAll) {
      throw tooMany("groups of local variables, or more", groupsInAll, BOUNDS.localGroupsInAll);
    }
    for (let groups = count; groups > 0; groups--) {
      locals += body.u32();
      if (locals > BOUNDS.locals) throw tooMany("local variables in one function", locals, BOUNDS.locals);
      valueType(body);
    }
  }
}
