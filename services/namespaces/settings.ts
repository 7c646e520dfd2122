import { sql } from "kysely";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type {
  Change,
  NamespaceLimits,
  NamespaceRules,
  NamespaceSettings,
  Settings,
  Versioned,
} from "../../src/contracts/settings.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import { ConstraintViolation, type ControlDatabase, type ControlQuery } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import { type FoundRules, RuleCache } from "./rule_cache.ts";
import {
  assumedRules,
  beyondLimits,
  effectiveOf,
  NOTHING_WRITTEN,
  type RuleDefaults,
  type Written,
} from "./rules/index.ts";
import { changed, differences, fitted, type StoredValues } from "./rules/values.ts";

/** What settings need of the rest. */
export interface SettingsParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  /** Milliseconds that never run backwards or jump. */
  readonly monotonic: () => number;
  readonly defaults: RuleDefaults;
  /** Told when the rules of a namespace could not be read, and others hold meanwhile. */
  readonly onError: (namespace: string, error: unknown) => void;
}

/** Settings and limits as the control plane has them. */
interface Stored {
  readonly settings: StoredValues;
  readonly limits: StoredValues;
  readonly version: number;
  /** When the namespace was made; tells it from another one of its name. */
  readonly createdAt: number;
  readonly state: string;
}

interface StoredRow {
  readonly state: string;
  readonly created_at: number;
  readonly settings: string | null;
  readonly limits: string | null;
  readonly version: number | null;
}

type Actor = Pick<Principal, "subject">;
type Part = "settings" | "limits";

/** Namespaces whose rules are remembered. */
const REMEMBERED = 10_000;
/** Milliseconds that requests wait for rules which nobody has read yet, before the defaults hold. */
const PATIENCE = 2_000;
/** How often a change is tried again because somebody else was faster. */
const TRIES = 5;

/** Settings and limits of namespaces in the control plane: one row for each namespace that has some. */
export class ControlSettings implements Settings {
  readonly #rules: RuleCache;

