#!/usr/bin/env python3
"""Says which relative links in our Markdown lead nowhere."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    wrong = [
        f"{page}: {link}"
        for page in listed.stdout.split()
        for link in LINK.findall((ROOT / page).read_text())
        if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()
    ]
    print("\n".join(wrong), end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
