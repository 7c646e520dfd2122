import { create } from "content-disposition";

// A media type with parameters (RFC 9110, 8.3.1), in characters that a header of an answer can hold.
const TOKEN = "[\\w!#$%&'+.^`|~-]+";
const PARAMETER = `${TOKEN}=(?:${TOKEN}|"[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]*")`;
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}[ \\t]*(?:;[ \\t]*(?:${PARAMETER}[ \\t]*)?)*$`);
/** As long as anything here has room for. */
const MAX_TYPE = 255;

/** What is meant where no media type is known. */
export const UNNAMED_TYPE = "application/octet-stream";

/** What is wrong with a media type, for the sentence that its field begins. */
export const TYPE_PROBLEM = `must be a media type such as image/png, of ${MAX_TYPE} characters at most`;

/** Whether a text is a media type that a header can hold, and of which there is room. */
export const isMediaType = (text: string): boolean => text.length <= MAX_TYPE && MEDIA_TYPE.test(text);

/**
 * What browsers show without running anything that is in it. All else they are told to save, PDF too: its readers run scripts; and
 * whatever ends in `+xml`, which they read as a page.
 */
const HARMLESS =
  /^(?:application\/(?:json|octet-stream)|text\/plain|image\/(?:png|jpeg|gif|webp|avif)|(?:audio|video)\/[\w.-]+)\s*(?:;|$)/i;

/** Whether a browser may show a body of this type under an address of this gateway. */
export const isHarmless = (type: string): boolean => HARMLESS.test(type);

/** Headers of a body that a client stored, so that a browser runs nothing of it as if it were a page of this gateway. */
export const foreignContent = (type: string): Record<string, string> => ({
  "content-type": type,
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; sandbox",
});

/**
 * `Content-Disposition` with the name of a file, in ASCII and in UTF-8 where they differ (RFC 6266).
 * @param name of any characters; those that no name of a file has are replaced
 */
export function disposition(kind: "inline" | "attachment", name: string): string {
  // Marks that turn the direction of writing make one ending look like another.
  const safe = name.toWellFormed().replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069/\\]/gu, "_").slice(0, 255)
    .toWellFormed();
  // By itself it would put `?` in place of what is not ASCII, which not every system takes in a name.
  const fallback = safe.replaceAll(/[^\x20-\x7e]/gu, "_");
  return create(safe, { type: kind, ...(fallback !== safe && { fallback }) });
}
