import { fail } from "node:assert/strict";
import { ConfigError, type ConfigInput, type ConfigProblem, loadConfig, type Loaded } from "../../../config/index.ts";

/** What a test gives: the text of `orama.yaml`, other files by path, and the rest of {@link ConfigInput}. */
export interface Given extends Partial<Omit<ConfigInput, "file" | "readFile">> {
  readonly yaml?: string;
  readonly files?: Readonly<Record<string, string>>;
}

/** The input of the loader, with files in memory. */
export function inputOf({ yaml, files = {}, env = {}, flags = [], defaults }: Given): ConfigInput {
  const all = new Map(Object.entries({ ...files, ...(yaml !== undefined && { "orama.yaml": yaml }) }));
  const readFile = (path: string) => all.get(path) ?? fail(`No such file or directory: ${path}`);
  return { ...(yaml !== undefined && { file: "orama.yaml" }), readFile, env, flags, defaults };
}

/** Loads what must be right. */
export const load = (given: Given = {}): Loaded => loadConfig(inputOf(given));

/** Loads what must be refused. */
export function refusal(given: Given): ConfigError {
  try {
    loadConfig(inputOf(given));
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  return fail("the configuration was taken");
}

/** The problems of what must be refused. */
export const problemsOf = (given: Given): readonly ConfigProblem[] => refusal(given).problems;

/** The one problem of what must be refused for one reason alone. */
export function problemOf(given: Given): ConfigProblem {
  const [first, ...others] = problemsOf(given);
  if (!first || others.length > 0) fail(`one problem expected: ${JSON.stringify([first, ...others])}`);
  return first;
}
