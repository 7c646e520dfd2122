/** What must never reach a log: API keys, tokens in three parts, and the values of members that are named like secrets. */
const SECRET_TEXT = /\bak_[A-Za-z0-9_-]{16,}(:[A-Za-z0-9_-]+)?|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g;
const SECRET_NAME =
  /^(authorization|cookie|x-api-key|api_?key|password|passphrase|secret|signature|nonce|(access|refresh|id)?_?token|root_?key|private_?(key|jwk)|code(_verifier)?)$/i;
const HIDDEN = "[secret]";

/** Removes secrets from a text, whatever it is about. */
export const redactText = (text: string): string => text.replace(SECRET_TEXT, HIDDEN);

/** The same for a value of any shape, by the names of its members and by its texts. Errors become `{name, message, stack, cause}`. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth > 6) return "[deep]";
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    return {
      name,
      message: redactText(message),
      ...(stack && { stack: redactText(stack) }),
      ...(cause !== undefined && { cause: redact(cause, depth + 1) }),
    };
  }
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, SECRET_NAME.test(name) ? HIDDEN : redact(item, depth + 1)]),
  );
}
