#!/usr/bin/env python3
"""Serves with the binary given and, once it listens, says what to try. Ctrl-C ends both.

    MLFLOW_TRACKING_URI=… tests/run.py BINARY [ARGUMENT…]
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request

# The server ends by the same Ctrl-C, and we with it.
signal.signal(signal.SIGINT, signal.SIG_IGN)

# Neither it nor we are to look for a loopback address behind a proxy.
LOOPBACK = {name: f"127.0.0.1,localhost,{os.environ.get(name, '')}" for name in ("no_proxy", "NO_PROXY")}


def main() -> int:
    server = subprocess.Popen(
        sys.argv[1:], stdout=subprocess.PIPE, text=True, env=os.environ | LOOPBACK, preexec_fn=restore_interrupt
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    for line in server.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        if match := re.search(r"listening on (http://[^\s\"]+)", line):
            threading.Thread(target=suggest, args=[match[1]], daemon=True).start()
    return server.wait()


def restore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def suggest(base: str) -> None:
    search = json.dumps({"max_results": 3})
    session = json.dumps({"name": "Week 47", "assigned_users": ["ann@example.com"]})
    trace = first_trace(base, search) or "TRACE_ID"
    print(
        f"""
  trace-server is at {base}, MLflow at {os.environ.get("MLFLOW_TRACKING_URI", "the address you gave")}. Try:

    curl {base}/api/mlflow/search-traces -H 'content-type: application/json' -d '{search}'
    curl {base}/api/traces/{trace}
    curl "{base}/api/traces/{trace}/spans?view=summary"
    curl {base}/api/labeling-sessions -H 'content-type: application/json' -d '{session}'
    {base}/docs

  Ctrl-C stops both.
""",
        file=sys.stderr,
        flush=True,
    )


def first_trace(base: str, search: str) -> str | None:
    """A trace to try; nothing when MLflow has none or does not answer, which the log says."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{base}/api/mlflow/search-traces", search.encode(), headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=30) as answer:
            return json.load(answer)["traces"][0]["info"]["trace_id"]
    except (OSError, LookupError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main())
