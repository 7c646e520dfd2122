/** A token, of which methods and names of fields are (RFC 9110, 5.6.2). */
export const TOKEN = /^[!#$%&'*+.^_`|~\da-z-]+$/i;

/**
 * A field's value without the blanks around it (RFC 9110, 5.6.3), in time that grows with its length alone. No-break spaces stay, which
 * in a value of bytes are parts of other characters.
 */
export function withoutBlanks(value: string): string {
  let start = 0, end = value.length;
  while (start < end && isBlank(value[start]!)) start++;
  while (end > start && isBlank(value[end - 1]!)) end--;
  return value.slice(start, end);
}

const isBlank = (char: string) => char === " " || char === "\t";
