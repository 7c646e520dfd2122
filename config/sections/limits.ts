import { field, group, section } from "../field.ts";
import { byteSize } from "../kinds/byte_size.ts";
import { duration, LONGEST_TIMER } from "../kinds/duration.ts";
import { integer, number } from "../kinds/plain.ts";
import { egress } from "./limits/egress.ts";
import { webhooks } from "./limits/webhooks.ts";

const limit = (whom: string, { rate, burst }: { readonly rate: number; readonly burst: number }) =>
  group({
    rate: field(number({ max: 1_000_000 }), {
      default: rate,
      unit: "requests/s",
      description: `Requests per second, on average, ${whom}. 0 switches this limit off.`,
    }),
    burst: field(integer({ max: 10_000_000 }), {
      default: burst,
      unit: "requests",
      description: `Requests at once, after a pause, ${whom}.`,
    }),
  });

/** What operators may set for one namespace by `/v1/namespaces/{ns}/limits`, under the same names; here for all the others. */
const sql = group({
  statement_timeout: field(duration({ min: "1ms", max: LONGEST_TIMER }), {
    default: "30s",
    description: "The longest time that a statement may ask for, or that an owner may give to all of them.",
  }),
  database_bytes: field(byteSize({ max: "1024TiB" }), {
    default: 0,
    description: "How large a namespace's database may grow. 0: as large as it will.",
  }),
  rows_per_answer: field(integer({ min: 1 }), {
    default: 100_000,
    unit: "rows",
    description: "Rows in one answer.",
  }),
  bytes_per_answer: field(byteSize({ min: "1B" }), {
    default: "16MiB",
    description: "Size of one answer.",
  }),
  statements_in_flight: field(integer({ min: 1 }), {
    default: 256,
    unit: "statements",
    description: "Statements of one namespace that run, wait or stream at once, on each gateway.",
  }),
  bulk_rows: field(integer({ min: 1 }), {
    default: 1_000_000,
    unit: "rows",
    description: "Rows in one bulk load.",
  }),
  retained_changes: field(integer({ min: 1 }), {
    default: 1_000_000,
    unit: "changes",
    description:
      "The most changes of tables that an owner may have kept for who listens. They are part of the database.",
  }),
  change_retention: field(duration({ min: "1m", max: "365d" }), {
    default: "7d",
    description: "The longest time for which an owner may have them kept.",
  }),
});

/** The same for the cache. */
const cache = group({
  value_bytes: field(byteSize({ min: "1B", max: "64MiB" }), {
    default: "500KiB",
    description:
      "Size of one value in the cache. An Olric member takes no more than its `tableSize` (512 KiB unless it says " +
      "otherwise), key and bookkeeping included.",
  }),
  bytes: field(byteSize(), {
    default: "32MiB",
    description:
      "What one namespace may hold in the cache of one gateway (`cache.driver: memory`); beyond it, its own entries that were " +
      "unused for longest make room. 0: as much as `cache.memory.max_bytes` lets it.",
  }),
  scan_keys: field(integer({ min: 1, max: 100_000 }), {
    default: 1_000,
    unit: "keys",
    description: "Keys in one page of a scan.",
  }),
  lock_waiters: field(integer({ max: 1_000_000 }), {
    default: 1_000,
    unit: "callers",
    description: "How many callers of one namespace may wait for locks at once, on each gateway; one more is 429.",
  }),
});

/** The same for storage. */
const storage = group({
  object_bytes: field(byteSize({ min: "1B", max: "1024TiB" }), {
    default: "1GiB",
    description: "Size of one object: of a directory, of all its files together.",
  }),
  bytes: field(byteSize({ max: "1024TiB" }), {
    default: "10GiB",
    description:
      "What the objects of one namespace may have together. What several namespaces have counts for each of them. 0: any.",
  }),
  objects: field(integer(), {
    default: 100_000,
    unit: "objects",
    description: "How many objects one namespace may have; a directory is one. 0: any number.",
  }),
  uploads_in_flight: field(integer({ min: 1, max: 100_000 }), {
    default: 20,
    unit: "uploads",
    description: "Uploads into one namespace that are under way at once, on each gateway; one more is 429.",
  }),
  entries: field(integer({ min: 1, max: 1_000_000 }), {
    default: 10_000,
    unit: "files",
    description: "Files in one directory that is uploaded.",
  }),
});

/** The same for live messages. */
const pubsub = group({
  message_bytes: field(byteSize({ min: "1B", max: "1MiB" }), {
    default: "1MiB",
    description: "Size of one message.",
  }),
  history_messages: field(integer({ max: 1_000_000 }), {
    default: 10_000,
    unit: "messages",
    description: "The most messages of a topic that an owner may have kept for those who were away.",
  }),
  history_ttl: field(duration({ min: "1s", max: "1d" }), {
    default: "1d",
    description: "The longest time for which an owner may have them kept.",
  }),
  history_bytes: field(byteSize({ max: "1TiB" }), {
    default: "16MiB",
    description: "What is kept of all topics of one namespace, on each gateway. 0: nothing.",
  }),
  publish_rate: field(integer({ max: 10_000_000 }), {
    default: 5_000,
    unit: "messages/s",
    description: "Messages that are published in one namespace per second, on each gateway. 0: any number.",
  }),
  sockets: field(integer({ min: 1, max: 10_000_000 }), {
    default: 20_000,
    unit: "sockets",
    description: "Sockets and event streams of one namespace that are open at once, on each gateway.",
  }),
  topics: field(integer({ min: 1, max: 10_000_000 }), {
    default: 10_000,
    unit: "topics",
    description: "Topics of one namespace that have subscribers, or of which something is kept, on each gateway.",
  }),
  topics_per_socket: field(integer({ min: 1, max: 100_000 }), {
    default: 1_000,
    unit: "topics",
    description: "Topics to which one socket is subscribed.",
  }),
  credential_share: field(integer({ min: 1, max: 100 }), {
    default: 80,
    unit: "%",
    description:
      "How much of `topics`, `publish_rate` and `sockets` one key, or one wallet with its sessions, may have, so that the others of " +
      "its namespace go on.",
  }),
  guest_share: field(integer({ min: 1, max: 100 }), {
    default: 5,
    unit: "%",
    description: "The same for one token that names topics; those with the same `member_id` count together.",
  }),
  queue_bytes: field(byteSize({ min: "1KiB", max: "64MiB" }), {
    default: "1MiB",
    description: "What waits for one socket that does not read.",
  }),
});

