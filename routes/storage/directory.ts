import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { OpenContent } from "../../src/contracts/storage.ts";
import { begun } from "../../src/http/begun.ts";
import type { Reply } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { streamContext } from "../../src/http/streamed_reply.ts";
import { type Answered, unchanged, UNREAD } from "./content.ts";
import { READ_ERRORS } from "./errors.ts";
import { placeInPath } from "./fields.ts";
import { etagOf } from "./formats.ts";
import { CID_REQUIRED, type Place, placeIn } from "./place.ts";

/** A directory as the API shows it. */
export const directoryListing = z.object({
  cid: z.string(),
  path: z.string().describe("Below the CID of the address; empty for that itself."),
  entries: z.array(z.object({
    name: z.string(),
    cid: z.string(),
    size: z.int().nullable().describe("Bytes, where they are known."),
    kind: z.enum(["file", "directory", "block"]),
  })),
  count: z.int(),
}).meta({ id: "Directory" });

export const listDirectory = defineRoute({
  method: "GET",
  path: "/v1/storage/directory/:cid{[^]+}",
  missingParam: CID_REQUIRED,
  summary: "List the entries of a directory",
  description: "All of them, as they are read: an answer that breaks off is no JSON.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:read" },
  params: z.object({ cid: placeInPath }),
  output: directoryListing,
  headers: ["Cache-Control"],
  revalidates: true,
  conditional: true,
  errors: [...READ_ERRORS, "WRONG_TYPE"],
  async handle(call, { storage }) {
    const place = placeIn(call);
    const { context, until } = streamContext(call);
    const content = await storage.open({ namespace: call.principal.namespace }, place.cid, place.path, context);
    if (content.kind !== "directory") {
      throw new GatewayError("WRONG_TYPE", `${content.cid} is no directory but a ${content.kind}`);
    }
    const etag = etagOf("directory", content.cid, place, {});
    return await listingReply({ call, content, until, query: {}, etag, byLink: false, more: {} }, place);
  },
});

/** Answers with the entries of a directory. @throws GatewayError, as reading the first of them does */
export async function listingReply(answered: Answered, place: Place): Promise<Reply> {
  const known = unchanged(answered, "application/json");
  if (known) return known;
  const { call, content, until, etag, more } = answered;
  const headers = { etag, "cache-control": "private, no-cache", vary: "Accept, Authorization, X-API-Key", ...more };
  const body = call.method === "HEAD" ? UNREAD : until(await begun(listing(content, place)));
  return { status: 200, body, headers };
}

const encoder = new TextEncoder();
/** Characters that are gathered before they are sent. */
const CHUNK = 40_000;

async function* listing(content: OpenContent, { path }: Place): AsyncGenerator<Uint8Array, void> {
  let text = `{"cid":${JSON.stringify(content.cid)},"path":${JSON.stringify(path.join("/"))},"entries":[`;
  let count = 0;
  for await (const { name, cid, size = null, kind } of content.entries()) {
    text += `${count++ > 0 ? "," : ""}${JSON.stringify({ name, cid, size, kind })}`;
    if (text.length < CHUNK) continue;
    yield encoder.encode(text);
    text = "";
  }
  yield encoder.encode(`${text}],"count":${count}}`);
}
