import type { Call } from "./call.ts";
import { ERRNO, LAYOUT } from "./wasi_types.ts";

/** Parts that one call reads or writes at most, as IOV_MAX of POSIX says of Linux. */
const MAX_PARTS = 1_024;
/** Bytes that one call reads or writes at most; the rest is for the next one, as POSIX allows. */
const MAX_BYTES = 2 ** 30;

/** Which of the three streams a file descriptor is; `undefined` for one that is not open. */
export const streamOf = (call: Call, descriptor: number): number | undefined => call.descriptors[descriptor];

/** `fd_read` */
export function read(call: Call, descriptor: number, parts: number, count: number, result: number): number {
  const stream = streamOf(call, descriptor);
  if (stream !== 0) return ERRNO.BADF;
  return transfer(call, parts, count, result, (part) => {
    const input = remaining(call).subarray(0, part.length);
    part.set(input);
    call.read += input.length;
    return input.length;
  });
}

/** `fd_write` */
export function write(call: Call, descriptor: number, parts: number, count: number, result: number): number {
  const stream = streamOf(call, descriptor);
  if (stream === undefined || stream === 0) return ERRNO.BADF;
  const plugIn = call.plugIn;
  return transfer(call, parts, count, result, (part) => {
    if (stream === 2) call.stderr.write(part);
    else if (plugIn) call.chatter.write(part);
    else call.write(part);
    return part.length;
  });
}

/** What of its input it has not read yet. A plug-in gets its input another way. */
export const remaining = (call: Call): Uint8Array =>
  call.plugIn ? call.task.input.subarray(0, 0) : call.task.input.subarray(call.read);

/** Moves one part after the other, until one is not moved as a whole. */
function transfer(
  call: Call,
  parts: number,
  count: number,
  result: number,
  move: (part: Uint8Array) => number,
): number {
  if (count >>> 0 > MAX_PARTS) return ERRNO.INVAL;
  const { memory } = call;
  const start = memory.place(parts, count * LAYOUT.iovec.size), end = memory.place(result, 4);
  if (start === undefined || end === undefined) return ERRNO.FAULT;
  const view = memory.view();
  // All are looked at before anything moves: a read may write where they stand.
  const found: Uint8Array[] = [];
  let size = 0;
  for (let at = 0; at < count; at++) {
    const place = start + at * LAYOUT.iovec.size;
    const part = memory.range(view.getUint32(place, true), view.getUint32(place + LAYOUT.iovec.length, true));
    if (!part) return ERRNO.FAULT;
    if (at > 0 && size + part.length > MAX_BYTES) break;
    size += part.length;
    found.push(part);
  }
  let moved = 0;
  for (const part of found) {
    const length = move(part);
    moved += length;
    if (length < part.length) break;
  }
  view.setUint32(end, moved, true);
  return ERRNO.SUCCESS;
}