/** The same for functions. */
const functions = group({
  functions: field(integer({ max: 1_000_000 }), {
    default: 100,
    unit: "functions",
    description: "How many functions one namespace may have. 0: none, so that no code of clients runs.",
  }),
  versions: field(integer({ min: 1, max: 10_000 }), {
    default: 20,
    unit: "versions",
    description:
      "Versions that are kept of one function. Beyond, the oldest goes that neither serves nor is named by an alias or a trigger.",
  }),
  module_bytes: field(byteSize({ min: "8B", max: "1GiB" }), {
    default: "16MiB",
    description: "Size of one module.",
  }),
  memory: field(byteSize({ min: "1MiB", max: "4GiB" }), {
    default: "256MiB",
    description: "What the memory of one call may have. Whole MiB; no more than `functions.hosts.memory`.",
  }),
  timeout: field(duration({ min: "1ms", max: "1h" }), {
    default: "60s",
    description: "How long one call may take, host calls included.",
  }),
  concurrency: field(integer({ min: 1, max: 100_000 }), {
    default: 64,
    unit: "calls",
    description:
      "Calls of one namespace that run at once, on each gateway; `functions.hosts.per_namespace` may be less.",
  }),
  waiting: field(integer({ max: 1_000_000 }), {
    default: 256,
    unit: "calls",
    description: "Calls of one namespace that wait for their turn, on each gateway; one more is 429.",
  }),
  input_bytes: field(byteSize({ max: "64MiB" }), {
    default: "1MiB",
    description: "Size of what a call is given.",
  }),
  output_bytes: field(byteSize({ max: "64MiB" }), {
    default: "4MiB",
    description: "Size of a call's answer.",
  }),
  log_bytes: field(byteSize({ max: "64MiB" }), {
    default: "64KiB",
    description: "What one call may log; further lines are dropped.",
  }),
  host_calls: field(integer({ max: 1_000_000_000 }), {
    default: 1_000,
    unit: "calls",
    description: "Calls that one call makes of the gateway: SQL, cache, storage, messages, other functions.",
  }),
  triggers: field(integer({ max: 1_000_000 }), {
    default: 100,
    unit: "triggers",
    description: "Triggers of all functions of one namespace together.",
  }),
  secrets: field(integer({ max: 1_000_000 }), {
    default: 100,
    unit: "secrets",
    description: "How many secrets one namespace may have.",
  }),
  log_retention: field(duration({ min: "1s", max: "365d" }), {
    default: "7d",
    description: "The longest time for which an owner may have lines and calls remembered.",
  }),
});

/** How often clients may call, and what one namespace may use. */
export const limits = section({
  description:
    "How often clients may call, and what one namespace may use of each service. Each gateway counts requests for itself; " +
    "one beyond its limit is 429 with `Retry-After`.",
  fields: {
    key: limit("of one credential", { rate: 200, burst: 2000 }),
    address: limit("of one client address without a credential", { rate: 50, burst: 500 }),
    credentials: limit("of one client address on the routes that give or take credentials", { rate: 1, burst: 60 }),
    sql,
    cache,
    storage,
    pubsub,
    functions,
    egress,
    webhooks,
  },
  check: ({ key, address, credentials, cache, storage, functions, webhooks }) => [
    ...Object.entries({ key, address, credentials })
      .filter(([, { rate, burst }]) => rate > 0 && burst < 1)
      .map(([name]) => ({ key: `${name}.burst`, because: `${name}.rate`, expected: "at least 1, or a rate of 0" })),
    ...(cache.bytes > 0 && cache.value_bytes > cache.bytes
      ? [{ key: "cache.value_bytes", because: "cache.bytes", expected: "no more than limits.cache.bytes" }]
      : []),
    ...(storage.bytes > 0 && storage.object_bytes > storage.bytes
      ? [{ key: "storage.object_bytes", because: "storage.bytes", expected: "no more than limits.storage.bytes" }]
      : []),
    ...(functions.memory % 2 ** 20 === 0
      ? []
      : [{ key: "functions.memory", expected: "a whole number of MiB, such as 256MiB" }]),
    ...(webhooks.event_bytes > webhooks.waiting_bytes
      ? [{
        key: "webhooks.event_bytes",
        because: "webhooks.waiting_bytes",
        expected: "no more than limits.webhooks.waiting_bytes",
      }]
      : []),
  ],
});
