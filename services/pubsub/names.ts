import type { TopicKey } from "./cluster/cluster.ts";
import { invalid } from "./failures.ts";

/** Bytes of UTF-8 that the name of a topic or a member may have. */
export const MAX_NAME_BYTES = 255;

/** @throws GatewayError `INVALID_REQUEST` for what can name neither a topic nor a member */
export function checkName(name: string, field: string): void {
  if (name === "") throw invalid(field, "is missing or empty");
  // No text has fewer bytes than UTF-16 units.
  if (name.length > MAX_NAME_BYTES) throw tooLong(field);
  if (!name.isWellFormed()) throw invalid(field, "holds half of a surrogate pair, which no UTF-8 can hold");
  let bytes = name.length;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) throw invalid(field, "holds a control character");
    // Each half of a surrogate pair is half of four bytes.
    if (code > 0x7f) bytes += code > 0x7ff && !(code >= 0xd800 && code <= 0xdfff) ? 2 : 1;
  }
  if (bytes > MAX_NAME_BYTES) throw tooLong(field);
}

const tooLong = (field: string) => invalid(field, `has more than ${MAX_NAME_BYTES} bytes of UTF-8`);

/** A topic as all gateways call it. */
export const keyOf = (namespace: string, topic: string): TopicKey => `${namespace}/${topic}`;
