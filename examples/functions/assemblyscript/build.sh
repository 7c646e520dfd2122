#!/bin/sh
# Writes greet.wasm. Takes Node.js with npm.
set -eu
cd "$(dirname "$0")"
npx --yes --package=assemblyscript@0.28.20 asc greet.ts --outFile greet.wasm --optimize
