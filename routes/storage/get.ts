import { z } from "zod";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { READ_ERRORS } from "./errors.ts";
import { placeInPath } from "./fields.ts";
import { formatQuery } from "./formats.ts";
import { CID_REQUIRED, placeIn } from "./place.ts";
import { readReply } from "./read.ts";

export const get = defineRoute({
  method: "GET",
  path: "/v1/storage/get/:cid{[^]+}",
  missingParam: CID_REQUIRED,
  summary: "Read content by its CID",
  description:
    "Of the namespace, or public. `ETag` is the CID. `Range` is minded, several ranges at once too; so are `If-Range`, `If-Match` " +
    "and `If-None-Match`. What browsers would run is to be saved (`Content-Disposition: attachment`). A directory is given with " +
    "`format=tar` or `format=car`, or file by file: `<cid>/folder/file`.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:read" },
  params: z.object({ cid: placeInPath }),
  query: formatQuery,
  produces: ANY_TYPE,
  output: z.string().meta({ format: "binary", description: "The bytes." }),
  headers: ["Accept-Ranges", "Cache-Control", "Content-Disposition"],
  revalidates: true,
  conditional: true,
  partial: true,
  errors: [...READ_ERRORS, "WRONG_TYPE", "NOT_ACCEPTABLE", "RESULT_TOO_LARGE"],
  handle(call, { storage }) {
    const reader = { namespace: call.principal.namespace };
    return readReply({ call, storage, reader, place: placeIn(call), ipfs: false });
  },
});
