#!/bin/sh
# Builds the static binary (x86-64, musl): it runs on any Linux of this kind, with nothing beside it. Prints its path. Ends with 3
# where this machine has not what that takes.
set -eu
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-musl

if ! command -v musl-gcc >/dev/null; then
    echo "static: installing musl-tools (once)" >&2
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update && apt-get -qq -y install musl-tools' >&2 || exit 3
fi
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx "$target"; then
    rustup target add "$target" >&2 || exit 3
fi
[ "$(uname -m)" = x86_64 ] && [ -d "$(${RUSTC:-rustc} --print target-libdir --target "$target")" ] || exit 3
${CARGO:-cargo} build --release --locked --package trace-server --target "$target" >&2
echo "${CARGO_TARGET_DIR:-target}/$target/release/trace-server"
