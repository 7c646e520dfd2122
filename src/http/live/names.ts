import { z } from "zod";
import { MAX_NAME_BYTES, nameProblem } from "../../contracts/topic_rights.ts";

const NAME = {
  type: "string",
  minLength: 1,
  maxLength: MAX_NAME_BYTES,
  pattern: "^[^\\u0000-\\u001f\\u007f]+$",
} as const;

/** A name, checked. @param sentence for one that is missing, as older clients know it */
const named = (description: string, sentence?: string) =>
  z.unknown().transform((value, context): string => {
    const isMissing = value === undefined || value === null;
    const problem = isMissing ? "is missing; it must be a string" : problemOf(value);
    if (problem === undefined) return value as string;
    const told = sentence !== undefined && (isMissing || value === "") ? { params: { sentence } } : {};
    context.addIssue({ code: "custom", message: problem, ...told });
    return z.NEVER;
  }).meta({ ...NAME, description });

function problemOf(value: unknown): string | undefined {
  if (typeof value !== "string") return "must be a string";
  // What is far too long is not looked into.
  return value.length > MAX_NAME_BYTES ? `must have at most ${MAX_NAME_BYTES} bytes` : nameProblem(value);
}

const FORM = "1 to 255 bytes of UTF-8, no control characters. Nothing is normalised.";

/** The topic of a command or a body. */
export const topicName = named(`The topic. ${FORM}`);

/** The topic of an address. */
export const topicInQuery = named(`The topic. ${FORM}`, "missing 'topic'");

/** Under which somebody is present. */
export const memberName = named(`The name under which somebody is present. ${FORM}`);
