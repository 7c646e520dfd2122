import { timingSafeEqual } from "node:crypto";

/** Whether two secrets are the same, in a time that tells only whether their lengths are. Texts are compared as UTF-8. */
export function constantTimeEqual(a: Uint8Array | string, b: Uint8Array | string): boolean {
  const left = typeof a === "string" ? new TextEncoder().encode(a) : a;
  const right = typeof b === "string" ? new TextEncoder().encode(b) : b;
  return left.length === right.length && timingSafeEqual(left, right);
}
