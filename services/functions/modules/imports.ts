/** A number as it goes between a module and what it imports. */
export type WasmType = "i32" | "i64";

/** The type of a function that modules import. */
export interface ImportedFunction {
  readonly params: readonly WasmType[];
  /** None, or one. */
  readonly results: readonly WasmType[];
  /** Whether it reads or writes the module's memory, which the module then has to export. */
  readonly usesMemory: boolean;
}

/**
 * What a host call takes and gives, whichever way it is imported. `bytes` are a pointer and a length into the module's memory for
 * `env` and `host`, and a block's offset for `extism:host/user`; as an answer they are (pointer << 32) | length in memory that the
 * module's own allocator gave, or again a block's offset; 0 for nothing there, in both.
 */
export interface HostCall {
  readonly takes: readonly ("bytes" | WasmType)[];
  readonly gives: "bytes" | WasmType | "nothing";
}

/** The host calls, with parameters in their order. The same for WASI commands and for Extism plug-ins. */
export const HOST_CALLS = {
  get_caller_wallet: { takes: [], gives: "bytes" },
  get_request_id: { takes: [], gives: "bytes" },
  /** (name) */
  get_env: { takes: ["bytes"], gives: "bytes" },
  /** (name) */
  get_secret: { takes: ["bytes"], gives: "bytes" },
  /** (SQL, JSON array of arguments or nothing): JSON array of rows, or `null` for none */
  db_query: { takes: ["bytes", "bytes"], gives: "bytes" },
  /** (SQL, JSON array of arguments or nothing): rows that it changed, 0 also for an error */
  db_execute: { takes: ["bytes", "bytes"], gives: "i32" },
  /** (JSON array of steps): JSON */
  db_transaction: { takes: ["bytes"], gives: "bytes" },
  /** (key) */
  cache_get: { takes: ["bytes"], gives: "bytes" },
  /** (key, value, seconds to live or 0) */
  cache_set: { takes: ["bytes", "bytes", "i64"], gives: "nothing" },
  /** (key): 1 deleted, 0 not there or an error */
  cache_delete: { takes: ["bytes"], gives: "i32" },
  /** (key): the new value, 0 also for an error */
  cache_incr: { takes: ["bytes"], gives: "i64" },
  /** (key, by how much): the new value, 0 also for an error */
  cache_incr_by: { takes: ["bytes", "i64"], gives: "i64" },
  /** (name, content): the content id */
  storage_put: { takes: ["bytes", "bytes"], gives: "bytes" },
  /** (content id): the content */
  storage_get: { takes: ["bytes"], gives: "bytes" },
  /** (topic, message): 1 published, 0 an error */
  pubsub_publish: { takes: ["bytes", "bytes"], gives: "i32" },
  /** (method, URL, JSON object of headers or nothing, body): JSON `{status, headers, body}` or `{error, status}` */
  http_fetch: { takes: ["bytes", "bytes", "bytes", "bytes"], gives: "bytes" },
  /** (name, input): what the function wrote */
  function_invoke: { takes: ["bytes", "bytes"], gives: "bytes" },
  log_debug: { takes: ["bytes"], gives: "nothing" },
  log_info: { takes: ["bytes"], gives: "nothing" },
  log_warn: { takes: ["bytes"], gives: "nothing" },
  log_error: { takes: ["bytes"], gives: "nothing" },
  /** JSON `{code, message}` of the last host call that failed, nothing where none did. */
  last_error: { takes: [], gives: "bytes" },
} as const satisfies Readonly<Record<string, HostCall>>;

/** The name of a host call. */
export type HostCallName = keyof typeof HOST_CALLS;

const LETTERS = { i: "i32", p: "i32", I: "i64" } as const;

/** @param letters `i`: i32, `I`: i64, `p`: i32 that points into the module's memory */
const typed = (letters: string, results: readonly WasmType[]): ImportedFunction => ({
  params: [...letters].map((letter) => LETTERS[letter as keyof typeof LETTERS]),
  results,
  usesMemory: letters.includes("p"),
});

const errno = (letters: string) => typed(letters, ["i32"]);

