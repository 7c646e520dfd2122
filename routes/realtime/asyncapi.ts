import { z } from "zod";
import { type FixedText, fixedText, revalidated } from "../../src/http/assets.ts";
import { defineRoute } from "../../src/http/route.ts";
import { asyncApiDocument } from "./asyncapi_document.ts";

let made: { readonly version: string; readonly document: FixedText } | undefined;

export const asyncApi = defineRoute({
  method: "GET",
  path: "/asyncapi.json",
  summary: "Give the description of the sockets",
  description: "AsyncAPI 3.0, from the same schemas that commands are checked against.",
  tag: "System",
  access: { kind: "public" },
  output: z.looseObject({ asyncapi: z.literal("3.0.0"), channels: z.record(z.string(), z.unknown()) }),
  revalidates: true,
  handle(call, { system: { version } }) {
    if (made?.version !== version) made = { version, document: fixedText(JSON.stringify(asyncApiDocument(version))) };
    return revalidated(call, made.document, { "cache-control": "no-cache" });
  },
});
