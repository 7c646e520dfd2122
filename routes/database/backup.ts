import { z } from "zod";
import { FILE_FORMATS } from "../../src/contracts/database_files.ts";
import { defineRoute } from "../../src/http/route.ts";
import { streamContext } from "../../src/http/streamed_reply.ts";

/** The media type of each format. */
export const FILE_TYPES = { sqlite: "application/vnd.sqlite3", sql: "application/sql" } as const;

export const backup = defineRoute({
  method: "GET",
  path: "/v1/rqlite/backup",
  summary: "Download the whole database",
  description:
    "As it is at one moment, while others go on writing: as a SQLite file, or with `format=sql` as SQL text that makes it " +
    "again. `POST /v1/rqlite/restore` takes both. An answer that breaks off is no backup.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  query: z.object({ format: z.enum(FILE_FORMATS).default("sqlite").describe("A SQLite file, or SQL text.") }),
  produces: FILE_TYPES.sqlite,
  output: z.string().meta({ format: "binary", description: "A SQLite file." }),
  alsoProduces: { [FILE_TYPES.sql]: z.string().describe("SQL text.") },
  headers: ["Content-Disposition"],
  errors: ["TOO_MANY_STATEMENTS", "NO_CAPACITY", "UNAVAILABLE"],
  async handle(call, { databaseFiles }) {
    const { namespace } = call.principal;
    const { format } = call.query;
    const { context, until } = streamContext(call);
    const { bytes, chunks } = await databaseFiles.backup(namespace, format, context);
    return {
      status: 200,
      body: until(chunks),
      headers: {
        "content-type": FILE_TYPES[format],
        "content-disposition": `attachment; filename="${namespace.replaceAll(/[^\w.-]/g, "_")}.${format}"`,
        "cache-control": "no-store, no-transform",
        ...(bytes !== undefined && { "content-length": String(bytes) }),
      },
    };
  },
});
