import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { FILE_TYPES } from "./backup.ts";
import { refuseIdempotencyKey } from "../../src/http/idempotency_key.ts";

const NO_KEY = "a restore takes none, and is done each time: repeated, it takes back what was written since";

export const restore = defineRoute({
  method: "POST",
  path: "/v1/rqlite/restore",
  summary: "Put another database in the place of this one",
  description:
    "A SQLite file or SQL text, such as `GET /v1/rqlite/backup` gives. It is looked at before anything is changed: it must be " +
    "sound, and may hold nothing that statements could not have made. Statements that run meanwhile see the old database or " +
    "the new one; on any error the old one stays as it is. It takes no `Idempotency-Key` (400): repeated, it would take back " +
    "what was written since. It is in the namespace's audit log, as `database.restored`.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  rawBody: {
    types: {
      [FILE_TYPES.sqlite]: z.string().meta({
        format: "binary",
        description: "A SQLite file in UTF-8 that is not in WAL mode.",
      }),
      [FILE_TYPES.sql]: z.string().describe("Statements that make a database in an empty one."),
    },
    maxBytes: 64 * 2 ** 30,
  },
  output: z.object({ status: z.literal("ok"), tables: z.int(), bytes: z.int() }),
  errors: [
    "SQL_INVALID",
    "SQL_NOT_ALLOWED",
    "CONSTRAINT_FAILED",
    "QUOTA_EXCEEDED",
    "STATEMENT_TIMEOUT",
    "TOO_MANY_STATEMENTS",
    "NO_CAPACITY",
    "CONFLICT",
    "OUTCOME_UNKNOWN",
    "UNAVAILABLE",
  ],
  async handle(call, { databaseFiles }) {
    refuseIdempotencyKey(call.incoming, NO_KEY);
    const { mediaType, chunks } = call.upload;
    const format = mediaType === FILE_TYPES.sql ? "sql" : "sqlite";
    const { principal } = call;
    const { tables, bytes } = await databaseFiles.restore(principal.namespace, format, chunks, principal, call);
    return ok({ status: "ok", tables, bytes });
  },
});
