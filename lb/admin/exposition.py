"""Prometheus text (exposition format 0.0.4) of metrics that are read off a report."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lb.measures import Report

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CHUNK = 500
"""Lines between two chances for others: some 1 ms."""

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]
"""What follows the metric's name, labels, value."""


class Family(NamedTuple):
    """One metric."""

    name: str
    kind: str
    help: str
    samples: Callable[[Report], Iterable[Sample]]


async def text(report: Report, families: Iterable[Family]) -> bytes:
    """All of them; others get their turn meanwhile."""
    pieces: list[bytes] = []
    lines: list[str] = []
    for line in _lines(report, families):
        lines.append(line)
        if len(lines) >= CHUNK:
            pieces.append(_encoded(lines))
            lines.clear()
            await asyncio.sleep(0)
    return b"".join([*pieces, _encoded(lines)])


def _encoded(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(
        "utf-8", "replace"
    )  # there are no other escapes


def _lines(report: Report, families: Iterable[Family]) -> Iterator[str]:
    for name, kind, told, samples in families:
        yield f"# HELP {name} {told}"
        yield f"# TYPE {name} {kind}"
        for suffix, labels, value in samples(report):
            yield f"{name}{suffix}{_labels(labels)} {_number(value)}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


_SPECIAL = re.compile(r'[\\"\n]')
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


def _escaped(value: str) -> str:
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], value)


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return {True: "+Inf", False: "-Inf"}.get(value > 0, "NaN") if value == value else "NaN"
    return str(int(value)) if value == int(value) else repr(float(value))
