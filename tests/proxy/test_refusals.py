"""Connections that came to nothing: what is counted, and how often the log hears of it."""

from __future__ import annotations

from lb.proxy.refusals import APART, HEADER, PLAIN_HTTP, Refusals


def test_the_log_hears_of_each_kind_so_often_and_of_all() -> None:
    told: list[tuple[str, dict[str, object]]] = []
    refusals = Refusals(lambda level, event, **fields: told.append((event, fields)))
    for number in range(5):
        refusals.note(HEADER, f"10.0.0.{number}", "wrong", 100.0 + number)
    refusals.note(PLAIN_HTTP, "10.0.1.1", "plain", 105.0)
    assert [(one["kind"], one["count"], one["client"]) for _, one in told] == [
        (HEADER, 1, "10.0.0.0"),
        (PLAIN_HTTP, 1, "10.0.1.1"),
    ]
    refusals.tell(99.0 + APART)
    assert len(told) == 2
    refusals.tell(100.0 + APART)
    assert told[2:] == [
        (
            "connections refused",
            {"kind": HEADER, "count": 4, "client": "10.0.0.4", "reason": "wrong"},
        )
    ]
    refusals.tell(1e9)
    assert len(told) == 3, "nothing is left to tell"
    assert (refusals.counts[HEADER], refusals.counts[PLAIN_HTTP]) == (5, 1)
