"""`python -m tests.bench [PART] [--quick] [--json]`, all parts unless one is named."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from tests.bench import about, bodies, connections, latency, proxies, report, simulator, strategies
from tests.bench.contenders import NAMES
from tests.bench.processes import BenchError

PARTS = ("proxy", "bodies", "latency", "connections", "simulator", "strategies")


def main() -> int:
    """0 however slow things are; 1 when the benchmark itself broke."""
    signal.signal(signal.SIGTERM, _end)  # so that the processes we started end too
    arguments = _parser().parse_args()
    progress = Console(stderr=True)
    with progress.status("starting") as status:
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "proxy": lambda: proxies.measure(
                arguments.quick, arguments.beside, arguments.without, status.update
            ),
            "bodies": lambda: bodies.measure(arguments.quick, status.update),
            "latency": lambda: latency.measure(arguments.quick, status.update),
            "connections": lambda: connections.measure(arguments.quick, status.update),
            "simulator": lambda: simulator.measure(arguments.quick, status.update),
            "strategies": lambda: strategies.measure(arguments.quick, status.update),
        }
        wanted = [arguments.part] if arguments.part else list(parts)
        told = about.described()
        try:
            results = {name: parts[name]() for name in wanted}
        except BenchError as error:
            progress.print(f"bench: {error}", markup=False)
            return 1
    if arguments.json:
        print(json.dumps({"schema": 1, "about": told, **results}))
    else:
        report.show({"about": told, **results}, Console())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--quick", action="store_true", help="shorter, and less certain")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
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
