"""`make fuzz`: do the scanner in C and the one in Python agree on heads made at random?

10 million take a quarter of an hour of one core. With `--sanitized` C is compiled with gcc's
address and undefined behaviour sanitizers, in a process that loads their library first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import native
from tests.fuzz.agreement import Disagreement, compare

BATCH = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("heads", nargs="?", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first batch (%(default)s)")
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.library is not None:
        return fuzz(native.loaded(asked.library), asked.heads, asked.seed)
    with tempfile.TemporaryDirectory(prefix="lb-fuzz-") as folder:
        library = native.compiled(Path(folder), *(native.SANITIZE if asked.sanitized else ("-O3",)))
        runtime = native.preload() if asked.sanitized else ""
        if library is None or runtime is None:
            print("there is no compiler that can do this")
            return 2
        command = [sys.executable, "-m", "tests.fuzz", str(asked.heads)]
        command += ["--seed", str(asked.seed), "--library", str(library)]
        # Python keeps memory for good, and its own allocator would hide where a block ends.
        sanitizer = {"ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
        environment = {**os.environ, **(sanitizer if runtime else {}), "LD_PRELOAD": runtime}
        return subprocess.run(command, env=environment).returncode


def fuzz(scanner: Any, heads: int, seed: int) -> int:
    """Compare in batches, each with a seed of its own; 1 and the head where they disagree."""
    done = good = 0
    while done < heads:
        count = min(BATCH, heads - done)
        try:
            good += compare(scanner, Random(seed), count)
        except Disagreement as found:
            print(f"seed {seed}: {found}")
            return 1
        seed += 1
        done += count
        print(f"\r{done:,} heads, {good:,} of them good", end="", flush=True)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
