import { z } from "zod";
import { type FixedText, fixedText, revalidated } from "../../src/http/assets.ts";
import { openApiDocument } from "../../src/http/openapi.ts";
import { defineRoute, type Route } from "../../src/http/route.ts";

/**
 * Describes the routes it is one of.
 * @param routes asked for at the first request, when the list is complete
 */
export function openApiRoute(routes: () => readonly Route[]): Route {
  let made: { readonly version: string; readonly document: FixedText } | undefined;
  return defineRoute({
    method: "GET",
    path: "/openapi.json",
    summary: "Give this description of the API",
    description: "OpenAPI 3.1. `/docs` shows it to people.",
    tag: "System",
    access: { kind: "public" },
    output: z.looseObject({ openapi: z.literal("3.1.0"), paths: z.record(z.string(), z.unknown()) }),
    revalidates: true,
    handle(call, { system: { version } }) {
      if (made?.version !== version) {
        made = { version, document: fixedText(JSON.stringify(openApiDocument(routes(), version))) };
      }
      return revalidated(call, made.document, { "cache-control": "no-cache" });
    },
  });
}
