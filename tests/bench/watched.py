"""`python -m tests.bench.watched FILE ARGUMENT...`: `lb ARGUMENT...` whose collections are timed.

FILE gets when each collection began (of the monotonic clock, which all processes share) and how
many seconds it took, as JSON, when the program ends.
"""

from __future__ import annotations

import atexit
import gc
import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any


def watch(file: Path) -> None:
    """Time collections from now on."""
    took: list[tuple[float, float]] = []
    began = 0.0

    def hear(phase: str, info: dict[str, Any]) -> None:
        nonlocal began
        now = time.monotonic()
        if phase == "start":
            began = now
        else:
            took.append((began, now - began))

    gc.callbacks.append(hear)
    atexit.register(lambda: file.write_text(json.dumps(took)))


if __name__ == "__main__":
    _, told, *rest = sys.argv
    watch(Path(told))
    sys.argv = ["lb", *rest]
    runpy.run_module("lb", run_name="__main__")
