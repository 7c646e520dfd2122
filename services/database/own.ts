import type { SqlArgument } from "../../src/contracts/database.ts";
import type { GatedStatement } from "./driver.ts";

const ACCESS = {
  SELECT: "read",
  INSERT: "write",
  UPDATE: "write",
  DELETE: "write",
  CREATE: "definition",
  DROP: "definition",
} as const;

/**
 * A statement of the gateway's own, which may touch the tables `_orama_*`.
 * @param sql begins with its verb, in upper case; no text of a client's may stand in it
 */
export function own(sql: string, ...args: readonly SqlArgument[]): GatedStatement {
  const verb = /^[A-Z]+/.exec(sql)?.[0] as keyof typeof ACCESS;
  return {
    sql,
    args,
    facts: {
      access: ACCESS[verb],
      verb,
      placeholders: args.length,
      returning: false,
      upserts: false,
      wildcard: false,
      // Also where it does: what the driver puts around a client's insert must be there to be asked about.
      asksConnection: false,
    },
    own: true,
  };
}
