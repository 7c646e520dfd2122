import { z } from "zod";

const DAY = 24 * 60 * 60 * 1000;
const MIB = 2 ** 20;
const amount = (min: number, max = Number.MAX_SAFE_INTEGER) => z.int().min(min).max(max).nullable();

/** What an operator may limit of functions. */
export const functionsLimits = z.strictObject({
  functions: amount(0, 1_000_000).describe("Functions that there are at once."),
  versions: amount(1, 10_000).describe("Versions that are kept of one function."),
  module_bytes: amount(8, 1024 * MIB).describe("Bytes of one module."),
  memory: amount(MIB, 4096 * MIB).describe(
    "Bytes that the memory of one call may have, in whole MiB. No more than the gateway's `functions.hosts.memory` is had.",
  ),
  timeout: amount(1, 60 * 60 * 1000).describe("Milliseconds that one call may take."),
  concurrency: amount(1, 100_000).describe("Calls that run at once, on each gateway."),
  waiting: amount(0, 1_000_000).describe("Calls that wait for their turn, on each gateway."),
  input_bytes: amount(0, 64 * MIB).describe("Bytes that a call is given."),
  output_bytes: amount(0, 64 * MIB).describe("Bytes of a call's answer."),
  log_bytes: amount(0, 64 * MIB).describe("Bytes of lines that a call may log; further ones are dropped."),
  host_calls: amount(0, 1_000_000_000).describe("Host calls of one call."),
  triggers: amount(0, 1_000_000).describe("Triggers of all its functions together."),
  secrets: amount(0, 1_000_000).describe("Secrets."),
  log_retention: amount(1000, 365 * DAY).describe(
    "The most milliseconds for which an owner may have lines and calls remembered.",
  ),
});
