#!/bin/sh
# Builds the static binary (x86-64, musl): it runs on any Linux of this kind, with nothing beside it. Prints its path.
set -eu
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-musl

if ! command -v musl-gcc >/dev/null; then
    echo "static: installing musl-tools (once)" >&2
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update && apt-get -qq -y install musl-tools' >&2
fi
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx "$target"; then
    rustup target add "$target" >&2
fi
${CARGO:-cargo} build --release --locked --package trace-server --target "$target" >&2
echo "${CARGO_TARGET_DIR:-target}/$target/release/trace-server"
