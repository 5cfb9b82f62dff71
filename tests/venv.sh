#!/usr/bin/env bash
# Sets up a virtual environment of pinned packages and prints its folder.
#
#   tests/venv.sh NAME REQUIREMENTS FOLDER      NAME: what is installed, for the one who waits for it
#
# Does nothing when it is set up already, as a copy of the requirements in the environment tells; two runs at once wait
# for each other.
set -euo pipefail

name=$1 requirements=$2 venv=$3
stamp=$venv/.requirements

say() { echo "${name,,}: $*" >&2; }

mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9

if ! cmp -s "$requirements" "$stamp" || [ ! -x "$venv/bin/python" ]; then
    # Debian has venv in a package of its own.
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        say "installing python3-venv"
        as_root=$([ "$(id -u)" = 0 ] || echo sudo)
        $as_root apt-get update -qq >&2
        $as_root apt-get install -qq -y python3-venv >&2
    fi
    say "installing $(basename "$requirements") (about a minute, once)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" >&2
    cp "$requirements" "$stamp"
fi
echo "$venv"
