import type { FunctionAlias } from "../../../src/contracts/functions.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import type { FunctionChanges } from "./changes.ts";
import { conflict, invalid, notFound, overQuota } from "./failures.ts";
import { checkAlias } from "./names.ts";
import { versionNumbered } from "./state.ts";

/** What aliases need. */
export interface AliasesParts {
  readonly control: ControlDatabase;
  readonly changes: FunctionChanges;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Aliases of one function, and versions that one of them names. */
const MOST_ALIASES = 50, MOST_TARGETS = 8;

/** Names for versions. */
export class Aliases {
  constructor(private readonly parts: AliasesParts) {}

  /** As `Functions.setAlias`. */
  async set(
    { namespace, subject }: Principal,
    name: string,
    { name: alias, targets }: Pick<FunctionAlias, "name" | "targets">,
    context: RequestContext,
  ): Promise<FunctionAlias> {
    const { control, changes, now } = this.parts;
    checkAlias(alias);
    checkTargets(targets);
    const wanted = targets.map(({ version, weight }) => ({ version, weight }));
    return await changes.make({ namespace, name, actor: subject }, (seen) => {
      const state = seen.function;
      if (state === undefined) throw notFound("function");
      for (const { version } of wanted) versionNumbered(state, version);
      if (state.aliases.length >= MOST_ALIASES && !state.aliases.some((known) => known.name === alias)) {
        throw overQuota("aliases", MOST_ALIASES, `a function may have ${MOST_ALIASES} aliases`);
      }
      const updatedAt = now();
      const row = { targets: JSON.stringify(wanted), updated_at: updatedAt };
      return {
        queries: [
          changes.touching({ namespace, name }, seen, state),
          control.db.insertInto("function_aliases").values({ namespace, name, alias, ...row })
            .onConflict((on) => on.columns(["namespace", "name", "alias"]).doUpdateSet(row)),
        ],
        audit: { action: "function_alias.set", details: { alias, targets: wanted } },
        answer: () => ({ name: alias, targets: wanted, updatedAt }),
      };
    }, context);
  }

  /** As `Functions.deleteAlias`. @throws GatewayError also `CONFLICT` where a trigger names it */
  async delete(
    { namespace, subject }: Principal,
    name: string,
    alias: string,
    context: RequestContext,
  ): Promise<void> {
    const { control, changes } = this.parts;
    await changes.make<void>({ namespace, name, actor: subject }, (seen, unsure) => {
      const state = seen.function;
      if (state === undefined) throw notFound("function");
      if (!state.aliases.some((known) => known.name === alias)) {
        if (unsure) return { done: undefined };
        throw notFound("function alias");
      }
      if (state.triggered.includes(alias)) throw conflict("a trigger calls this alias; change or delete it first");
      return {
        queries: [
          changes.touching({ namespace, name }, seen, state, { unnamed: [alias] }),
          control.db.deleteFrom("function_aliases").where("namespace", "=", namespace).where("name", "=", name)
            .where("alias", "=", alias),
        ],
        audit: { action: "function_alias.deleted", details: { alias } },
        answer: () => {},
      };
    }, context);
  }
}

function checkTargets(targets: FunctionAlias["targets"]): void {
  if (targets.length === 0 || targets.length > MOST_TARGETS) {
    throw invalid("targets", `must name 1 to ${MOST_TARGETS} versions`);
  }
  targets.forEach(({ version, weight }, i) => {
    if (!Number.isSafeInteger(version) || version < 1) {
      throw invalid(`targets.${i}.version`, "must be a version's number");
    }
    if (!Number.isSafeInteger(weight) || weight < 1 || weight > 100) {
      throw invalid(`targets.${i}.weight`, "must be a whole number from 1 to 100");
    }
  });
  if (new Set(targets.map(({ version }) => version)).size < targets.length) {
    throw invalid("targets", "must name each version once");
  }
  const sum = targets.reduce((all, { weight }) => all + weight, 0);
  if (sum !== 100) throw invalid("targets", `the weights must be 100 in all, and are ${sum}`);
}
