import { ConstraintViolation } from "./control_database.ts";

const KINDS = { UNIQUE: "unique", "NOT NULL": "not_null", CHECK: "check", "FOREIGN KEY": "foreign_key" } as const;

/** What SQLite says when a constraint refuses a write, the same on both drivers; `undefined` for any other failure. */
export function constraintViolation(message: string, cause?: unknown): ConstraintViolation | undefined {
  const [, kind, subject] = /^(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: (.*))?$/s.exec(message) ?? [];
  if (kind === undefined) return undefined;
  return new ConstraintViolation(KINDS[kind as keyof typeof KINDS], subject ?? "", cause ?? new Error(message));
}
