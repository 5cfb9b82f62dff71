#!/bin/sh
# Puts the binary together from its parts, and becomes it.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d "${TMPDIR:-/tmp}/trace-server.XXXXXX")
cat trace-server.gz.* | gzip -d > "$folder/trace-server"
echo "$(cat trace-server.sha256)  $folder/trace-server" | sha256sum -c --quiet - || {
    echo "the binary is not what was bundled: a part is missing or was changed; deploy it again" >&2
    exit 1
}
chmod 755 "$folder/trace-server"
# How analyses stand; reviews are the workspace's. The folder of the app may not be written to, and this one goes with the container.
export DATABASE_URL="${DATABASE_URL:-sqlite://$folder/trace-server.db}"
exec "$folder/trace-server" "$@"
