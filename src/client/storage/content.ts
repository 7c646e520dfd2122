import { type BodyPart, ownBytes } from "../streamed_body.ts";

/** What is uploaded. A `Blob` may be a `File`, or what Node's `openAsBlob` gives; text is UTF-8. */
export type Content = Blob | Uint8Array | string | ReadableStream<Uint8Array>;

/** Content that is there as a whole, so that it can be sent again. */
export type WholeContent = Exclude<Content, ReadableStream>;

/** Whether content comes bit by bit, and but once. */
export const isStream = (content: Content): content is ReadableStream<Uint8Array> => content instanceof ReadableStream;

/** Content as a `Blob`, which holds a file without reading it. @throws TypeError for what is no content */
export function blobOf(content: WholeContent): Blob {
  if (content instanceof Blob) return content;
  if (typeof content === "string") return new Blob([content]);
  if (content instanceof Uint8Array) return new Blob([ownBytes(content)]);
  throw new TypeError("content must be a Blob, a Uint8Array, a string or a ReadableStream");
}

/** The same as a part of a body that streams. @throws TypeError */
export const bodyPartOf = (content: Content): BodyPart => isStream(content) ? content : blobOf(content).stream();

/** What a `File` is called. */
export const nameOf = (content: unknown): string | undefined =>
  content instanceof Blob && "name" in content && typeof content.name === "string" ? content.name : undefined;
