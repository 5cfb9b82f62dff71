#!/bin/sh
# Makes the folder that is given to Databricks: databricks.yml, and app/ as the platform runs it.
#
#     [DEVELOPERS=ann@example.com,bob@example.com] bundle.sh BINARY FOLDER [FRONTEND]
#
# BINARY is static: nothing is built there. The platform takes no file above 10 MB; a larger binary is cut into parts, compressed,
# and put together when the app starts.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=$1 folder=$2 frontend=${3:-}
limit=$((10 * 1000 * 1000))

[ -s "$binary" ] || { echo "bundle: there is no binary: ${binary:-none is named}" >&2; exit 1; }
rm -rf "$folder"
mkdir -p "$folder/app"
cp "$here/databricks.yml" "$folder/"
cp "$here/app.yaml" "$here/start.sh" "$folder/app/"
gzip -9 -n -c "$binary" | split -b 9000000 - "$folder/app/trace-server.gz."
# What was put together is compared with this: an upload may have been cut off.
sha256sum "$binary" | cut -d ' ' -f 1 > "$folder/app/trace-server.sha256"
if [ -n "${DEVELOPERS:-}" ]; then
    case $DEVELOPERS in *[!A-Za-z0-9@.,_+\ -]*) echo "bundle: DEVELOPERS: e-mail addresses with commas between" >&2; exit 1 ;; esac
    printf '  - name: DEVELOPERS\n    value: "%s"\n' "$DEVELOPERS" >> "$folder/app/app.yaml"
fi
if [ -n "$frontend" ]; then
    [ -f "$frontend/index.html" ] || { echo "bundle: $frontend holds no index.html" >&2; exit 1; }
    cp -R "$frontend" "$folder/app/frontend"
    printf '  - name: TRACE_SERVER_STATIC_DIR\n    value: frontend\n' >> "$folder/app/app.yaml"
fi
large=$(find "$folder" -type f -size +"${limit}c")
[ -z "$large" ] || { printf 'bundle: larger than the 10 MB that the platform takes:\n%s\n' "$large" >&2; exit 1; }
