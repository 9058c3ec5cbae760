"""A strategy of somebody else's, who inherits nothing, hears and answers as one of ours."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from lb.strategies import Outcome, create
from lb.strategies.parts.foreign import as_index
from tests.doubles import servers


class Plain:
    """Notes what it is asked, and picks the last one it was asked to avoid."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def hear(*arguments: Any) -> Any:
            self.heard.append((name, *arguments))
            return arguments[-1][-1] if name == "pick" else None

        return hear


def test_everything_is_handed_on() -> None:
    plain, (a,) = Plain(), servers(1)
    index = as_index(plain)
    for change in (index.join, index.block, index.unblock, index.reweigh, index.leave):
        change(a, 1.0)
    assert index.pick(2.0, b"key", (a,)) is a
    index.started(a, 3.0)
    index.finished(a, 4.0, Outcome.OK, 0.5)
    assert plain.heard == [
        *((name, a, 1.0) for name in ("join", "block", "unblock", "reweigh", "leave")),
        ("pick", 2.0, b"key", (a,)),
        ("started", a, 3.0),
        ("finished", a, 4.0, Outcome.OK, 0.5),
    ]


def test_one_of_ours_is_taken_as_it_is() -> None:
    ours = create("p2c", Random(1))
    assert as_index(ours) is ours
