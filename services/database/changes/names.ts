/** Triggers of this name write the feed; clients can make none, because of the prefix `_orama_`. */
export const FEED_TRIGGER_PREFIX = "_orama_feed_";

/** What those triggers do, by the end of their names. */
export const TRIGGERS = ["before_insert", "insert", "before_update", "update", "delete"] as const;

const WRITTEN_BY_TRIGGERS: ReadonlySet<string> = new Set(["_orama_changes", "_orama_feed_replaced"]);

/** The name of one of a feed's triggers. */
export const triggerName = (feed: number, what: typeof TRIGGERS[number]): string =>
  `${FEED_TRIGGER_PREFIX}${feed}_${what}`;

/**
 * Whether a statement of a client's may touch a table of the gateway's because a trigger of the feed does so for it.
 * @param trigger the innermost trigger or view, as SQLite tells an authorizer
 */
export const isFeedAccess = (table: string, trigger: string | null): boolean =>
  trigger !== null && trigger.startsWith(FEED_TRIGGER_PREFIX) && WRITTEN_BY_TRIGGERS.has(table);

/** A name as SQL has it. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
