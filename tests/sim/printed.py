"""Results and verdicts as they are printed."""

from __future__ import annotations

from io import StringIO

from lb.terminal import Terminal
from sim import Result
from sim.live.verdict import Verdict
from sim.output.report import print_result, print_verdict

LONG = "backend-{}.production.eu-central-1.example.org:8080"


def printed(thing: Result | Verdict, width: int = 160) -> str:
    paper = StringIO()
    terminal = Terminal(stream=paper, width=width)
    if isinstance(thing, Result):
        print_result(thing, terminal)
    else:
        print_verdict(thing, terminal)
    return paper.getvalue()


def row(text: str, *begins: str) -> str:
    """The one line that begins with these words."""
    (line,) = [line for line in text.splitlines() if line.split()[: len(begins)] == list(begins)]
    return " ".join(line.split())
