import type { WasiName } from "../modules/imports.ts";
import type { Call } from "./call.ts";
import type { ImportedCode, Stage } from "./stage.ts";
import type { Surroundings } from "./surroundings.ts";
import { poll, timeOf } from "./wasi_poll.ts";
import { read, remaining, streamOf, write } from "./wasi_streams.ts";
import { CLOCK, ERRNO, LAYOUT, RIGHT } from "./wasi_types.ts";

const encoder = new TextEncoder();
const { SUCCESS, BADF, FAULT, INVAL, NOTDIR, NOTSOCK, NOTSUP, SPIPE } = ERRNO;

/** Nanoseconds between two times of a clock: the real one is told in milliseconds. */
const resolutionOf = (clock: number): bigint => clock === CLOCK.REALTIME ? 1_000_000n : 1_000n;

/**
 * WASI preview 1, all of it: standard input, output and error, clocks, sleep, randomness and the end. There are no files, no
 * folders, no sockets and no environment, and what is for them answers as a system without them does.
 *
 * A library would do, but no host can load one: hosts are started without npm. And those that there are trust a module more than
 * this may: with the number of the parts of a write, with the size of its answer, with how long it sleeps.
 */
export function wasi(stage: Stage, here: Surroundings): Record<WasiName, ImportedCode> {
  const call = <Values extends readonly (number | bigint)[]>(code: (call: Call, ...values: Values) => number) =>
    stage.imported(code);
  /** What only another kind of file can do. */
  const without = (errno: number) =>
    call((call, descriptor: number) => streamOf(call, descriptor) === undefined ? BADF : errno);
  const outside = without(NOTDIR), unseekable = without(SPIPE), noSocket = without(NOTSOCK);

  return {
    args_get: call((call, pointers: number, texts: number) => {
      const name = argument(call);
      const pointer = call.memory.place(pointers, 4), text = call.memory.range(texts, name.length);
      if (pointer === undefined || !text) return FAULT;
      call.memory.view().setUint32(pointer, texts, true);
      text.set(name);
      return SUCCESS;
    }),
    args_sizes_get: call((call, count: number, size: number) => sizes(call, count, size, 1, argument(call).length)),
    environ_get: call(() => SUCCESS),
    environ_sizes_get: call((call, count: number, size: number) => sizes(call, count, size, 0, 0)),
    clock_res_get: call((call, clock: number, result: number) =>
      timeOf(clock, call, here) === undefined ? INVAL : putTime(call, result, resolutionOf(clock))
    ),
    clock_time_get: call((call, clock: number, _precision: bigint, result: number) => {
      const time = timeOf(clock, call, here);
      return time === undefined ? INVAL : putTime(call, result, time);
    }),
    fd_advise: unseekable,
    fd_allocate: unseekable,
    fd_close: call((call, descriptor: number) => {
      if (streamOf(call, descriptor) === undefined) return BADF;
      call.descriptors[descriptor] = undefined;
      return SUCCESS;
    }),
    fd_datasync: without(SUCCESS),
    fd_fdstat_get: call((call, descriptor: number, result: number) => {
      const stream = streamOf(call, descriptor), at = call.memory.place(result, LAYOUT.fdstat.size);
      if (stream === undefined) return BADF;
      if (at === undefined) return FAULT;
      const view = call.memory.view();
      // No kind of file is a pipe's: unknown. A terminal's would make programs flush each line.
      view.setBigUint64(at, 0n, true);
      const rights = RIGHT.POLL | RIGHT.FILESTAT | (stream === 0 ? RIGHT.READ : RIGHT.WRITE);
      view.setBigUint64(at + LAYOUT.fdstat.rights, rights, true);
      view.setBigUint64(at + LAYOUT.fdstat.rights + 8, 0n, true);
      return SUCCESS;
    }),
    // Nothing here ever blocks.
    fd_fdstat_set_flags: without(SUCCESS),
    fd_fdstat_set_rights: without(NOTSUP),
    fd_filestat_get: call((call, descriptor: number, result: number) => {
      const stream = streamOf(call, descriptor), stat = call.memory.range(result, LAYOUT.filestat.size);
      if (stream === undefined) return BADF;
      if (!stat) return FAULT;
      stat.fill(0);
      const view = call.memory.view();
      view.setBigUint64(stat.byteOffset + LAYOUT.filestat.links, 1n, true);
      const length = stream === 0 ? remaining(call).length : 0;
      view.setBigUint64(stat.byteOffset + LAYOUT.filestat.length, BigInt(length), true);
      return SUCCESS;
    }),
    fd_filestat_set_size: without(INVAL),
    fd_filestat_set_times: without(NOTSUP),
    fd_pread: unseekable,
    // There is no folder that a program could begin at.
    fd_prestat_get: call(() => BADF),
    fd_prestat_dir_name: call(() => BADF),
    fd_pwrite: unseekable,
    fd_read: call(read),
    fd_readdir: outside,
    fd_renumber: call((call, from: number, to: number) => {
      const stream = streamOf(call, from);
      if (stream === undefined || streamOf(call, to) === undefined) return BADF;
      call.descriptors[from] = undefined;
      call.descriptors[to] = stream;
      return SUCCESS;
    }),
    fd_seek: unseekable,
    fd_sync: without(SUCCESS),
    fd_tell: unseekable,
    fd_write: call(write),
    path_create_directory: outside,
    path_filestat_get: outside,
    path_filestat_set_times: outside,
    path_link: outside,
    path_open: outside,
    path_readlink: outside,
    path_remove_directory: outside,
    path_rename: outside,
    path_symlink: call((call, _target: number, _length: number, descriptor: number) =>
      streamOf(call, descriptor) === undefined ? BADF : NOTDIR
    ),
    path_unlink_file: outside,
    poll_oneoff: call((call, from: number, to: number, count: number, result: number) =>
      poll(call, from, to, count, result, here)
    ),
    proc_exit: stage.imported((call, code: number) => {
      const exitCode = code >>> 0;
      return call.stop(exitCode === 0 ? { end: "done", message: "" } : { end: "exit", message: "", exitCode });
    }),
    // Signals are for nobody here. Preview 1 itself has given it up.
    proc_raise: call(() => NOTSUP),
    sched_yield: call(() => SUCCESS),
    random_get: call((call, pointer: number, length: number) => {
      const bytes = call.memory.range(pointer, length);
      if (!bytes) return FAULT;
      here.random(bytes);
      return SUCCESS;
    }),
    sock_accept: noSocket,
    sock_recv: noSocket,
    sock_send: noSocket,
    sock_shutdown: noSocket,
  };
}

/** The one argument: the name of the function, as a program finds its own. */
const argument = ({ task: { name } }: Call): Uint8Array => encoder.encode(`${name}\0`);

function sizes(call: Call, countAt: number, sizeAt: number, count: number, size: number): number {
  const first = call.memory.place(countAt, 4), second = call.memory.place(sizeAt, 4);
  if (first === undefined || second === undefined) return FAULT;
  const view = call.memory.view();
  view.setUint32(first, count, true);
  view.setUint32(second, size, true);
  return SUCCESS;
}

function putTime(call: Call, result: number, time: bigint): number {
  const at = call.memory.place(result, 8);
  if (at === undefined) return FAULT;
  call.memory.view().setBigUint64(at, time, true);
  return SUCCESS;
}
