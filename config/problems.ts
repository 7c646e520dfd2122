import { distance } from "fastest-levenshtein";

/** One thing that keeps a configuration from being used. */
export interface ConfigProblem {
  /** Where it was said: `orama.yaml:4`, `env ORAMA_LOG__LEVEL`, `--listen`; `default` for what nobody said. */
  readonly source: string;
  /** The file, when it was said there; `line` counts from 1. */
  readonly file?: string;
  readonly line?: number;
  /** Path of the setting (`http.listen`, `database.rqlite.pool.1.name`), or the unknown name as it was written. */
  readonly key: string;
  /** What is wrong, for a reader. Never holds a secret. */
  readonly problem: string;
  /** What would have been right, where that can be said. */
  readonly expected?: string;
  /** The known name that an unknown one comes closest to. */
  readonly nearest?: string;
}

/** The configuration cannot be used. `problems` holds everything that is wrong, `message` says it in lines for a reader. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(readonly problems: readonly ConfigProblem[]) {
    super(textOf(problems));
  }
}

const SHOWN = 50;

function textOf(problems: readonly ConfigProblem[]): string {
  const lines = problems.slice(0, SHOWN).map((one) => {
    const key = one.key === "" || one.source.endsWith(one.key) ? "" : `${one.key}: `;
    const hint = one.nearest === undefined ? "" : `; did you mean "${one.nearest}"?`;
    return printable(`  ${one.source}: ${key}${one.problem}${hint}`);
  });
  const more = problems.length - lines.length;
  const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  return [`the configuration has ${count}:`, ...lines, ...(more > 0 ? [`  and ${more} more`] : [])].join("\n");
}

/** The known name that a mistyped one most likely means; `undefined` when none is close. */
export function nearestOf(name: string, known: Iterable<string>): string | undefined {
  if (name.length > 100) return undefined;
  const wanted = normalised(name);
  let best: { readonly name: string; readonly score: number } | undefined;
  for (const candidate of known) {
    const score = distance(wanted, normalised(candidate));
    if (score < (best?.score ?? Infinity)) best = { name: candidate, score };
  }
  return best && best.score <= Math.max(2, Math.floor(best.name.length / 3)) ? best.name : undefined;
}

const normalised = (name: string) => name.toLowerCase().replaceAll("-", "_");

/** What was found in place of something right, short enough for a line; of a secret only what it is. */
export function found(value: unknown, secret: boolean): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value !== "string") return secret ? `a ${typeof value}` : String(value);
  if (secret) return "a text";
  // A URL in a field that takes none, or none with a password, still has its password.
  const shown = value.replace(/\/\/\S*@/g, "//[secret]@");
  return JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown);
}

/** The text with control characters spelled out, so that it stays on its line and cannot steer a terminal. */
export const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (sign) => `\\u${sign.codePointAt(0)!.toString(16).padStart(4, "0")}`);