  constructor(private readonly parts: SettingsParts) {
    const { revocations, monotonic, defaults, onError } = parts;
    this.#rules = new RuleCache({
      size: REMEMBERED,
      monotonic,
      lookUp: (namespace) => this.#lookUp(namespace),
      fallback: assumedRules(defaults),
      onError,
    });
    revocations.onRevoked(({ kind, id }) => {
      if (kind === "settings") void this.#rules.changed(id);
      else if (kind === "namespace") this.#rules.gone(id);
    });
  }

  rulesOf(namespace: string): NamespaceRules | Promise<NamespaceRules> {
    return this.#rules.get(namespace);
  }

  async settings(namespace: string, { signal }: RequestContext): Promise<Versioned<NamespaceSettings>> {
    return this.#viewOf("settings", await this.#existing(namespace, signal));
  }

  changeSettings(
    namespace: string,
    change: Change<NamespaceSettings>,
    actor: Principal,
    context: RequestContext,
  ): Promise<Versioned<NamespaceSettings>> {
    return this.#change("settings", namespace, actor, context, (stored) => {
      const [first, ...others] = beyondLimits(change, writtenOf(stored), this.parts.defaults);
      if (first) {
        const details = [first, ...others];
        throw new GatewayError("INVALID_REQUEST", `${first.field}: ${first.problem}`, { details });
      }
      return changed(stored.settings, change);
    });
  }

  async limits(namespace: string, { signal }: RequestContext): Promise<Versioned<NamespaceLimits>> {
    return this.#viewOf("limits", await this.#existing(namespace, signal));
  }

  changeLimits(
    namespace: string,
    change: Change<NamespaceLimits>,
    actor: Principal,
    context: RequestContext,
    whole: boolean,
  ): Promise<Versioned<NamespaceLimits>> {
    return this.#change("limits", namespace, actor, context, ({ limits }) => changed(whole ? {} : limits, change));
  }

  async #change<Name extends Part>(
    part: Name,
    namespace: string,
    actor: Actor,
    context: RequestContext,
    valuesAfter: (stored: Stored) => StoredValues,
  ): Promise<Versioned<Written[Name]>> {
    let createdAt: number | undefined;
    for (let tries = 0; tries < TRIES; tries++) {
      const before = await this.#existing(namespace, context.signal);
      // Another namespace of this name by now: the caller has no rights in that one.
      if (before.createdAt !== (createdAt ??= before.createdAt)) break;
      const after = { ...before, [part]: valuesAfter(before), version: before.version + 1 };
      const changes = differences(writtenOf(before)[part], writtenOf(after)[part]);
      const same = Object.keys(changes).length === 0;
      if (!same && !await this.#write(part, namespace, after, changes, actor, context)) continue;
      // Also where nothing had to change: somebody else may have changed it a moment ago, unheard of here.
      await this.#rules.changed(namespace);
      return this.#viewOf(part, same ? before : after);
    }
    throw new GatewayError("CONFLICT", `the ${part} of this namespace are being changed elsewhere; try again`);
  }

  /** @returns whether it was written; false when somebody else changed the row, or the namespace went */
  async #write(
    part: Part,
    namespace: string,
    after: Stored,
    changes: Readonly<Record<string, unknown>>,
    { subject }: Actor,
    context: RequestContext,
  ): Promise<boolean> {
    const { control, revocations, audit } = this.parts;
    const action = `${part}.changed`;
    try {
      await control.atomically([
        this.#replacement(namespace, after),
        revocations.entry("settings", namespace),
        audit.entry({ namespace, actor: subject, action, resource: namespace, details: { changes } }, context),
      ], context.signal);
      return true;
    } catch (error) {
      if (error instanceof ConstraintViolation) return false;
      throw error;
    }
  }

  /** Fails the whole transaction, on a constraint, where the row is not, or the namespace is not any more, what was read. */
  #replacement(namespace: string, { settings, limits, version, createdAt }: Stored): ControlQuery {
    return sql`INSERT INTO namespace_settings (namespace, settings, limits, version)
      VALUES (${namespace}, ${JSON.stringify(settings)}, ${JSON.stringify(limits)}, CASE WHEN EXISTS (
        SELECT 1 FROM namespaces n LEFT JOIN namespace_settings s ON s.namespace = n.name
        WHERE n.name = ${namespace} AND n.state = 'active' AND n.created_at = ${createdAt}
          AND coalesce(s.version, 0) = ${version - 1}
      ) THEN ${version} END)
      ON CONFLICT (namespace) DO UPDATE
      SET settings = excluded.settings, limits = excluded.limits, version = excluded.version`
      .compile(this.parts.control.db);
  }

  async #existing(namespace: string, signal: AbortSignal): Promise<Stored> {
    const stored = await this.#read(namespace, signal);
    if (stored?.state !== "active") throw new GatewayError("NOT_FOUND", "no such namespace");
    return stored;
  }

  async #read(namespace: string, signal: AbortSignal): Promise<Stored | undefined> {
    const { db } = this.parts.control;
    const { rows: [row] } = await this.parts.control.run<StoredRow>(
      db.selectFrom("namespaces as n").leftJoin("namespace_settings as s", "s.namespace", "n.name")
        .select(["n.state", "n.created_at", "s.settings", "s.limits", "s.version"]).where("n.name", "=", namespace),
      signal,
    );
    return row && {
      settings: JSON.parse(row.settings ?? "{}"),
      limits: JSON.parse(row.limits ?? "{}"),
      version: row.version ?? 0,
      createdAt: row.created_at,
      state: row.state,
    };
  }

  async #lookUp(namespace: string): Promise<FoundRules> {
    const stored = await this.#read(namespace, AbortSignal.timeout(PATIENCE));
    const written = stored ? writtenOf(stored) : NOTHING_WRITTEN;
    return { rules: effectiveOf(written, this.parts.defaults).rules, lasting: stored?.state === "active" };
  }

  #viewOf<Name extends Part>(part: Name, stored: Stored): Versioned<Written[Name]> {
    const written = writtenOf(stored);
    const effective: Written = effectiveOf(written, this.parts.defaults);
    return { values: written[part], effective: effective[part], version: stored.version };
  }
}

const writtenOf = ({ settings, limits }: Stored): Written => ({
  settings: fitted(NOTHING_WRITTEN.settings, settings),
  limits: fitted(NOTHING_WRITTEN.limits, limits),
});
