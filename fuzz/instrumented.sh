#!/bin/sh
# The compiler of `make fuzz`. cargo asks it for the crates of this workspace only: these count where they have been, which is
# what libFuzzer goes by. What they are built on is compiled as ever, and shared with every other build.
set -eu
exec "$@" --cfg fuzzing -Copt-level=1 -Cdebug-assertions=yes -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
