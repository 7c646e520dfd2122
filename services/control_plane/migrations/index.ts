import type { Migration } from "../migrate.ts";
import { identity } from "./0001_identity.ts";

/** All migrations, oldest first. One that was released is never changed: what comes later is a new file. */
export const migrations: readonly Migration[] = [identity];
