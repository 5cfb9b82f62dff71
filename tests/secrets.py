#!/usr/bin/env python3
"""Searches all that the servers of the tests have said for the secrets they were given.

Every secret of the tests begins with `planted-`: tokens and passwords of servers, databases and users, signatures of URLs.
Nothing that a server writes, at whatever level, may hold one, nor its base64. Usage: secrets.py FOLDER
"""

import base64
import pathlib
import sys

PLANTED = b"planted-"

# The suite starts more servers than this; fewer files mean that nothing was searched.
FEWEST_SERVERS = 100


def forms(secret: bytes) -> list[bytes]:
    """The secret as it is, and as it shows in base64 at each of the three places it can begin at."""
    encoded = [base64.b64encode(b"\0" * shift + secret) for shift in range(3)]
    # What is before it, and what comes after it, changes the letters at both ends.
    whole = [text.rstrip(b"=")[(0, 2, 3)[shift] : -1] for shift, text in enumerate(encoded)]
    return [secret, *whole]


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    files = sorted(folder.glob("*.log"))
    wanted = forms(PLANTED)
    found = [
        f"{file.name}: {line.decode(errors='replace')[:400]}"
        for file in files
        for line in file.read_bytes().splitlines()
        if any(form in line for form in wanted)
    ]
    if found:
        sys.exit("secrets got out:\n" + "\n".join(found[:20]))
    if len(files) < FEWEST_SERVERS:
        sys.exit(f"only {len(files)} servers were listened to: nothing is proved")
    size = sum(file.stat().st_size for file in files)
    print(f"secrets: none in {size / 2**20:.1f} MiB that {len(files)} servers said")


if __name__ == "__main__":
    main()
