import { createHash } from "node:crypto";
import type { AppliedMigration, Migration, MigrationState } from "../../../src/contracts/database_migrations.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { GatedStatement } from "../driver.ts";
import { splitScript } from "../gate/gate.ts";
import type { Statements } from "../gate/statements.ts";

/** A migration whose statements passed the gate. */
export interface ReadMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly statements: readonly GatedStatement[];
}

/** What is to be done. */
export interface Plan {
  /** Those that were given, in their order. */
  readonly states: readonly MigrationState[];
  /** Those to be applied. */
  readonly pending: readonly ReadMigration[];
  /** The first one that was applied with other statements. */
  readonly changed: ReadMigration | undefined;
  /** The highest version that is applied; 0 for none. */
  readonly version: number;
}

/** @throws GatewayError `INVALID_REQUEST`, and as the gate, with the version and the statement in `details` */
export function readMigration({ version, name, statements: given }: Migration, gate: Statements): ReadMigration {
  const texts = typeof given === "string" ? splitScript(given) : given;
  if (texts.length === 0) throw refused(version, `migration ${version} (${name}) has no statement`);
  const statements = texts.map((sql, statement) => {
    try {
      return gate.gate({ sql, args: [] });
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      throw new GatewayError(
        error.code,
        `migration ${version} (${name}), statement ${statement + 1}: ${error.message}`,
        { ...error.extra, details: { version, statement } },
      );
    }
  });
  const checksum = createHash("sha256").update(JSON.stringify(statements.map(({ sql }) => sql))).digest("base64url");
  return { version, name, checksum, statements };
}

/** Compares what is given with what is there. */
export function compare(given: ReadMigration, known: AppliedMigration | undefined): MigrationState["state"] {
  if (known === undefined) return "pending";
  return known.checksum === given.checksum ? "applied" : "changed";
}

/**
 * Plans a run.
 * @throws GatewayError `INVALID_REQUEST` for gaps and what is out of order, `CONFLICT` for what is older than what is applied
 */
export function plan(
  given: readonly ReadMigration[],
  applied: readonly AppliedMigration[],
  target = Infinity,
): Plan {
  given.forEach(({ version }, at) => {
    const before = given[at - 1]?.version;
    if (before !== undefined && version !== before + 1) {
      throw refused(
        version,
        `migration ${version} follows on ${before}: versions are 1, 2, 3 … in order, without gaps`,
      );
    }
  });
  const version = applied.at(-1)?.version ?? 0;
  if (target < version) {
    throw new GatewayError("CONFLICT", `version ${version} is applied, and no way leads back to ${target}`, {
      details: { version },
    });
  }
  const last = given.at(-1)?.version ?? 0;
  if (target !== Infinity && target > Math.max(last, version)) {
    throw refused(target, `target: there is no migration ${target}`);
  }
  const known = new Map(applied.map((one) => [one.version, one]));
  const states = given.map((one) => {
    const { version, name, checksum } = one;
    return { version, name, checksum, state: compare(one, known.get(version)) };
  });
  const missing = given.filter(({ version }) => !known.has(version));
  const [first] = missing;
  if (first && first.version < version) {
    const sentence =
      `migration ${first.version} (${first.name}) is older than ${version}, which is applied: number it anew`;
    throw new GatewayError("CONFLICT", sentence, { details: { version: first.version } });
  }
  if (first && first.version > version + 1) {
    throw refused(first.version, `migration ${first.version} cannot follow on ${version}: ${version + 1} is missing`);
  }
  return {
    states,
    pending: missing.filter((one) => one.version <= target),
    changed: given.find(({ version }, at) => states[at]!.state === "changed" && version <= target),
    version,
  };
}

const refused = (version: number, sentence: string) =>
  new GatewayError("INVALID_REQUEST", sentence, { details: { version } });
