import { field, group, section } from "../field.ts";
import { byteSize } from "../kinds/byte_size.ts";
import { list } from "../kinds/collections.ts";
import { duration } from "../kinds/duration.ts";
import { choice, integer, text } from "../kinds/plain.ts";

const key = text({ pattern: /^[\da-f]{64}$/i, expected: "32 random bytes as 64 hex digits" });

/** Where functions of the namespaces run. */
export const functions = section({
  description:
    "Where WebAssembly of the namespaces runs: in child processes with no rights, each of which serves one namespace and is ended " +
    "when a call in it takes too long. `limits.functions` says what a namespace may have.",
  fields: {
    hosts: group({
      max: field(integer({ min: 1, max: 4_096 }), {
        unit: "processes",
        description:
          "How many processes run functions at once; each runs one call at a time. Default: four for each processor, at least 8.",
      }),
      per_namespace: field(integer({ min: 1, max: 4_096 }), {
        unit: "processes",
        description:
          "How many of them one namespace may have, so that the others go on. Default: half of `functions.hosts.max`, at least 1.",
      }),
      spares: field(integer({ min: 0, max: 64 }), {
        default: 2,
        unit: "processes",
        description:
          "How many more are started ahead, so that a first call need not wait for one. Each takes about 50 MB of memory.",
      }),
      idle: field(duration({ min: "1s", max: "24h" }), {
        default: "1m",
        description: "After how long without a call a process ends.",
      }),
      memory: field(byteSize({ min: "1MiB", max: "4GiB" }), {
        default: "256MiB",
        description:
          "The most memory that any call may have, whatever its function asks for: the processes are started with it. Whole MiB.",
      }),
      confine: field(choice(["auto", "off"]), {
        default: "auto",
        description:
          "`auto`: processes are confined by whatever of the system works here without root (no new privileges, no " +
          "capabilities, no network, no core files, bounds on open files); what is in force is logged at the start and is the metric `function_confinement`. `off`: by " +
          "Deno's permissions alone.",
      }),
    }),
    wait: field(duration({ min: "0s", max: "5m" }), {
      default: "10s",
      description: "How long a call may wait for a process; after that it is 429, and nothing of it ran.",
    }),
    modules: group({
      cache: field(byteSize({ min: "1MiB", max: "64GiB" }), {
        default: "64MiB",
        description: "Bytes of modules that the gateway keeps in memory, ready to be given to processes.",
      }),
    }),
    secrets: group({
      key: field(key, {
        secret: true,
        description:
          "The key that encrypts the namespaces' secrets, from `openssl rand -hex 32`, the same on all gateways. Without it, it is " +
          "derived from the root key, which the gateways of a cluster share anyway. It changes in three steps, each on all gateways " +
          "before the next one: the new key among `functions.secrets.old_keys`; the new key here, and the old one there; the old one " +
          "goes, once each gateway has logged that secrets are sealed with the newest key ([operation](operation.md)).",
      }),
      old_keys: field(list(key), {
        default: [],
        secret: true,
        description:
          "Keys that read what they encrypted and encrypt nothing: those that were in use before, and the one that is going to be, " +
          "as `functions.secrets.key` says. The one that is derived from the root key is always tried.",
      }),
      reseal_after: field(duration({ min: "0s", max: "24h" }), {
        default: "10m",
        description:
          "How long after its start a gateway begins to encrypt with `functions.secrets.key` what other keys encrypted; it tries until " +
          "it succeeded. Longer than all gateways take to be started one after the other.",
      }),
    }),
    log: group({
      retention: field(duration({ min: "1s", max: "365d" }), {
        default: "3d",
        description:
          "For how long lines and calls are remembered where a namespace says nothing else. Never longer than " +
          "`limits.functions.log_retention`.",
      }),
      listeners: field(integer({ min: 1, max: 100_000 }), {
        default: 256,
        unit: "listeners",
        description: "How many may follow logs as they come, on this gateway; one more is 429.",
      }),
    }),
  },
  check: ({ hosts: { max, per_namespace, memory } }) => [
    ...(max !== undefined && per_namespace !== undefined && per_namespace > max
      ? [{ key: "hosts.per_namespace", because: "hosts.max", expected: "no more than functions.hosts.max" }]
      : []),
    ...(memory % 2 ** 20 === 0 ? [] : [{ key: "hosts.memory", expected: "a whole number of MiB, such as 256MiB" }]),
  ],
});
