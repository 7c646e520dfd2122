import { deepEqual, equal } from "node:assert/strict";
import {
  HOST_CALLS,
  importedFunction,
  type ImportModule,
  IMPORTS,
} from "../../../../services/functions/modules/imports.ts";
import { readModule } from "../../../../services/functions/modules/index.ts";
import { assembled } from "../../../support/wat.ts";

/** The fourteen that modules of older gateways import, as those document them. */
const OLDER = [
  "get_caller_wallet () -> i64",
  "get_request_id () -> i64",
  "get_env (i32, i32) -> i64",
  "get_secret (i32, i32) -> i64",
  "db_query (i32, i32, i32, i32) -> i64",
  "db_execute (i32, i32, i32, i32) -> i32",
  "cache_get (i32, i32) -> i64",
  "cache_set (i32, i32, i32, i32, i64) -> ()",
  "cache_incr (i32, i32) -> i64",
  "cache_incr_by (i32, i32, i64) -> i64",
  "http_fetch (i32, i32, i32, i32, i32, i32, i32, i32) -> i64",
  "pubsub_publish (i32, i32, i32, i32) -> i32",
  "log_info (i32, i32) -> ()",
  "log_error (i32, i32) -> ()",
];

/** Beside these. */
const NEWER = [
  "cache_delete (i32, i32) -> i32",
  "storage_put (i32, i32, i32, i32) -> i64",
  "storage_get (i32, i32) -> i64",
  "db_transaction (i32, i32) -> i64",
  "function_invoke (i32, i32, i32, i32) -> i64",
  "log_debug (i32, i32) -> ()",
  "log_warn (i32, i32) -> ()",
  "last_error () -> i64",
];

/** The same for blocks: one offset in place of each pointer and length. */
const BY_BLOCKS = [
  "get_caller_wallet () -> i64",
  "get_env (i64) -> i64",
  "db_query (i64, i64) -> i64",
  "db_execute (i64, i64) -> i32",
  "cache_set (i64, i64, i64) -> ()",
  "cache_incr_by (i64, i64) -> i64",
  "cache_delete (i64) -> i32",
  "http_fetch (i64, i64, i64, i64) -> i64",
  "log_info (i64) -> ()",
];

/** Those of WASI that take anything but i32, as wasi-libc declares them; all others take i32 alone. */
const WITH_I64 = [
  "clock_time_get (i32, i64, i32) -> i32",
  "fd_advise (i32, i64, i64, i32) -> i32",
  "fd_allocate (i32, i64, i64) -> i32",
  "fd_fdstat_set_rights (i32, i64, i64) -> i32",
  "fd_filestat_set_size (i32, i64) -> i32",
  "fd_filestat_set_times (i32, i64, i64, i32) -> i32",
  "fd_pread (i32, i32, i32, i64, i32) -> i32",
  "fd_pwrite (i32, i32, i32, i64, i32) -> i32",
  "fd_readdir (i32, i32, i32, i64, i32) -> i32",
  "fd_seek (i32, i64, i32, i32) -> i32",
  "path_filestat_set_times (i32, i32, i32, i32, i64, i64, i32) -> i32",
  "path_open (i32, i32, i32, i32, i32, i64, i64, i32, i32) -> i32",
];

/** How many parameters those of WASI have that take i32 alone. */
const WITH_I32 = {
  args_get: 2,
  args_sizes_get: 2,
  clock_res_get: 2,
  environ_get: 2,
  environ_sizes_get: 2,
  fd_close: 1,
  fd_datasync: 1,
  fd_fdstat_get: 2,
  fd_fdstat_set_flags: 2,
  fd_filestat_get: 2,
  fd_prestat_dir_name: 3,
  fd_prestat_get: 2,
  fd_read: 4,
  fd_renumber: 2,
  fd_sync: 1,
  fd_tell: 2,
  fd_write: 4,
  path_create_directory: 3,
  path_filestat_get: 5,
  path_link: 7,
  path_readlink: 6,
  path_remove_directory: 3,
  path_rename: 6,
  path_symlink: 5,
  path_unlink_file: 3,
  poll_oneoff: 4,
  proc_exit: 1,
  proc_raise: 1,
  random_get: 2,
  sched_yield: 0,
  sock_accept: 3,
  sock_recv: 6,
  sock_send: 5,
  sock_shutdown: 2,
};

const signatures = (module: ImportModule) =>
  Object.entries(IMPORTS[module]).map(([name, { params, results }]) =>
    `${name} (${params.join(", ")}) -> ${results[0] ?? "()"}`
  );
const sorted = (lines: readonly string[]) => lines.toSorted();

Deno.test("env and host have the fourteen of older gateways as they were, and the newer ones", () => {
  deepEqual(sorted(signatures("host")), sorted([...OLDER, ...NEWER]));
  deepEqual(sorted(signatures("env")), sorted([...OLDER, ...NEWER, "abort (i32, i32, i32, i32) -> ()"]));
});

Deno.test("plug-ins have the same host calls, with an offset for each pointer and length", () => {
  deepEqual(Object.keys(IMPORTS["extism:host/user"]), Object.keys(HOST_CALLS));
  const all = new Set(signatures("extism:host/user"));
  deepEqual(BY_BLOCKS.filter((line) => !all.has(line)), []);
});

Deno.test("WASI preview 1 is there as a whole, and of the types that C programs import", () => {
  const plain = Object.entries(WITH_I32).map(([name, count]) =>
    `${name} (${Array(count).fill("i32").join(", ")}) -> ${name === "proc_exit" ? "()" : "i32"}`
  );
  deepEqual(sorted(signatures("wasi_snapshot_preview1")), sorted([...WITH_I64, ...plain]));
});

Deno.test("a module that imports everything there is is taken, if it has a memory", async () => {
  const all = Object.entries(IMPORTS).flatMap(([module, functions]) =>
    Object.entries(functions).map(([name, { params, results }]) => {
      const takes = params.map((type) => ` ${type}`).join(""), gives = results.map((type) => ` ${type}`).join("");
      return `(import "${module}" "${name}" (func (param${takes}) (result${gives})))`;
    })
  );
  const wasm = await assembled(
    "all.wat",
    `(module ${all.join("\n")} (memory (export "memory") 1) (func (export "handle") (result i32) (i32.const 0)))`,
  );
  deepEqual(readModule(wasm, { maxMemory: 1 }, {}), { abi: "extism", entry: "handle", initialPages: 1 });
});

Deno.test("what needs a memory is what has a pointer, or gives bytes into it", () => {
  const needs = (module: string, name: string) => importedFunction(module, name)?.usesMemory;
  for (const name of ["get_request_id", "db_query", "log_info", "cache_incr"]) equal(needs("env", name), true, name);
  for (const name of ["proc_exit", "sched_yield", "fd_close", "fd_advise"]) {
    equal(needs("wasi_snapshot_preview1", name), false, name);
  }
  equal(needs("env", "abort"), false);
  for (const name of Object.keys(HOST_CALLS)) equal(needs("extism:host/user", name), false, name);
});

Deno.test("what every object of JavaScript has is nothing that can be imported", () => {
  for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
    equal(importedFunction("env", name), undefined, name);
    equal(importedFunction(name, "log_info"), undefined, name);
  }
});
