#!/bin/sh
# All tests, counted: by nextest where it is installed, else by cargo itself; what all servers said meanwhile is searched for
# secrets. Then the routes are fuzzed, and the server is loaded while MLflow fails: what that leaves in MLflow would confuse
# the others.
set -eu
tests=$(dirname "$0")
TRACE_SERVER_TESTS_EMITTED=$(mktemp -d)
export TRACE_SERVER_TESTS_EMITTED
trap 'rm -rf "$TRACE_SERVER_TESTS_EMITTED"' EXIT
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace
    cargo test --locked --workspace --doc
else
    cargo test --locked --workspace --no-fail-fast
fi
"$tests/secrets.py" "$TRACE_SERVER_TESTS_EMITTED"
"$tests/schema/run.py" target/debug/trace-server
"$tests/soak/run.py" target/debug/trace-server --minutes 0.5
