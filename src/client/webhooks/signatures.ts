import { fromBase64 } from "../base64.ts";

/** A signature of a request, and what it says of itself (RFC 9421, 2.3). */
export interface RequestSignature {
  /** Names of fields and derived components that are signed. */
  readonly components: readonly string[];
  readonly params: ReadonlyMap<string, string | number>;
  /** What stands behind `"@signature-params": ` in the text that is signed. */
  readonly input: string;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** No sender signs with more keys than these; further signatures are not looked at. */
const MOST = 8;
/** Longer headers are none that a gateway sends. */
const LONGEST = 8_192;

const LABEL = /^([a-z*][a-z0-9_.*-]*)=/;
const COMPONENTS = /^\(("[^"\\]*"(?: "[^"\\]*")*)\)/;
const PARAM = /^;([a-z*][a-z0-9_.*-]*)=(?:"([^"\\]*)"|(-?\d{1,15}))/;
const BYTES = /^:([A-Za-z0-9+/]*={0,2}):$/;

/**
 * The signatures in the headers of a request. Those of a form that no gateway uses are left out: others may sign as well.
 * @param input `Signature-Input`
 * @param signature `Signature`
 */
export function signaturesIn(input: string, signature: string): readonly RequestSignature[] {
  if (input.length > LONGEST || signature.length > LONGEST) return [];
  const bytes = new Map(membersOf(signature).map(({ label, value }) => [label, bytesIn(value)]));
  const found = membersOf(input).slice(0, MOST).flatMap(({ label, value }) => {
    const described = describedBy(value), signed = bytes.get(label);
    return described && signed ? [{ ...described, input: value, signature: signed }] : [];
  });
  return found;
}

/** Members of a dictionary (RFC 9651, 3.2); of members with one label the last. */
function membersOf(text: string): readonly { readonly label: string; readonly value: string }[] {
  const members = new Map<string, string>();
  for (const part of splitAtCommas(text)) {
    const [, label] = LABEL.exec(part) ?? [];
    if (label !== undefined) members.set(label, part.slice(label.length + 1));
  }
  return [...members].map(([label, value]) => ({ label, value }));
}

function splitAtCommas(text: string): readonly string[] {
  const parts: string[] = [];
  let start = 0, isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (isQuoted && sign === "\\") at++;
    else if (sign === '"') isQuoted = !isQuoted;
    else if (sign === "," && !isQuoted) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  parts.push(text.slice(start).trim());
  return parts;
}

/** Only what is written as it would be serialised, so that the text itself is what was signed. */
function describedBy(value: string): Pick<RequestSignature, "components" | "params"> | undefined {
  const [list, inner] = COMPONENTS.exec(value) ?? [];
  if (list === undefined) return undefined;
  const components = inner!.split(" ").map((quoted) => quoted.slice(1, -1));
  const params = new Map<string, string | number>();
  for (let rest = value.slice(list.length); rest !== "";) {
    const [param, name, text, number] = PARAM.exec(rest) ?? [];
    if (param === undefined || params.has(name!)) return undefined;
    params.set(name!, text ?? Number(number));
    rest = rest.slice(param.length);
  }
  return new Set(components).size === components.length ? { components, params } : undefined;
}

/** The bytes of a byte sequence (RFC 9651, 3.3.5). */
export function bytesIn(value: string | undefined): Uint8Array<ArrayBuffer> | undefined {
  const [, text] = BYTES.exec(value ?? "") ?? [];
  if (text === undefined) return undefined;
  try {
    return fromBase64(text);
  } catch {
    return undefined;
  }
}

/** The value of one member of a dictionary. */
export const memberOf = (text: string, name: string): string | undefined =>
  text.length > LONGEST ? undefined : membersOf(text).find(({ label }) => label === name)?.value;
