import type { OrDefault, StorageLimitValues, StorageRules, StorageSettings } from "../../../src/contracts/settings.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of storage. */
export interface StorageDefaults {
  readonly limits: StorageLimitValues;
}

/** What holds for storage, in each of the forms it is asked for. */
export interface EffectiveStorage {
  readonly settings: StorageSettings;
  readonly limits: StorageLimitValues;
  readonly rules: StorageRules;
}

/** The settings of a namespace whose owner set nothing. */
export const NO_STORAGE_SETTINGS: StorageSettings = { encrypt: null };

/** The limits of a namespace for which no operator set anything. */
export const NO_STORAGE_LIMITS: OrDefault<StorageLimitValues> = {
  object_bytes: null,
  bytes: null,
  objects: null,
  uploads_in_flight: null,
  entries: null,
};

/** Settings and limits, and defaults for those that were not set. */
export function effectiveStorage(
  own: StorageSettings,
  ownLimits: OrDefault<StorageLimitValues>,
  defaults: StorageDefaults,
): EffectiveStorage {
  const limits = withDefaults(ownLimits, defaults.limits);
  const encrypt = own.encrypt === true;
  return {
    settings: { encrypt },
    limits,
    rules: {
      maxObjectBytes: limits.object_bytes,
      maxBytes: limits.bytes,
      maxObjects: limits.objects,
      maxUploads: limits.uploads_in_flight,
      maxEntries: limits.entries,
      encrypt,
    },
  };
}
