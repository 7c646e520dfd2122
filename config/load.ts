import type { z } from "zod";
import { type Assignment, judge, placeOf, type Reading } from "./assignment.ts";
import { type Catalogue, catalogueOf, type Group, type Leaf } from "./catalogue.ts";
import { type Origin, originText } from "./origin.ts";
import { ConfigError, type ConfigProblem } from "./problems.ts";
import type { RuleProblem } from "./field.ts";
import { rulesBetween } from "./rules.ts";
import * as sections from "./sections/index.ts";
import { readEnvironment } from "./sources/environment.ts";
import { readConfigText } from "./sources/file.ts";
import { type Given, readGiven } from "./sources/given.ts";

/** Everything that can be configured: durations in milliseconds, sizes in bytes. */
export type Config = { [Name in keyof typeof sections]: z.output<(typeof sections)[Name]["schema"]> };

/** What a configuration is made from. */
export interface ConfigInput {
  /** Path of the YAML file, if there is one. */
  readonly file?: string | undefined;
  /** Gives a file's text. What it throws becomes a problem that names the file. */
  readonly readFile: (path: string) => string;
  /** All variables of the process; those that do not begin with `ORAMA_` are left alone. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * What the command line says: path of the setting, value, name of the flag. A text is read as a variable's would be;
   * `undefined` is a flag that was not given.
   */
  readonly flags: readonly (readonly [path: string, value: unknown, flag: string])[];
  /** Defaults of a mode such as `dev`, in place of the ordinary ones. Anything else wins over them. */
  readonly defaults?: { readonly name: string; readonly values: Readonly<Record<string, unknown>> } | undefined;
}

/** A configuration that can be used. */
export interface Loaded<C = Config> {
  readonly config: C;
  /** Where each setting's value came from, by path (`http.listen`). */
  readonly origins: ReadonlyMap<string, Origin>;
  /** What the operator should know: one sentence for each key of the Go gateway's file. */
  readonly notes: readonly string[];
}

/** Every setting of this version. */
export const CATALOGUE: Catalogue = catalogueOf(sections);

/**
 * Makes the configuration: defaults < file < environment < flags; a list or map is replaced as a whole.
 * Reads nothing but through `readFile`.
 * @throws ConfigError with everything that is wrong
 */
export const loadConfig = (input: ConfigInput): Loaded =>
  load(CATALOGUE, input, (config) => rulesBetween(config as Config)) as Loaded;

/** The same for any sections. @param rules between them @throws ConfigError */
export function load(
  catalogue: Catalogue,
  input: ConfigInput,
  rules: (config: Readonly<Record<string, unknown>>) => readonly RuleProblem[] = () => [],
): Loaded<Record<string, unknown>> {
  const { env, flags, defaults } = input;
  const presets = Object.entries(defaults?.values ?? {}).map(([path, value]): Given => ({
    path,
    value,
    source: { kind: "default", preset: defaults!.name },
  }));
  const flagged = flags.map(([path, value, flag]): Given => ({ path, value, source: { kind: "flag", flag } }));
  const readings = [
    readGiven(catalogue, presets),
    readFileOf(catalogue, input),
    readEnvironment(catalogue, env),
    readGiven(catalogue, flagged),
  ];
  const said = readings.flatMap(({ assignments }) => assignments);
  // A value that another one overrides is judged too: it would stop the start on the day that the other one is taken away.
  const judged = said.map((assignment) => ({ assignment, problems: judge(assignment) }));
  const problems = [...readings.flatMap((reading) => reading.problems), ...judged.flatMap((one) => one.problems)];
  const winners = new Map<string, Assignment>();
  for (const { assignment, problems } of judged) {
    if (problems.length === 0) winners.set(assignment.leaf.path, assignment);
  }
  problems.push(...readNamedFiles(winners, input.readFile));

  const config = build(catalogue, winners);
  problems.push(...brokenRules(catalogue, config, winners, problems, rules(config)));
  if (problems.length > 0) throw new ConfigError(problems.sort(byPlace));
  const settings = [...catalogue.byPath.values()].filter(({ contentOf }) => !contentOf);
  return {
    config,
    origins: new Map(settings.map(({ path }) => [path, winners.get(path)?.origin ?? { kind: "default" }])),
    notes: readings.flatMap(({ notes }) => notes ?? []),
  };
}

