import type { FieldProblem } from "../../../src/contracts/errors.ts";
import {
  type Change,
  type NamespaceSettings,
  type OrDefault,
  type PubSubLimitValues,
  type PubSubRules,
  type PubSubSettings,
  SLOW_POLICIES,
  type SlowPolicy,
} from "../../../src/contracts/settings.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of live messages. */
export interface PubSubDefaults {
  readonly limits: PubSubLimitValues;
  readonly history_size: number;
  /** Milliseconds. */
  readonly history_ttl: number;
  readonly slow_readers: SlowPolicy;
}

/** What holds for live messages, in each of the forms it is asked for. */
export interface EffectivePubSub {
  readonly settings: PubSubSettings;
  readonly limits: PubSubLimitValues;
  readonly rules: PubSubRules;
}

/** The settings of a namespace whose owner set nothing. */
export const NO_PUBSUB_SETTINGS: PubSubSettings = {
  history_size: null,
  history_ttl: null,
  slow_readers: null,
  origins: null,
};

/** The limits of a namespace for which no operator set anything. */
export const NO_PUBSUB_LIMITS: OrDefault<PubSubLimitValues> = {
  message_bytes: null,
  history_messages: null,
  history_ttl: null,
  history_bytes: null,
  publish_rate: null,
  sockets: null,
  topics: null,
  topics_per_socket: null,
  credential_share: null,
  guest_share: null,
  queue_bytes: null,
};

/** Each member of a topic is kept in the memory of every gateway. */
const MAX_META_BYTES = 4096;

/** Settings within limits, and defaults for what neither says. */
export function effectivePubSub(
  own: PubSubSettings,
  ownLimits: OrDefault<PubSubLimitValues>,
  defaults: PubSubDefaults,
): EffectivePubSub {
  const limits = withDefaults(ownLimits, defaults.limits);
  const settings = {
    history_size: Math.min(amount(own.history_size) ?? defaults.history_size, limits.history_messages),
    history_ttl: Math.min(amount(own.history_ttl) ?? defaults.history_ttl, limits.history_ttl),
    slow_readers: SLOW_POLICIES.find((policy) => policy === own.slow_readers) ?? defaults.slow_readers,
    origins: isListOfTexts(own.origins) ? own.origins : null,
  };
  return {
    settings,
    limits,
    rules: {
      maxMessageBytes: limits.message_bytes,
      historySize: settings.history_size,
      historyTtl: settings.history_ttl,
      maxHistoryBytes: limits.history_bytes,
      publishRate: limits.publish_rate,
      maxSockets: limits.sockets,
      maxTopics: limits.topics,
      maxTopicsPerSocket: limits.topics_per_socket,
      credentialShare: limits.credential_share,
      guestShare: limits.guest_share,
      maxQueueBytes: limits.queue_bytes,
      slowPolicy: settings.slow_readers,
      maxMetaBytes: MAX_META_BYTES,
      origins: settings.origins ?? undefined,
    },
  };
}

// Another version of the gateway may have written something else.
const amount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : undefined;
const isListOfTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string");

/** What of a change lies beyond the limits. */
export function pubsubBeyondLimits(
  { history_size, history_ttl }: NonNullable<Change<NamespaceSettings>["pubsub"]>,
  limits: PubSubLimitValues,
): FieldProblem[] {
  return [
    ...beyond("history_size", history_size, limits.history_messages, ""),
    ...beyond("history_ttl", history_ttl, limits.history_ttl, " ms"),
  ];
}

const beyond = (name: string, value: number | null | undefined, limit: number, unit: string): FieldProblem[] =>
  (value ?? 0) <= limit
    ? []
    : [{ field: `pubsub.${name}`, problem: `at most ${limit}${unit}, which is the limit of this namespace` }];
