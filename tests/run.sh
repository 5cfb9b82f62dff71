#!/bin/sh
# Serves with the binary given and, once it answers, says what to try. Ends with the server; Ctrl-C ends both.
set -u

: "${PORT:=8000}"
export PORT
base=http://127.0.0.1:$PORT

"$@" &
server=$!
trap 'kill -TERM $server 2>/dev/null' INT TERM

until curl --silent --fail --output /dev/null "$base/health"; do
    kill -0 $server 2>/dev/null || { wait $server; exit $?; }
    sleep 0.1
done

search='{"max_results": 3}'
trace=$(curl --silent "$base/api/mlflow/search-traces" --json "$search" | grep -o '"trace_id":"[^"]*"' | head -n 1 | cut -d '"' -f 4)
cat >&2 <<TRY

  trace-server is at $base, MLflow at $MLFLOW_TRACKING_URI. Try:

    curl $base/api/mlflow/search-traces --json '$search'
    curl $base/api/traces/${trace:-TRACE_ID}
    curl $base/api/traces/${trace:-TRACE_ID}/spans
    $base/docs

  Ctrl-C stops both.

TRY

# The first wait ends with the signal, the second with the server.
wait $server
wait $server 2>/dev/null
