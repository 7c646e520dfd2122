import { Ajv2020 } from "ajv/dist/2020.js";
import type { OpenApiDocument } from "../../src/http/openapi.ts";
import type { Answer } from "./client.ts";

/** Checks values by the schemas of an OpenAPI document. */
export class DocumentedApi {
  // Formats are said beside patterns, which are checked; keywords of OpenAPI itself are none of JSON Schema's.
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });

  constructor(readonly document: OpenApiDocument) {
    this.#ajv.addSchema(document, "api");
  }

  /** What does not fit the schema at a place in the document; empty when all does. @param pointer such as `/paths/~1health/get` */
  problems(pointer: string, value: unknown): string[] {
    const validate = this.#ajv.getSchema(`api#${encodeURI(pointer)}`);
    if (!validate) throw new Error(`there is no schema at ${pointer}`);
    return validate(value)
      ? []
      : validate.errors!.map(({ instancePath, message }) => `${instancePath || "/"} ${message}`);
  }

  /** What an answer has that the operation does not say: its status, media type or body. */
  undocumented(method: string, path: string, answer: Answer): string[] {
    const { status, headers, text } = answer;
    const operation = `/paths/${escaped(path)}/${method.toLowerCase()}`;
    const response = this.#follow(`${operation}/responses/${status}`);
    if (response === undefined) return [`status ${status}`];
    const { content } = response.value as { content?: Record<string, unknown> };
    if (content === undefined) return text === "" ? [] : ["a body"];
    const type = headers.get("content-type")?.split(";")[0] ?? "none";
    if (!(type in content)) return [`media type ${type}`];
    return this.problems(
      `${response.pointer}/content/${escaped(type)}/schema`,
      type.endsWith("json") ? answer.body : text,
    );
  }

  #follow(pointer: string): { pointer: string; value: unknown } | undefined {
    const value = at(this.document, pointer);
    const ref = (value as { $ref?: string } | undefined)?.$ref;
    if (ref !== undefined) return this.#follow(ref.slice(1));
    return value === undefined ? undefined : { pointer, value };
  }
}

/** A name as it stands in a JSON pointer (RFC 6901). */
export const escaped = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** What stands at a JSON pointer, or `undefined`. */
export function at(value: unknown, pointer: string): unknown {
  return pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~")).reduce<unknown>(
    (inside, name) =>
      typeof inside === "object" && inside !== null ? (inside as Record<string, unknown>)[name] : undefined,
    value,
  );
}

/** Every value under a key, anywhere in a document. */
export function* valuesOf(value: unknown, key: string): Generator<unknown> {
  if (typeof value !== "object" || value === null) return;
  for (const [name, inside] of Object.entries(value)) {
    if (name === key) yield inside;
    yield* valuesOf(inside, key);
  }
}
