import { ControlSettings } from "../../../../services/namespaces/settings.ts";
import type { RuleDefaults } from "../../../../services/namespaces/rules/index.ts";
import type { Node } from "../../auth/support/node.ts";

/** Defaults that no two limits share, so that one cannot pass for another. */
export const DEFAULTS: RuleDefaults = {
  sql: {
    statement_timeout: 10_000,
    retained_changes: 500,
    change_retention: 3_600_000,
    limits: {
      statement_timeout: 30_000,
      database_bytes: 0,
      rows_per_answer: 100,
      bytes_per_answer: 2_000,
      statements_in_flight: 30,
      bulk_rows: 4_000,
      retained_changes: 6_000,
      change_retention: 7_200_000,
    },
  },
  cache: {
    limits: { value_bytes: 21, bytes: 22, scan_keys: 23, lock_waiters: 24 },
    near: { max_ttl: 3_000, available: true },
  },
  storage: { limits: { object_bytes: 31, bytes: 32, objects: 33, uploads_in_flight: 34, entries: 35 } },
  pubsub: {
    history_size: 40,
    history_ttl: 41_000,
    slow_readers: "close",
    limits: {
      message_bytes: 42,
      history_messages: 430,
      history_ttl: 44_000,
      history_bytes: 45,
      publish_rate: 46,
      sockets: 47,
      topics: 48,
      topics_per_socket: 49,
      credential_share: 51,
      guest_share: 52,
      queue_bytes: 50,
    },
  },
  functions: {
    log_retention: 60_000,
    max_memory: 100 * 2 ** 20,
    max_output: 50_000_000,
    max_concurrency: 80,
    limits: {
      functions: 61,
      versions: 62,
      module_bytes: 63,
      memory: 64 * 2 ** 20,
      timeout: 65,
      concurrency: 66,
      waiting: 67,
      input_bytes: 68,
      output_bytes: 69,
      log_bytes: 70,
      host_calls: 71,
      triggers: 72,
      secrets: 73,
      log_retention: 74_000,
    },
  },
  egress: {
    ports: ["80", "8000-8999"],
    max_in_flight: 90,
    limits: {
      requests_in_flight: 81,
      request_bytes: 82,
      response_bytes: 83,
      stream_bytes: 84,
      duration: 85,
      stream_duration: 86,
      redirects: 87,
    },
  },
  webhooks: {
    max_in_flight: 99,
    limits: {
      endpoints: 91,
      event_bytes: 92,
      waiting: 93,
      waiting_bytes: 194,
      requests_in_flight: 95,
      remembered: 96,
      delivered_retention: 97,
      dead_retention: 98,
    },
  },
};

/** The settings service of a gateway, and what it complained of. */
export function settingsOn(node: Pick<Node, "control" | "revocations" | "audit" | "clock">, defaults = DEFAULTS) {
  const errors: unknown[] = [];
  const settings = new ControlSettings({
    control: node.control,
    revocations: node.revocations,
    audit: node.audit,
    monotonic: node.clock.now,
    defaults,
    onError: (_namespace, error) => errors.push(error),
  });
  return { settings, errors };
}
