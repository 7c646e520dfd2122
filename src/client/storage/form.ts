import { type BodyPart, StreamedBody } from "../streamed_body.ts";
import { blobOf, bodyPartOf, type Content, isStream } from "./content.ts";

/** A file of a form. */
export interface FormFile {
  /** Its filename; of a directory the path in it. */
  readonly name: string;
  /** The media type. */
  readonly type?: string | undefined;
  readonly content: Content;
}

/** A form with files. */
export interface Form {
  readonly body: Blob | StreamedBody;
  /** Bytes, where that is known. */
  readonly size: number | undefined;
}

const encoder = new TextEncoder();

/**
 * A form (RFC 7578) of files: a `Blob` where all of them are there, so that its length is sent with it and browsers send it anyway;
 * otherwise one that streams.
 * @throws TypeError for names that no form can hold
 * @throws OramaError `NOT_SUPPORTED` for a stream where the platform sends none
 */
export function formOf(files: readonly FormFile[] | AsyncIterable<FormFile>): Form {
  const boundary = `orama-${crypto.randomUUID()}`;
  const type = `multipart/form-data; boundary=${boundary}`;
  const end = `--${boundary}--\r\n`;
  if (!isList(files)) {
    return { body: new StreamedBody(type, partsOf(files, boundary, end)), size: undefined };
  }
  for (const { name } of files) checkName(name);
  const streams = files.map(({ content }) => content).filter(isStream);
  if (streams.length > 0) {
    return { body: new StreamedBody(type, partsOf(files, boundary, end), streams), size: undefined };
  }
  const parts = files.flatMap(({ content, ...file }) => {
    return [headOf(file, boundary), isStream(content) ? "" : blobOf(content), "\r\n"];
  });
  const body = new Blob([...parts, end], { type });
  return { body, size: body.size };
}

const isList = <T>(files: readonly T[] | AsyncIterable<T>): files is readonly T[] => Array.isArray(files);

async function* partsOf(
  files: Iterable<FormFile> | AsyncIterable<FormFile>,
  boundary: string,
  end: string,
): AsyncGenerator<BodyPart, void, void> {
  for await (const { content, ...file } of files) {
    let isTaken = false;
    try {
      checkName(file.name);
      yield encoder.encode(headOf(file, boundary));
      isTaken = true;
      yield bodyPartOf(content);
      yield encoder.encode("\r\n");
    } finally {
      if (!isTaken && isStream(content)) void content.cancel().catch(() => {});
    }
  }
  yield encoder.encode(end);
}

function headOf({ name, type }: Omit<FormFile, "content">, boundary: string): string {
  const disposition = `Content-Disposition: form-data; name="file"; filename="${name.replaceAll('"', "%22")}"`;
  const lines = [`--${boundary}`, disposition, ...(type === undefined ? [] : [`Content-Type: ${type}`])];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Forms write quotes and line breaks as `%22`, `%0D` and `%0A`, and nothing tells them from those (html.spec.whatwg.org, 4.10.21.8). */
function checkName(name: string): void {
  if (name === "" || /\p{Cc}|%(?:22|0[ad])/iu.test(name) || /\p{Cs}/u.test(name)) {
    throw new TypeError(
      `a form cannot name a file ${
        JSON.stringify(name)
      }: no name, control characters, %22, %0A, %0D, half a surrogate pair`,
    );
  }
}
