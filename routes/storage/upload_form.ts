import type { DirectoryFile, LateOptions, UploadOptions } from "../../src/contracts/storage.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { boundaryOf, type Part, partsOf, wrongForm } from "../../src/http/multipart.ts";
import { check } from "../../src/http/problems.ts";
import { optionsOf, type UploadQuery, uploadQuery } from "./fields.ts";

/** What a form holds: one file, or a directory of them. */
export type FormContent =
  | { readonly kind: "file"; readonly content: AsyncIterable<Uint8Array>; readonly options: UploadOptions }
  | { readonly kind: "directory"; readonly files: AsyncIterable<DirectoryFile>; readonly options: UploadOptions };

/** A form whose body is to be let go in the end, whatever was read of it. */
export type FormUpload = FormContent & { readonly close: () => void };

/** Fields before a file and behind it, and files of a directory, that are taken. How many files there may be is the namespace's limit. */
const MAX_FIELDS = 100, MAX_FILES = 1_000_000;
/** Bytes of a field, and of the name of a field. */
const MAX_FIELD = 4_096, MAX_NAME = 256;
/** By how many bytes a form may be longer than its file, at most: fields on both sides, with what stands between them. */
const AROUND = 2 * MAX_FIELDS * (MAX_FIELD + 32 * 1024);

/** Where the file stands. */
const FILE = "file";
/** What may also stand behind it: nothing of it is needed before. */
const LATE: ReadonlySet<string> = new Set(["pin", "visibility"]);

/**
 * Reads a form up to its first file. Its last byte has been read, and found in order, when what this gives has ended: only then may
 * anything of it count.
 * @throws GatewayError `INVALID_REQUEST`; what the body throws
 */
export async function formUpload(
  body: AsyncIterable<Uint8Array>,
  headers: Headers,
  query: UploadQuery,
): Promise<FormUpload> {
  const boundary = boundaryOf(headers.get("content-type"));
  const parts = partsOf(body, boundary, { maxParts: MAX_FIELDS + MAX_FILES });
  const fields: Record<string, string> = {};
  try {
    for (let count = 0;; count++) {
      const { done, value: part } = await parts.next();
      if (done) break;
      if (part.fileName === undefined) {
        await readField(part, fields, count);
        continue;
      }
      assertFile(part);
      const before = check(uploadQuery, { ...fields, ...query });
      const length = Number(headers.get("content-length") ?? 0);
      const content: FormContent = before.directory === "true"
        ? { kind: "directory", files: filesOf(part, parts), options: optionsOf(before) }
        : fileOf(part, parts, before, length);
      return { ...content, close: () => void parts.return().catch(() => {}) };
    }
    throw missing(`no part is named ${FILE} and has a filename`);
  } catch (error) {
    await parts.return();
    throw error;
  }
}

function fileOf(part: Part, parts: AsyncIterable<Part>, before: UploadQuery, length: number): FormContent {
  const late: Record<string, string> = {};
  async function* content(): AsyncGenerator<Uint8Array, void> {
    yield* part.content;
    let count = 0;
    for await (const behind of parts) {
      if (behind.fileName !== undefined) throw missing("several files need ?directory=true");
      await readField(behind, late, count++, LATE);
    }
    check(uploadQuery, late);
  }
  const options: UploadOptions = {
    name: part.fileName,
    type: part.type,
    ...optionsOf(before),
    ...(length > AROUND && { length: length - AROUND }),
    late: (): LateOptions => optionsOf(check(uploadQuery, late)),
  };
  return { kind: "file", content: content(), options };
}

async function* filesOf(first: Part, rest: AsyncIterable<Part>): AsyncGenerator<DirectoryFile, void> {
  const file = (part: Part): DirectoryFile => {
    assertFile(part);
    return { path: part.fileName, content: part.content };
  };
  yield file(first);
  for await (const part of rest) {
    if (part.fileName === undefined) throw refused(part.name.slice(0, MAX_NAME), "must stand before the first file");
    yield file(part);
  }
}

function assertFile(part: Part): asserts part is Part & { readonly fileName: string } {
  if (part.name !== FILE) {
    throw missing(`a file must be named ${FILE}, and one is named ${part.name.slice(0, MAX_NAME)}`);
  }
  if (part.fileName === undefined || part.fileName === "") throw missing(`the part ${FILE} has no filename`);
}

/** Reads a field, of one that is not known only its name. @param known the names that count here; others of ours are refused */
async function readField(
  part: Part,
  fields: Record<string, string>,
  count: number,
  known?: ReadonlySet<string>,
): Promise<void> {
  const { name } = part;
  if (name === FILE) throw missing(`the part ${FILE} has no filename`);
  if (count === MAX_FIELDS) throw wrongForm(`it has more than ${MAX_FIELDS} fields in one place`);
  let text = "", size = 0;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const piece of part.content) {
      size += piece.length;
      if (size > MAX_FIELD) throw wrongForm(`a field has more than ${MAX_FIELD} bytes`);
      text += decoder.decode(piece, { stream: true });
    }
    text += decoder.decode();
  } catch (error) {
    throw error instanceof TypeError ? wrongForm("its fields must be UTF-8") : error;
  }
  // Let pass, unless it is nearly one of ours: that is found out together with the others.
  if (!Object.hasOwn(uploadQuery.shape, name)) return void (fields[name.slice(0, MAX_NAME)] = "");
  if (known !== undefined && !known.has(name)) throw refused(name, "must stand before the file, or in the address");
  if (Object.hasOwn(fields, name)) throw refused(name, "is there twice");
  // As older gateways read it: any other text means that it is not to be kept.
  fields[name] = name === "pin" ? String(text === "" || text.trim().toLowerCase() === "true") : text;
}

/** The error of a form without its file, as older clients know it. */
const missing = (problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `failed to get file: ${problem}`, {
    details: [{ field: FILE, problem }],
  });

const refused = (field: string, problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, {
    details: [{ field, problem }],
  });
