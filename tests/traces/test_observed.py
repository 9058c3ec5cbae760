"""Rows that are taken down in any order."""

from math import isnan

from lb.recording.format import ENDS
from lb.traces.observed import RESET, UNKNOWN, Observing


def test_requests_are_by_arrival_and_attempts_by_their_start_from_the_first_arrival_on() -> None:
    rows = Observing("a.log")
    late = rows.request(12.0, 13.0, key="b", status=200)
    early = rows.request(10.0, 15.0, key="a", outcome=RESET)
    rows.attempt(late, "two", 12.5, ended=13.0)
    rows.attempt(early, "one", 10.0, connected=10.1, outcome=RESET)
    rows.attempt(early, "two", 14.0, ended=15.0)
    seen = rows.done(resolution=1e-3, remarks=("a gap",))
    assert list(seen.arrived) == [0.0, 2.0]
    assert list(seen.ended) == [5.0, 3.0]
    assert [seen.texts[key] for key in seen.key] == ["a", "b"]
    assert list(seen.status) == [UNKNOWN, 200]
    assert [ENDS[it] for it in seen.outcome] == ["reset", "ok"]
    tries = seen.attempts
    assert list(tries.request) == [0, 1, 0]
    assert [seen.backends[it] for it in tries.backend] == ["one", "two", "two"]
    assert list(tries.started) == [0.0, 2.5, 4.0]
    assert isnan(tries.ended[0])
    assert abs(tries.connected[0] - 0.1) < 1e-9
    assert (seen.resolution, seen.remarks, len(seen), len(tries)) == (1e-3, ("a gap",), 2, 3)


def test_nothing_seen_is_nothing() -> None:
    seen = Observing("a.log").done()
    assert len(seen) == len(seen.attempts) == 0
