#!/bin/sh
# All tests, counted: by nextest where it is installed, else by cargo itself.
set -eu
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace
    exec cargo test --locked --workspace --doc
fi
exec cargo test --locked --workspace --no-fail-fast
