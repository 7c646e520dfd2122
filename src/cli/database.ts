import { Command } from "commander";
import { backupCommand, exportCommand, restoreCommand } from "./database_copy.ts";
import { migrateCommand } from "./database_migrate.ts";

/** `database`: the databases of namespaces. */
export const databaseCommand = (): Command =>
  new Command("database")
    .description("Work on the databases of namespaces, by way of a running gateway.")
    .addCommand(migrateCommand())
    .addCommand(backupCommand())
    .addCommand(restoreCommand())
    .addCommand(exportCommand());
