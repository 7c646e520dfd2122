/** What must never reach a log: API keys, tokens in three parts, and the values of members that are named like secrets. */
const SECRET_TEXT = /\bak_[A-Za-z0-9_-]{16,}(:[A-Za-z0-9_-]+)?|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g;
const SECRET_NAME =
  /^(authorization|cookie|x-api-key|api_?key|password|passphrase|secret|signature|nonce|(access|refresh|id)?_?token|root_?key|private_?(key|jwk)|code(_verifier)?)$/i;
const HIDDEN = "[secret]";

/** Removes secrets from a text, whatever it is about. */
export const redactText = (text: string): string => text.replace(SECRET_TEXT, HIDDEN);

/**
 * The same for a value of any shape, by the names of its members and by its texts: what comes back is fit for JSON. Errors
 * become `{name, message, stack, cause}`, bytes their number.
 */
export const redact = (value: unknown): unknown => redactWithin(value, []);

/** @param around the objects that the value lies in */
function redactWithin(value: unknown, around: readonly object[]): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  // Without this, a few objects that name one another would be written out in every combination.
  if (around.includes(value)) return "[circular]";
  if (around.length > 6) return "[deep]";
  const inner = [...around, value];
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    return {
      name,
      message: redactText(message),
      ...(stack && { stack: redactText(stack) }),
      ...(cause !== undefined && { cause: redactWithin(cause, inner) }),
    };
  }
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return String(value);
  if (Array.isArray(value)) return value.map((item) => redactWithin(item, inner));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, SECRET_NAME.test(name) ? HIDDEN : redactWithin(item, inner)]),
  );
}
