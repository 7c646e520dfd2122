import { GatewayError } from "../../../src/contracts/errors.ts";

/** How much of a name is told: a longer one is no name that somebody would look for. */
const TOLD = 64;

/** That a module is not taken. @param sentence what is wrong with it, for whoever deploys it */
export const refused = (sentence: string): GatewayError => new GatewayError("MODULE_INVALID", sentence);

/** A name as it is told: bare where it is plain, else in quotation marks, without characters that nobody sees. */
export function shown(name: string): string {
  const cut = name.length > TOLD ? `${name.slice(0, TOLD)}…` : name;
  if (/^[\w.:/@$-]+…?$/.test(cut)) return cut;
  const visible = cut.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}"\\]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
  return `"${visible}"`;
}

/** A list of names for a sentence, of which no more than ten are told. */
export function listed(names: readonly string[]): string {
  const told = names.slice(0, 10).map(shown);
  return names.length > told.length ? `${told.join(", ")} and ${names.length - told.length} more` : told.join(", ");
}

/** A whole number as it is told. */
export const grouped = (value: number): string => value.toLocaleString("en-US");
