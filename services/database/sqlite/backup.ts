import { GatewayError } from "../../../src/contracts/errors.ts";
import { Host, HostEnded } from "../../../src/hosts/host.ts";
import { noRoom } from "../room.ts";
import { FULL } from "./full.ts";
import { filesOf } from "./namespace_file.ts";
import type { TroubleReply } from "./messages.ts";

/** A copy that is wanted. */
export interface BackupOrder {
  readonly from: string;
  /** A file that does not exist. */
  readonly to: string;
  readonly busyTimeout: number;
}

/** What came of it. */
export type BackupReply = { readonly kind: "done" } | TroubleReply;

/** Milliseconds for a copy: with slow disks and large files it takes minutes. */
const LONGEST = 60 * 60_000;

/**
 * Copies a database in a process of its own, which may touch these two files alone.
 * @throws GatewayError `NO_CAPACITY` when the disk is full, `UNAVAILABLE`; what the signal was aborted with
 */
export async function backUp(
  order: BackupOrder,
  signal: AbortSignal,
  log: (line: string, namespace: undefined) => void,
): Promise<void> {
  signal.throwIfAborted();
  const rights = [...filesOf(order.from), ...filesOf(order.to)];
  const host = Host.start({ kind: "backup", rights: { read: rights, write: rights } }, {
    onLine: (line) => log(line, undefined),
  });
  const stop = () => host.kill("closed");
  signal.addEventListener("abort", stop);
  try {
    const reply = await host.request(order, LONGEST) as BackupReply;
    if (reply.kind === "trouble") {
      const message = `${order.from} → ${order.to}: ${reply.message}`;
      throw reply.message.startsWith(FULL) ? noRoom(new Error(message)) : failed(message);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof HostEnded ? failed(error.message) : error;
  } finally {
    signal.removeEventListener("abort", stop);
    await host.end("closed");
  }
}

const failed = (message: string) =>
  new GatewayError("UNAVAILABLE", "the database of this namespace cannot be copied now", { cause: new Error(message) });
