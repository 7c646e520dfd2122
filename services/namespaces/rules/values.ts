import type { Change, OrDefault } from "../../../src/contracts/settings.ts";

/** Own values where there are some, defaults for the rest. */
export function withDefaults<Values extends object>(own: OrDefault<Values>, defaults: Values): Values {
  const entries = Object.entries(defaults).map(([name, value]) => [name, own[name as keyof Values] ?? value]);
  return Object.fromEntries(entries) as Values;
}

/** Values by domain and name, as they are stored. What another version of the gateway wrote is among them. */
export type StoredValues = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

/**
 * The stored values that this version knows; `null` for those that were not stored.
 * @param nothing what holds where nothing was set: its names are those that are known
 */
export function fitted<Domains extends object>(nothing: Domains, stored: StoredValues): Domains {
  const domains = Object.entries(nothing).map(([domain, names]: [string, object]) => {
    const values = Object.keys(names).map((name) => [name, stored[domain]?.[name] ?? null]);
    return [domain, Object.fromEntries(values)];
  });
  return Object.fromEntries(domains) as Domains;
}

/** Stored values after a change; what it does not name stays, also what this version does not know. */
export function changed<Domains extends object>(stored: StoredValues, change: Change<Domains>): StoredValues {
  const domains = Object.entries(change as StoredValues).map(([domain, values = {}]) => {
    const named = Object.entries(values).filter(([, value]) => value !== undefined);
    return [domain, { ...stored[domain], ...Object.fromEntries(named) }];
  });
  return { ...stored, ...Object.fromEntries(domains) };
}

/** What is different, by the path of the value (`sql.read_level`), for the audit log. */
export function differences(
  before: object,
  after: object,
): Record<string, { readonly before: unknown; readonly after: unknown }> {
  const [old, now] = [before as StoredValues, after as StoredValues];
  const paths = Object.entries(now).flatMap(([domain, values = {}]) =>
    Object.entries(values)
      .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(old[domain]?.[name]))
      .map(([name, value]) => [`${domain}.${name}`, { before: old[domain]?.[name], after: value }])
  );
  return Object.fromEntries(paths);
}
