#!/usr/bin/env bash
# Sets up an MLflow of a pinned version in target/mlflow and prints the folder of its virtual environment.
#
#   tests/mlflow/setup.sh [VERSION]      3.17.2 unless given; one requirements-VERSION.txt for each
#
# Does nothing when it is set up already, as a copy of the requirements in the environment tells; two runs at once wait
# for each other.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
version=${1:-3.17.2}
requirements=$here/requirements-$version.txt
venv=$(dirname "$(dirname "$here")")/target/mlflow/venv-$version
stamp=$venv/.requirements

say() { echo "mlflow: $*" >&2; }

if [ ! -f "$requirements" ]; then
    say "no requirements-$version.txt; known: $(cd "$here" && echo requirements-*.txt)"
    exit 2
fi

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
    say "installing MLflow $version (about a minute, once)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" >&2
    cp "$requirements" "$stamp"
fi
echo "$venv"
