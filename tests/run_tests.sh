#!/bin/sh
# All tests, counted: by nextest where it is installed, else by cargo itself. Then the routes are fuzzed; what that leaves in
# MLflow would confuse the others.
set -eu
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace
    cargo test --locked --workspace --doc
else
    cargo test --locked --workspace --no-fail-fast
fi
exec tests/schema/run.py target/debug/trace-server
