// Greets whoever is named in {"name": …}, and says how many were greeted before.

@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(fd: u32, vectors: usize, count: u32, done: usize): u32;
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: u32, vectors: usize, count: u32, done: usize): u32;
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(code: u32): void;
@external("env", "cache_incr")
declare function cache_incr(key: usize, length: usize): i64;

// The pointer and length of a piece of memory, as WASI has it, and how much of it was done.
const vector = memory.data(8), done = memory.data(4);

// The gateway asks for memory here, for what its host functions return.
export function orama_alloc(size: usize): usize {
  return __pin(__new(size, idof<ArrayBuffer>()));
}

function fail(message: string): void {
  write(2, message + "\n");
  proc_exit(1);
}

function write(fd: u32, text: string): void {
  const bytes = String.UTF8.encode(text);
  store<usize>(vector, changetype<usize>(bytes));
  store<usize>(vector, bytes.byteLength, sizeof<usize>());
  fd_write(fd, vector, 1, done);
}

function readAll(): string {
  const bytes = new ArrayBuffer(65_536);
  let length = 0;
  do {
    store<usize>(vector, changetype<usize>(bytes) + length);
    store<usize>(vector, bytes.byteLength - length, sizeof<usize>());
    if (fd_read(0, vector, 1, done) !== 0) break;
    length += load<u32>(done);
  } while (load<u32>(done) !== 0);
  return String.UTF8.decode(bytes.slice(0, length));
}

export function _start(): void {
  const input = readAll();
  // Enough for an example; json-as reads JSON of any kind.
  const member = input.indexOf('"name"');
  const start = input.indexOf('"', member + 6) + 1, end = input.indexOf('"', start);
  if (member < 0 || start === 0 || end < 0) return fail('the input must be JSON, such as {"name": "Ada"}');
  const key = String.UTF8.encode("assemblyscript");
  const count = cache_incr(changetype<usize>(key), key.byteLength);
  write(1, `{"greeting":"Hello, ${input.slice(start, end)}!","count":${count}}`);
}
