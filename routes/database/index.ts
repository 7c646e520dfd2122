import { createTable } from "./create_table.ts";
import { dropTable } from "./drop_table.ts";
import { exec } from "./exec.ts";
import { find } from "./find.ts";
import { findOne } from "./find_one.ts";
import { query } from "./query.ts";
import { schema } from "./schema.ts";
import { select } from "./select.ts";
import { transaction } from "./transaction.ts";

/** SQL on the namespace's own database. */
export const databaseRoutes = [query, exec, find, findOne, select, transaction, schema, createTable, dropTable];
