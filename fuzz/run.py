#!/usr/bin/env python3
"""Has libFuzzer look for bytes that make a target fail; see `src/lib.rs`.

    fuzz/run.py [--seconds 20] [TARGET...]    all targets unless some are named, as many at once as there are processors
    fuzz/run.py --again FILE...               inputs once more, each by the target that its folder is named after

What is kept from run to run lies in target/fuzz: `corpus/`, which libFuzzer goes on from, and `found/`, the inputs that a
target fails on. One that was mended goes into `fuzz/seeds/`, where it is a test.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")).resolve()
KEPT = TARGET / "fuzz"
DICTIONARIES = {"filters": "filters", "request": "request", "search": "filters"}
# The longest input in bytes, the longest time of one in seconds, the most memory in MiB.
LIMITS = ["-max_len=4096", "-timeout=30", "-rss_limit_mb=2048"]
SHOWN_LINES = 60


def main() -> int:
    targets = sorted(folder.name for folder in (HERE / "seeds").iterdir())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets))
    parser.add_argument("--seconds", type=int, default=20, help="for each target (default: %(default)s)")
    parser.add_argument("--again", nargs="+", type=Path, metavar="FILE", help="give these inputs to their targets")
    args = parser.parse_args()
    if unknown := set(args.targets) - set(targets):
        parser.error(f"no target: {', '.join(sorted(unknown))}")
    binary = build()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        # Where targets leave their databases: they are killed, and clean up nothing.
        os.environ["TMPDIR"] = scratch
        if args.again:
            return max(again(binary, file) for file in args.again)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return max(pool.map(lambda target: fuzz(binary, target, args.seconds), args.targets or targets))


def build() -> Path:
    if not shutil.which(os.environ.get("CXX", "c++")):
        # libFuzzer is C++, which a Rust toolchain has no need of.
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        for words in (["update"], ["install", "-y", "g++"]):
            subprocess.run([*as_root, "apt-get", "-qq", *words], stdout=sys.stderr, check=True)
    # Of the whole workspace, so that what is not ours has the features that it was built with before.
    command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "--workspace", "--bin", "fuzz"]
    wrapper = {"RUSTC_WORKSPACE_WRAPPER": str(HERE / "instrumented.sh"), "CARGO_TARGET_DIR": str(TARGET)}
    if status := subprocess.run(command, env=os.environ | wrapper, cwd=HERE.parent, check=False).returncode:
        sys.exit(status)
    return TARGET / "debug" / "fuzz"


def fuzz(binary: Path, target: str, seconds: int) -> int:
    """Runs one target, and says what it came to."""
    corpus, found, log = KEPT / "corpus" / target, KEPT / "found" / target, KEPT / f"{target}.log"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    dictionary = HERE / "dictionaries" / f"{DICTIONARIES.get(target, 'json')}.dict"
    command = [binary, *LIMITS, f"-max_total_time={seconds}", f"-dict={dictionary}", f"-artifact_prefix={found}/"]
    command += ["-print_final_stats=1", corpus, HERE / "seeds" / target]
    with log.open("w") as output:
        ended = subprocess.run(command, env=environment(target), stderr=output, stdout=output, check=False)
    told = log.read_text(errors="replace")
    if ended.returncode == 0:
        stats = {name: int(value) for name, value in re.findall(r"stat::(\w+): +(\d+)", told)}
        kept = len(list(corpus.iterdir()))
        print(f"{target:10} {stats['number_of_executed_units']:>12,} inputs, {kept:,} kept: nothing found", flush=True)
        return 0
    shown = "\n".join(told.splitlines()[-SHOWN_LINES:])
    files = re.findall(r"Test unit written to (.+)", told)
    advice = "".join(f"\nonce more: fuzz/run.py --again {os.path.relpath(file)}" for file in files)
    print(f"{shown}\n{target} FAILED (all of its output: {os.path.relpath(log)}){advice}", flush=True)
    return 1


def again(binary: Path, file: Path) -> int:
    return int(subprocess.run([binary, file], env=environment(file.resolve().parent.name), check=False).returncode != 0)


def environment(target: str) -> dict[str, str]:
    return os.environ | {"FUZZ_TARGET": target}


if __name__ == "__main__":
    sys.exit(main())
