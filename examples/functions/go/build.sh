#!/bin/sh
# Writes greet.wasm. Takes Go 1.24 or later.
set -eu
cd "$(dirname "$0")"
GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags="-s -w" -o greet.wasm .
