import type { NewUpload } from "../../../src/contracts/resumable_uploads.ts";
import { bytesOf, wrong } from "./headers.ts";

const HEADER = "Upload-Metadata";
/** Characters of all of it. */
const MAX = 4_096;
const PRINTABLE = /^[\x21-\x2b\x2d-\x7e]+$/;

/** What a client says of an upload: as it wrote it, and as far as it means something here. */
export type Metadata = Pick<NewUpload, "metadata" | "options">;

/**
 * Reads `Upload-Metadata`: pairs of a key and a value in base64. Keys that mean nothing here are kept for the client.
 * @throws GatewayError `INVALID_REQUEST`
 */
export function metadataOf(header: string | null): Metadata {
  const metadata = header?.trim() ?? "";
  if (metadata.length > MAX) throw wrong(HEADER, `has more than ${MAX} characters`);
  const values = new Map<string, Uint8Array>();
  for (const pair of metadata === "" ? [] : metadata.split(",")) {
    const [key = "", value = "", ...more] = pair.trim().split(" ");
    if (!PRINTABLE.test(key)) throw wrong(HEADER, "each key is of printable ASCII, and not empty");
    if (values.has(key)) throw wrong(HEADER, `the key ${key} is there twice`);
    const bytes = more.length === 0 ? bytesOf(value) : undefined;
    if (bytes === undefined) throw wrong(HEADER, `the value of ${key} must be base64, padded`);
    values.set(key, bytes);
  }
  const text = (...keys: readonly string[]) => {
    const key = keys.find((one) => values.has(one));
    return key === undefined ? undefined : textOf(key, values.get(key)!);
  };
  const choice = <T>(key: string, choices: Readonly<Record<string, T>>): T | undefined => {
    const given = text(key);
    if (given === undefined) return undefined;
    if (Object.hasOwn(choices, given)) return choices[given];
    throw wrong(HEADER, `${key} must be ${Object.keys(choices).join(" or ")}`);
  };
  const visibility = choice("visibility", { private: "private", public: "public" } as const);
  const flag = { true: true, false: false } as const;
  return {
    metadata,
    options: {
      name: text("filename", "name"),
      type: text("filetype", "type"),
      pin: choice("pin", flag),
      visibility,
      encrypt: choice("encrypt", flag),
    },
  };
}

function textOf(key: string, bytes: Uint8Array): string | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw wrong(HEADER, `the value of ${key} is not UTF-8`);
  }
  if (/\p{Cc}/u.test(text)) throw wrong(HEADER, `the value of ${key} holds control characters, such as a line break`);
  return text === "" ? undefined : text;
}
