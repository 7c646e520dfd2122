#!/bin/sh
# Writes greet.wasm. Takes Rust with the target: rustup target add wasm32-unknown-unknown
set -eu
cd "$(dirname "$0")"
cargo build --release --quiet --target wasm32-unknown-unknown
cp target/wasm32-unknown-unknown/release/greet.wasm greet.wasm
