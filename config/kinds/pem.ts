import { createPrivateKey, X509Certificate } from "node:crypto";
import { type Kind, parsedKind } from "./kind.ts";

const BLOCK = /-----BEGIN ([A-Z\d ]+)-----\r?\n[A-Za-z\d+/=\s]+?-----END \1-----/g;
const asWritten = (value: string) => value;

/** One or several X.509 certificates in PEM (RFC 7468); text around them is left as it is. Becomes the text itself. */
export const certificates: Kind<string> = parsedKind({
  name: "certificates in PEM",
  expected: "certificates in PEM, each from -----BEGIN CERTIFICATE----- to its end",
  parse: (raw) => {
    const blocks = blocksOf(raw);
    const right = ({ label, text }: Block) => label === "CERTIFICATE" && succeeds(() => new X509Certificate(text));
    return blocks.length > 0 && blocks.every(right) ? raw as string : undefined;
  },
  toYaml: asWritten,
});

/** One private key in PEM (PKCS #8, PKCS #1 or SEC 1), not encrypted. Becomes the text itself. For secret fields. */
export const privateKey: Kind<string> = parsedKind({
  name: "private key in PEM",
  expected: "one private key in PEM that is not encrypted, from -----BEGIN PRIVATE KEY----- to its end",
  parse: (raw) => {
    const keys = blocksOf(raw).filter(({ label }) => label.endsWith("PRIVATE KEY"));
    return keys.length === 1 && succeeds(() => createPrivateKey(keys[0]!.text)) ? raw as string : undefined;
  },
  toYaml: asWritten,
});

interface Block {
  /** `CERTIFICATE` */
  readonly label: string;
  readonly text: string;
}

function blocksOf(raw: unknown): Block[] {
  if (typeof raw !== "string") return [];
  const blocks = [...raw.matchAll(BLOCK)].map(([text, label = ""]) => ({ label, text }));
  // One that is cut off must not be left out silently.
  return raw.split("-----BEGIN ").length === blocks.length + 1 ? blocks : [];
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
