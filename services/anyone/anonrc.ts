/** One option of an `anonrc`, or a line of it that is none: blank, or a comment. */
export interface AnonrcEntry {
  /** As it stands in the file, its line breaks included. */
  readonly text: string;
  /** The option's name as it is written, without the `+` or `/` before it; `undefined` for a line that is none. */
  readonly option: string | undefined;
  /** Without quotes, comment and line breaks. */
  readonly value: string;
}

/** A file that `anon` itself would refuse to read. Its message names the line. */
export class AnonrcSyntaxError extends Error {
  override readonly name = "AnonrcSyntaxError";
}

const isBlank = (char: string | undefined) => char === " " || char === "\t" || char === "\r";

/**
 * Takes an `anonrc` apart. Its form is that of a torrc: tor(1), "The configuration file format", with comments, quoted values and
 * lines that are continued. The texts of all entries make the file again.
 * @throws AnonrcSyntaxError
 */
export function parseAnonrc(text: string): AnonrcEntry[] {
  const entries: AnonrcEntry[] = [];
  for (let at = 0; at < text.length;) {
    const entry = entryAt(text, at);
    entries.push(entry);
    at += entry.text.length;
  }
  return entries;
}

function entryAt(text: string, start: number): AnonrcEntry {
  let at = start;
  while (isBlank(text[at])) at++;
  if (at >= text.length || text[at] === "\n" || text[at] === "#") {
    return { text: text.slice(start, endOfLine(text, at)), option: undefined, value: "" };
  }
  const name = at;
  while (at < text.length && !/[\s#]/.test(text[at]!) && !isContinued(text, at)) at++;
  const option = text.slice(name, at).replace(/^[+/]/, "");
  for (;;) {
    while (isBlank(text[at])) at++;
    if (!isContinued(text, at)) break;
    at += 2;
  }
  const { value, end } = text[at] === '"' ? quotedAt(text, at) : plainAt(text, at);
  return { text: text.slice(start, endOfLine(text, end)), option, value };
}

/** In a value that is continued, a comment ends with its line and the value goes on after it. */
function plainAt(text: string, start: number): { value: string; end: number } {
  let at = start, value = "", continued = false;
  while (at < text.length && text[at] !== "\n" && (text[at] !== "#" || continued)) {
    if (isContinued(text, at)) {
      continued = true;
      at += 2;
    } else if (text[at] === "#") at = endOfLine(text, at);
    else value += text[at++];
  }
  return { value: value.trim(), end: at };
}

function quotedAt(text: string, start: number): { value: string; end: number } {
  const line = text.slice(start, endOfLine(text, start));
  const [, inner, after] = /^"((?:[^"\\\n]|\\[^\n])*)"([^\n]*)/.exec(line) ?? [];
  if (inner === undefined || !/^\s*(#.*)?$/.test(after!)) {
    const number = text.slice(0, start).split("\n").length;
    throw new AnonrcSyntaxError(`line ${number}: a value in quotes has no end, or something stands behind it`);
  }
  return { value: unescaped(inner), end: start + line.length - 1 };
}

const ESCAPED: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

/** Undoes the escapes of C, as far as tor knows them. */
export const unescaped = (text: string): string =>
  text.replace(
    /\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))/gs,
    (_, hex?: string, octal?: string, char = "") =>
      hex !== undefined
        ? String.fromCharCode(parseInt(hex, 16))
        : octal !== undefined
        ? String.fromCharCode(parseInt(octal, 8) & 0xff)
        : ESCAPED[char] ?? char,
  );

/** A value as it must be written: in quotes where it would be cut short, or be read as something else. */
export const written = (value: string): string =>
  /["#\\]|^\s|\s$/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value;

const isContinued = (text: string, at: number) => text[at] === "\\" && text[at + 1] === "\n";

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
}

/** An option as it is to be. */
export interface WantedOption {
  readonly option: string;
  /** One line each, in this order; none: the option is not to be there. */
  readonly values: readonly string[];
  /** Whether what stands there already does the same, so that it stays as it is. Default: whether the values are these. */
  readonly suits?: ((values: readonly string[]) => boolean) | undefined;
}

/** A line of the difference between two files. */
export interface DiffLine {
  readonly sign: " " | "-" | "+";
  readonly line: string;
}

/** What becomes of a file. */
export interface EditedAnonrc {
  readonly text: string;
  /** All lines of both, in their order. */
  readonly lines: readonly DiffLine[];
  readonly changed: boolean;
}

/** Letters that an abbreviation has at least: with fewer, too many options begin so. */
const SHORTEST = 4;

/**
 * Which of some options a name in a file means. Letter case does not matter, and `anon`, like tor, still takes the beginning of a
 * name for the whole: `ExitRel 1` after `ExitRelay 0` would make an exit.
 * @returns `undefined` where it is none of them
 */
export function meant(name: string, options: readonly string[]): string | undefined {
  const lower = name.toLowerCase();
  const exact = options.find((option) => option.toLowerCase() === lower);
  if (exact !== undefined || lower.length < SHORTEST) return exact;
  const begun = options.filter((option) => option.toLowerCase().startsWith(lower));
  return begun.length === 1 ? begun[0] : undefined;
}

/** Changes the options that are wanted, each where it stands first or else at the end, and leaves everything else as it is. */
export function editAnonrc(entries: readonly AnonrcEntry[], wanted: readonly WantedOption[]): EditedAnonrc {
  const names = wanted.map(({ option }) => option);
  const meanings = entries.map(({ option }) => option === undefined ? undefined : meant(option, names));
  const changing = wanted.filter((want) => {
    const values = entries.filter((_, i) => meanings[i] === want.option).map(({ value }) => value);
    const suits = want.suits ?? ((values) => sameList(values, want.values));
    return !suits(values);
  });
  const pending = new Map(changing.map(({ option, values }) => [option, values]));
  const lines: DiffLine[] = [];
  const add = (option: string) => {
    for (const value of pending.get(option) ?? []) lines.push({ sign: "+", line: `${option} ${written(value)}` });
    pending.delete(option);
  };
  for (const [i, { text }] of entries.entries()) {
    const changed = changing.find(({ option }) => option === meanings[i]);
    const sign = changed === undefined ? " " : "-";
    lines.push(...text.replace(/\n$/, "").split("\n").map((line) => ({ sign, line }) as const));
    if (changed) add(changed.option);
  }
  for (const { option } of changing) add(option);
  return {
    text: lines.filter(({ sign }) => sign !== "-").map(({ line }) => `${line}\n`).join(""),
    lines,
    changed: lines.some(({ sign }) => sign !== " "),
  };
}

const sameList = (some: readonly string[], others: readonly string[]) =>
  some.length === others.length && some.every((value, i) => value === others[i]);
