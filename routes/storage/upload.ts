import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { UploadOptions } from "../../src/contracts/storage.ts";
import type { Call } from "../../src/http/call.ts";
import { ok } from "../../src/http/reply.ts";
import { check } from "../../src/http/problems.ts";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { STORE_ERRORS } from "./errors.ts";
import { name, optionsOf, orNothing, replicationOf, uploadMembers, type UploadQuery, uploadQuery } from "./fields.ts";
import { formUpload } from "./upload_form.ts";

const FORM = "multipart/form-data";
const BASE64 = /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/;

const data = z.unknown().transform((value, context): string => {
  const refuse = (message: string, sentence?: string): never => {
    context.addIssue({ code: "custom", message, ...(sentence !== undefined && { params: { sentence } }) });
    return z.NEVER;
  };
  if (value === undefined || value === null || value === "") {
    return refuse("is missing; it must be a string", "data field required");
  }
  return typeof value === "string" ? value : refuse("must be a string");
}).meta({
  type: "string",
  minLength: 1,
  description: "The bytes in base64 (RFC 4648, 4), padded. Line breaks in it are let pass.",
});

const jsonBody = z.object({
  name,
  data,
  pin: z.boolean().nullish().transform(orNothing).describe(
    "Whether it is to be kept until it is unpinned. Default: true.",
  ),
  ...uploadMembers,
});

const formBody = z.object({
  file: z.string().meta({ format: "binary", description: "The file. Its filename is its name." }),
  pin: z.string().optional().describe("`true` or `false`; before or behind the file. Default: `true`."),
});

export const upload = defineRoute({
  method: "POST",
  path: "/v1/storage/upload",
  summary: "Store a file, or a directory of files",
  description:
    "As a form (`multipart/form-data`) with the part `file`, which has a filename; fields of the names below may stand in " +
    "the form too, before the file, `pin` and `visibility` also behind it. With `directory=true` there may be many files, their " +
    "filenames being paths (`docs/a.txt`). Or as JSON, whatever other `Content-Type` says, within the bounds of ordinary " +
    "bodies. A form is stored as it comes, and nothing of it counts before its last byte is there and in order. The same " +
    "bytes have the same CID, whoever stores them; storing again what is there renews its name, type and pin.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  query: uploadQuery,
  rawBody: {
    types: { "application/json": jsonBody, [FORM]: formBody, [ANY_TYPE]: jsonBody },
    // The limit is the namespace's: it is held as the bytes pass.
    maxBytes: Infinity,
  },
  output: z.object({
    cid: z.string(),
    name: z.string(),
    size: z.int().describe("Bytes; of a directory those of its files."),
    files: z.array(z.object({ path: z.string(), cid: z.string(), size: z.int().nullable() })).optional()
      .describe("Of a directory: its files, in the order in which they came."),
  }),
  errors: STORE_ERRORS,
  async handle(call, { storage }) {
    const { principal, upload, query } = call;
    if (upload.mediaType !== FORM) {
      const { bytes, options } = await fromJson(call, query);
      return ok(answerOf(await storage.upload(principal, once(bytes), options, call)));
    }
    const form = await formUpload(upload.lent, call.incoming, query);
    try {
      if (form.kind === "file") return ok(answerOf(await storage.upload(principal, form.content, form.options, call)));
      const { object, files } = await storage.uploadDirectory(principal, form.files, form.options, call);
      const listed = files.map(({ path, cid, size }) => ({ path, cid, size: size ?? null }));
      return ok({ ...answerOf(object), files: listed });
    } finally {
      form.close();
    }
  },
});

const answerOf = ({ cid, name, size }: { cid: string; name: string; size: number | undefined }) => ({
  cid,
  name,
  size,
});

async function fromJson({ upload }: Pick<Call, "upload">, query: UploadQuery) {
  const prefix = "failed to decode request: ";
  const { name, data, pin, visibility, encrypt, ...copies } = check(jsonBody, await upload.json() ?? {}, { prefix });
  const bytes = bytesOf(data);
  const replication = replicationOf(copies);
  const options: UploadOptions = {
    ...optionsOf(query),
    ...(name !== undefined && { name }),
    ...(pin !== undefined && { pin }),
    ...(visibility !== undefined && { visibility }),
    ...(encrypt !== undefined && { encrypt }),
    ...(replication !== undefined && { replication }),
    length: bytes.length,
  };
  return { bytes, options };
}

function bytesOf(data: string): Uint8Array {
  try {
    if (BASE64.test(data)) return Uint8Array.fromBase64(data, { lastChunkHandling: "strict" });
  } catch {
    // What is wrong with it is said below.
  }
  const problem = "must be base64 of the standard alphabet, padded";
  throw new GatewayError("INVALID_REQUEST", `failed to decode base64 data: it ${problem}`, {
    details: [{ field: "data", problem }],
  });
}

/** Asynchronous because other content is. */
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  if (bytes.length > 0) yield bytes;
}
