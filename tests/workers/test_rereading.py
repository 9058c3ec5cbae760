"""What a reload takes for a file, what it tells of it, and what stays in force."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from lb.balancing import Balancer
from lb.config import Scenario
from lb.errors import ConfigError
from lb.recording.wanted import Recording
from lb.workers import rereading
from lb.workers.rereading import differences, in_force, read_again, still_whole

TWO = 'backend = ["10.0.0.1:80", "10.0.0.2:80*3"]\n'


def parsed(text: str) -> Scenario:
    return Scenario.parse(text, "lb.toml")


def test_a_file_that_has_lost_its_backends_is_not_believed() -> None:
    before = parsed(TWO)
    for text in ("", 'algorithm = "p2c"'):
        with pytest.raises(ConfigError, match="backend: missing, and it was there before"):
            still_whole(before, parsed(text))
    for text in (TWO, '[[discovery]]\ndns = "web:80"'):
        still_whole(before, parsed(text))
        still_whole(parsed(""), parsed(text))
    still_whole(parsed(""), parsed('algorithm = "p2c"'))


def test_a_read_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rereading, "WAIT", 0.01)

    def never() -> Scenario:
        while True:
            asyncio.run(asyncio.sleep(3600))

    with pytest.raises(ConfigError, match="no answer within"):
        asyncio.run(read_again(never))


def test_a_read_that_breaks_says_so_in_one_line() -> None:
    def broken() -> Scenario:
        raise RuntimeError("no such luck")

    with pytest.raises(ConfigError, match="cannot be read: RuntimeError: no such luck"):
        asyncio.run(read_again(broken))


def test_where_it_listens_stays_as_it_was_at_the_start() -> None:
    started = parsed(TWO + '[server]\nlisten = "127.0.0.1:1"\nadmin = "127.0.0.1:2"\n')
    after = parsed(TWO + '[server]\nlisten = "127.0.0.1:3"\nhalf_close = true\n')
    now = in_force(started, after).server
    assert (now.listen, now.admin, now.half_close) == ("127.0.0.1:1", "127.0.0.1:2", True)


def test_what_has_changed_is_told() -> None:
    lb: Balancer[object] = Balancer(parsed(TWO).setup(), Random(1))  # type: ignore[type-var]
    before = lb.snapshot(0.0)
    assert differences(before, before) == {}
    more = 'algorithm = "p2c"\nbackend = ["10.0.0.2:80*4", "10.0.0.3:80", "10.0.0.4:80"]'
    lb.apply(parsed(more).setup(), 0.0)
    assert differences(before, lb.snapshot(0.0)) == {
        "added": "10.0.0.3:80,10.0.0.4:80",
        "removed": "10.0.0.1:80",
        "weights": "10.0.0.2:80=4",
        "before": "round_robin",
    }


def test_a_successor_records_beside_its_predecessor(tmp_path: Path) -> None:
    record = Recording(tmp_path / "today.rec")
    assert record.unused() == record
    record.file.write_text("of the first")
    second = record.unused()
    assert second.file.name == "today.1.rec"
    second.of_worker(1).file.write_text("of a worker of the second")
    assert record.unused().file.name == "today.2.rec"
