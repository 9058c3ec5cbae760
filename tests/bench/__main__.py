"""`python -m tests.bench [PART] [--quick] [--json] [--save]`, all parts unless one is named."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from tests.bench import (
    about,
    backends,
    bodies,
    connections,
    latency,
    observed,
    proxies,
    report,
    simulator,
    strategies,
    tables,
    tls,
    workers,
)
from tests.bench.contenders import NAMES
from tests.bench.processes import BenchError

Part = Callable[[bool, list[Path], Collection[str], Callable[[str], None]], dict[str, Any]]
PARTS: dict[str, Part] = {
    "proxy": proxies.measure,
    "tls": tls.measure,
    "workers": workers.measure,
    "bodies": bodies.measure,
    "observed": observed.measure,
    "latency": latency.measure,
    "connections": connections.measure,
    "backends": backends.measure,
    "simulator": simulator.measure,
    "strategies": strategies.measure,
}


def main() -> int:
    """0 however slow things are; 1 when the benchmark itself broke."""
    signal.signal(signal.SIGTERM, _end)  # so that the processes we started end too
    arguments = _parser().parse_args()
    progress = Console(stderr=True, highlight=False)
    figures: dict[str, Any] = {"schema": 1, "about": about.described()}
    with progress.status("starting") as status:
        for name in [arguments.part] if arguments.part else list(PARTS):
            begun = time.monotonic()
            try:
                figures[name] = PARTS[name](
                    arguments.quick, arguments.beside, arguments.without, status.update
                )
            except BenchError as error:
                progress.print(f"bench: {error}", markup=False)
                return 1
            figures[name]["commit"] = figures["about"]["commit"]
            if arguments.save:  # at once: the next part may break
                tables.store(figures)
            progress.print(f"{name}: {time.monotonic() - begun:.0f} s")
    if arguments.json:
        print(json.dumps(figures))
    else:
        report.show(figures, Console())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--quick", action="store_true", help="shorter, and less certain")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--save", action="store_true", help="keep the figures, and write README's tables from them"
    )
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        type=_tree,
        metavar="DIR",
        help="another checkout of lb, measured in the same rounds; may be repeated",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=NAMES,
        metavar="NAME",
        help=f"leave out one of: {', '.join(NAMES)}; may be repeated",
    )
    return parser


def _tree(text: str) -> Path:
    tree = Path(text).resolve()
    if not (tree / "lb" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text} is not a checkout of lb")
    return tree


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
