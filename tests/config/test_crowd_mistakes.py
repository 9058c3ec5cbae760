"""Mistakes about limits and the line, each with its line, its key and why."""

from __future__ import annotations

import pytest

from tests.config.test_file import complaints

MISTAKES = {
    # the text, where the complaint points, and what it must say
    "a limit that is neither": (
        '[[backend]]\naddress = "h:1"\nmax_in_flight = "adaptve"\n',
        "lb.toml:3 backend[0].max_in_flight",
        'did you mean "adaptive"?',
    ),
    "a limit of none": (
        '[[backend]]\naddress = "h:1"\nmax_in_flight = 0\n',
        "lb.toml:3 backend[0].max_in_flight",
        '0 is neither a whole number from 1 up nor "adaptive"',
    ),
    "a limit that is true": (
        '[[backend]]\naddress = "h:1"\nmax_in_flight = true\n',
        "lb.toml:3 backend[0].max_in_flight",
        "neither a whole number",
    ),
    "an unknown discipline": (
        '[queue]\nlimit = 3\ndiscipline = "lifo"\n',
        "lb.toml:3 queue.discipline",
        "fifo, adaptive",
    ),
    "a discipline of a line that nobody waits in": (
        '[queue]\ndiscipline = "adaptive"\n',
        "lb.toml:2 queue.discipline",
        "give limit",
    ),
    "an interval without its discipline": (
        '[queue]\nlimit = 3\ninterval = "1s"\n',
        "lb.toml:3 queue.interval",
        'discipline = "adaptive"',
    ),
    "an interval longer than the timeout": (
        '[queue]\nlimit = 3\ndiscipline = "adaptive"\ninterval = "2s"\n',
        "lb.toml:4 queue.interval",
        "longer than timeout",
    ),
}


@pytest.mark.parametrize(("text", "where", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, where: str, what: str) -> None:
    (problem,) = complaints(text)
    place, _, why = problem.partition(": ")
    assert place == where
    assert what in why
