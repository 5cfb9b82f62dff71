#!/usr/bin/env python3
"""Installs the programs of Debian's packages that are not there, and starts none of them.

    debian.py PROGRAM=PACKAGE...
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> None:
    install(dict(argument.split("=", 1) for argument in sys.argv[1:]))


def install(programs: dict[str, str]) -> None:
    missing = [package for program, package in programs.items() if not shutil.which(program, path=search_path())]
    if not missing:
        return
    print(f"debian: installing {' '.join(missing)} (once)", file=sys.stderr, flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=120"]
    # Debian would start a server at once.
    policy = f"printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}"
    own_policy = not POLICY.exists()
    if own_policy:
        subprocess.run([*sudo, "sh", "-c", policy], check=True)
    try:
        for step in (["update"], ["install", "--no-install-recommends", *missing]):
            subprocess.run([*apt, *step], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    finally:
        if own_policy:
            subprocess.run([*sudo, "rm", POLICY], check=True)


def search_path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


if __name__ == "__main__":
    main()