function readFileOf(catalogue: Catalogue, { file, readFile }: ConfigInput): Reading {
  if (file === undefined) return { assignments: [], problems: [] };
  let text: string;
  try {
    text = readFile(file);
  } catch (error) {
    const problem = `cannot be read: ${messageOf(error)}`;
    return { assignments: [], problems: [{ source: file, file, key: "", problem, expected: "a readable file" }] };
  }
  return readConfigText(catalogue, file, text);
}

/** Puts the content of each `x_file` in the place of `x`. */
function readNamedFiles(winners: Map<string, Assignment>, readFile: (path: string) => string): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const named of [...winners.values()]) {
    const setting = named.leaf.contentOf;
    if (!setting) continue;
    winners.delete(named.leaf.path);
    const plain = winners.get(setting.path);
    if (plain && plain.origin.kind !== "default") {
      const problem = `says the same as ${setting.path} (${originText(plain.origin)}): give only one of them`;
      const expected = `either ${named.leaf.path} or ${setting.path}`;
      problems.push({ ...placeOf(named), key: named.leaf.path, problem, expected });
      continue;
    }
    const file = String(named.raw);
    const content = contentOf(file, readFile);
    if ("problem" in content) {
      problems.push({ ...placeOf(named), key: named.leaf.path, ...content });
      continue;
    }
    const raw = setting.meta.kind.fromText(content.text);
    const assignment: Assignment = { leaf: setting, raw, origin: { ...named.origin, contentOf: file } };
    const wrong = judge(assignment);
    problems.push(...wrong);
    if (wrong.length === 0) winners.set(setting.path, assignment);
  }
  return problems;
}

function contentOf(
  file: string,
  readFile: (path: string) => string,
): { readonly text: string } | Pick<ConfigProblem, "problem" | "expected"> {
  try {
    const text = readFile(file).replace(/^\uFEFF/, "").trim();
    return text === "" ? { problem: `${file} is empty`, expected: "a file with the value in it" } : { text };
  } catch (error) {
    return { problem: `${file} cannot be read: ${messageOf(error)}`, expected: "a readable file" };
  }
}

/** Parses what won, section by section. Everything in `winners` was judged before, so this cannot fail. */
function build({ root, sections }: Catalogue, winners: ReadonlyMap<string, Assignment>): Record<string, unknown> {
  const rawOf = (place: Leaf | Group): unknown => {
    if (place.type === "leaf") return winners.get(place.path)?.raw;
    const inside = [...place.children].map(([name, child]) => [name, rawOf(child)] as const);
    return Object.fromEntries(inside.filter(([, raw]) => raw !== undefined));
  };
  return Object.fromEntries(
    Object.entries(sections).map(([name, { schema }]) => [name, schema.parse(rawOf(root.children.get(name)!))]),
  );
}

/** Rules between settings. Of a setting that is wrong by itself no rule can say anything. */
function brokenRules(
  { sections, byPath }: Catalogue,
  config: Readonly<Record<string, unknown>>,
  winners: ReadonlyMap<string, Assignment>,
  known: readonly ConfigProblem[],
  between: readonly RuleProblem[],
): ConfigProblem[] {
  // What could not be read may have held what a rule would miss.
  if (known.some(({ key }) => key === "")) return [];
  const settingOf = (path: string): string => byPath.has(path) ? path : settingOf(path.slice(0, path.lastIndexOf(".")));
  const isWrong = (path: string) =>
    known.some(({ key }) => key === path || key.startsWith(`${path}.`) || key === `${path}_file`);
  const within = Object.entries(sections).flatMap(([name, section]) =>
    section.check(config[name] as never).map(({ key, because, expected }): RuleProblem => ({
      key: `${name}.${key}`,
      ...(because !== undefined && { because: `${name}.${because}` }),
      expected,
    }))
  );
  return [...within, ...between].flatMap(({ key: path, because: reason, expected }): ConfigProblem[] => {
    const setting = settingOf(path);
    if (isWrong(setting) || (reason !== undefined && isWrong(reason))) return [];
    const inside = path.slice(setting.length + 1).split(".").filter((step) => step !== "");
    const place = winners.get(setting) ?? (reason === undefined ? undefined : winners.get(reason));
    return [{
      ...(place ? placeOf(place, winners.has(setting) ? inside : []) : { source: "default" }),
      key: path,
      problem: `expected ${expected}`,
      expected,
    }];
  });
}

/** The file from top to bottom, then the rest in the order in which it was found. */
function byPlace({ line: a = Infinity }: ConfigProblem, { line: b = Infinity }: ConfigProblem): number {
  return a === b ? 0 : a - b;
}

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error);
