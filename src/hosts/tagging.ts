/**
 * Values that JSON does not have travel as objects with one member whose name begins with `$`: `{"$i": "123"}` an integer
 * beyond doubles, `{"$b": "…"}` bytes in base64. An object of the sender's own that looks so is wrapped: `{"$o": {…}}`. Only
 * a message that holds such a value is rewritten, and is marked, so that all others cost a look and no more.
 */

/** The same value fit for JSON, and whether it was rewritten. */
export const tag = (value: unknown): { readonly value: unknown; readonly tagged: boolean } =>
  needsTags(value) ? { value: rewritten(value), tagged: true } : { value, tagged: false };

function needsTags(value: unknown): boolean {
  if (typeof value === "bigint") return true;
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) {
    for (const item of value) {
      // Numbers and texts are most of what there is: not worth a call.
      const kind = typeof item;
      if (kind !== "number" && kind !== "string" && needsTags(item)) return true;
    }
    return false;
  }
  if (value instanceof Uint8Array) return true;
  for (const name in value) {
    if (name[0] === "$" || needsTags((value as Record<string, unknown>)[name])) return true;
  }
  return false;
}

function rewritten(value: unknown): unknown {
  if (typeof value === "bigint") return { $i: String(value) };
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(rewritten);
  if (value instanceof Uint8Array) return { $b: value.toBase64() };
  const members = Object.entries(value);
  const copy = Object.fromEntries(members.map(([name, member]) => [name, rewritten(member)]));
  return members.length === 1 && members[0]![0][0] === "$" ? { $o: copy } : copy;
}

/** Characters of an integer: those of 128 bits and a sign. Millions of digits would take seconds. */
const MAX_DIGITS = 40;

/** Undoes {@link tag}. @throws SyntaxError for a tag that is none */
export function untag(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(untag);
  const members = Object.entries(value);
  const [name, inner] = members[0] ?? [];
  if (members.length !== 1 || name?.[0] !== "$") return untagMembers(members);
  if (name === "$i" && typeof inner === "string" && inner.length <= MAX_DIGITS) return BigInt(inner);
  if (name === "$b" && typeof inner === "string") return Uint8Array.fromBase64(inner);
  if (name === "$o" && typeof inner === "object" && inner !== null) return untagMembers(Object.entries(inner));
  throw new SyntaxError(`there is no tag ${name}`);
}

const untagMembers = (members: readonly [string, unknown][]) =>
  Object.fromEntries(members.map(([name, member]) => [name, untag(member)]));
