import { backup } from "./backup.ts";
import { bulk } from "./bulk.ts";
import { listenToChanges } from "./changes.ts";
import { readChanges } from "./changes_log.ts";
import { disableChanges, enableChanges, listChanges } from "./changes_tables.ts";
import { createTable } from "./create_table.ts";
import { dropTable } from "./drop_table.ts";
import { exec } from "./exec.ts";
import { find } from "./find.ts";
import { findOne } from "./find_one.ts";
import { listMigrations } from "./list_migrations.ts";
import { migrate } from "./migrate.ts";
import { query } from "./query.ts";
import { restore } from "./restore.ts";
import { schema } from "./schema.ts";
import { select } from "./select.ts";
import { transaction } from "./transaction.ts";

/** SQL on the namespace's own database. */
export const databaseRoutes = [
  query,
  exec,
  find,
  findOne,
  select,
  transaction,
  schema,
  createTable,
  dropTable,
  bulk,
  backup,
  restore,
  migrate,
  listMigrations,
  listenToChanges,
  readChanges,
  enableChanges,
  disableChanges,
  listChanges,
];
