#!/usr/bin/env bash
# Sets up an MLflow of a pinned version in target/mlflow and prints the folder of its virtual environment.
#
#   tests/mlflow/setup.sh [VERSION]      3.17.2 unless given; one requirements-VERSION.txt for each
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
version=${1:-3.17.2}
requirements=$here/requirements-$version.txt

if [ ! -f "$requirements" ]; then
    echo "mlflow: no requirements-$version.txt; known: $(cd "$here" && echo requirements-*.txt)" >&2
    exit 2
fi
exec "$here/../venv.sh" MLflow "$requirements" "$(dirname "$(dirname "$here")")/target/mlflow/venv-$version"