/** Of wasi_snapshot_preview1.witx: https://github.com/WebAssembly/WASI/tree/wasi-0.1 */
const WASI = {
  args_get: errno("pp"),
  args_sizes_get: errno("pp"),
  environ_get: errno("pp"),
  environ_sizes_get: errno("pp"),
  clock_res_get: errno("ip"),
  clock_time_get: errno("iIp"),
  fd_advise: errno("iIIi"),
  fd_allocate: errno("iII"),
  fd_close: errno("i"),
  fd_datasync: errno("i"),
  fd_fdstat_get: errno("ip"),
  fd_fdstat_set_flags: errno("ii"),
  fd_fdstat_set_rights: errno("iII"),
  fd_filestat_get: errno("ip"),
  fd_filestat_set_size: errno("iI"),
  fd_filestat_set_times: errno("iIIi"),
  fd_pread: errno("ipiIp"),
  fd_prestat_get: errno("ip"),
  fd_prestat_dir_name: errno("ipi"),
  fd_pwrite: errno("ipiIp"),
  fd_read: errno("ipip"),
  fd_readdir: errno("ipiIp"),
  fd_renumber: errno("ii"),
  fd_seek: errno("iIip"),
  fd_sync: errno("i"),
  fd_tell: errno("ip"),
  fd_write: errno("ipip"),
  path_create_directory: errno("ipi"),
  path_filestat_get: errno("iipip"),
  path_filestat_set_times: errno("iipiIIi"),
  path_link: errno("iipiipi"),
  path_open: errno("iipiiIIip"),
  path_readlink: errno("ipipip"),
  path_remove_directory: errno("ipi"),
  path_rename: errno("ipiipi"),
  path_symlink: errno("piipi"),
  path_unlink_file: errno("ipi"),
  poll_oneoff: errno("ppip"),
  proc_exit: typed("i", []),
  proc_raise: errno("i"),
  sched_yield: errno(""),
  random_get: errno("pi"),
  sock_accept: errno("iip"),
  sock_recv: errno("ipiipp"),
  sock_send: errno("ipiip"),
  sock_shutdown: errno("ii"),
} as const;

/** The name of a function of WASI preview 1. */
export type WasiName = keyof typeof WASI;

/** As the plug-in kits import them: https://docs.rs/extism-pdk, and `input_offset` of the older ones. A u8 goes as an i32. */
const EXTISM = {
  input_length: typed("", ["i64"]),
  input_offset: typed("", ["i64"]),
  input_load_u8: typed("I", ["i32"]),
  input_load_u64: typed("I", ["i64"]),
  length: typed("I", ["i64"]),
  length_unsafe: typed("I", ["i64"]),
  alloc: typed("I", ["i64"]),
  free: typed("I", []),
  load_u8: typed("I", ["i32"]),
  load_u64: typed("I", ["i64"]),
  store_u8: typed("Ii", []),
  store_u64: typed("II", []),
  output_set: typed("II", []),
  error_set: typed("I", []),
  config_get: typed("I", ["i64"]),
  var_get: typed("I", ["i64"]),
  var_set: typed("II", []),
  http_request: typed("II", ["i64"]),
  http_status_code: typed("", ["i32"]),
  http_headers: typed("", ["i64"]),
  log_trace: typed("I", []),
  log_debug: typed("I", []),
  log_info: typed("I", []),
  log_warn: typed("I", []),
  log_error: typed("I", []),
  get_log_level: typed("", ["i32"]),
} as const;

/** The name of a function of Extism's own. */
export type ExtismName = keyof typeof EXTISM;

/** What host calls are for a module that hands over bytes by the given letters, and gets them as an i64. */
function hostCallsBy(bytes: "pi" | "I"): Readonly<Record<HostCallName, ImportedFunction>> {
  const of = ({ takes, gives }: HostCall): ImportedFunction => {
    const letters = takes.map((each) => each === "bytes" ? bytes : each === "i32" ? "i" : "I").join("");
    const type = typed(letters, gives === "nothing" ? [] : [gives === "bytes" ? "i64" : gives]);
    return { ...type, usesMemory: type.usesMemory || bytes === "pi" && gives === "bytes" };
  };
  return Object.fromEntries(Object.entries(HOST_CALLS).map(([name, call]) => [name, of(call)])) as Record<
    HostCallName,
    ImportedFunction
  >;
}

const IN_MEMORY = hostCallsBy("pi");

/**
 * All that a module may import, by module and name. What names more than these is refused when it is deployed; a host offers each
 * of these, and nothing else.
 *
 * `wasi_unstable` is left out: its structures have other layouts than preview 1's under the same names, and nothing that is still
 * maintained compiles to it.
 */
export const IMPORTS = {
  wasi_snapshot_preview1: WASI,
  env: {
    ...IN_MEMORY,
    /** Of AssemblyScript: (message, file, line, column). It traps, so that a module without a memory may import it too. */
    abort: typed("iiii", []),
  },
  host: IN_MEMORY,
  "extism:host/env": EXTISM,
  "extism:host/user": hostCallsBy("I"),
} as const satisfies Readonly<Record<string, Readonly<Record<string, ImportedFunction>>>>;

/** A module that modules import from. */
export type ImportModule = keyof typeof IMPORTS;

/** The type of an import; `undefined` for one that there is not. */
export function importedFunction(module: string, name: string): ImportedFunction | undefined {
  if (!Object.hasOwn(IMPORTS, module)) return undefined;
  const functions: Readonly<Record<string, ImportedFunction>> = IMPORTS[module as ImportModule];
  return Object.hasOwn(functions, name) ? functions[name] : undefined;
}
