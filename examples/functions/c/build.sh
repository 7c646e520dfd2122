#!/bin/sh
# Writes greet.wasm. Takes Zig (`pip install ziglang` has it, too), or clang with lld and a WASI sysroot (wasi-libc) in WASI_SYSROOT.
set -eu
cd "$(dirname "$0")"
if command -v zig >/dev/null; then compile="zig cc"
elif python3 -c "import ziglang" 2>/dev/null; then compile="python3 -m ziglang cc"
else compile="clang --sysroot=${WASI_SYSROOT:-/usr}"; fi
$compile --target=wasm32-wasi -Os -s -Wall -o greet.wasm greet.c
