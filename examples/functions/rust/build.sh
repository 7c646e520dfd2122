#!/bin/sh
# Writes greet.wasm. Takes Rust with the target: rustup target add wasm32-wasip1
set -eu
cd "$(dirname "$0")"
cargo build --release --quiet --target wasm32-wasip1
cp target/wasm32-wasip1/release/greet.wasm greet.wasm
