"""All sources together: what is told of them, when, and what is said in the log."""

from __future__ import annotations

import asyncio
import itertools
import threading
from pathlib import Path

import pytest

from lb.config.discovery import DiscoveryTable
from lb.discovery.watching import MOST_SAID, Sighting
from tests.discovery.conftest import Run
from tests.discovery.house import House, Script, file_table, labels, rows
from tests.discovery.nameserver import BROKEN, NameServer
from tests.discovery.test_file import replaced


def test_the_first_answers_are_waited_for_and_later_ones_are_told(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1", "h:2")
        house = House(file_table("f"), scripts={"file f": script})
        assert labels(await house.first()) == ["h:1", "h:2"]
        assert house.heard == []
        script.sighting = rows("h:2", "h:3")
        await house.until(lambda: house.heard)
        assert house.heard == [("file f", ["h:2", "h:3"])]
        await house.found.close()

    run(test())


def test_another_order_is_no_news_and_another_weight_is(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1", "h:2")
        house = House(file_table("f"), scripts={"file f": script})
        await house.first()
        script.sighting = rows("h:2", "h:1")
        looks = house.found._watches[0]
        before = looks.rows
        while looks.rows is before:  # until it has been looked at
            await asyncio.sleep(0)
        script.sighting = rows("h:2*7", "h:1")
        await house.until(lambda: house.heard)
        assert len(house.heard) == 1
        assert house.found.rows[0].weight == 7
        await house.found.close()

    run(test())


def test_who_is_silent_is_not_waited_for(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1")
        script.go_on.clear()
        house = House(file_table("f", timeout=60), scripts={"file f": script})
        assert await house.first(0.01) == ()
        script.go_on.set()
        await house.until(lambda: house.heard)
        assert house.heard == [("file f", ["h:1"])]
        await house.found.close()

    run(test())


def test_silence_is_said_once_and_so_is_its_end(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1")
        script.go_on.clear()
        house = House(file_table("f", timeout=0.01), scripts={"file f": script})
        assert await house.first() == (), "it has had its time"
        why = {"source": "file f", "reason": "no answer within 0.01 s", "kept": 0}
        assert house.events("discovery failed") == [why]
        script.go_on.set()
        await house.until(lambda: house.heard)
        assert house.events("discovery works again") == [{"source": "file f", "backends": 1}]
        await house.found.close()

    run(test())


def test_trouble_is_said_once_and_what_was_known_stays(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1")
        house = House(file_table("f"), scripts={"file f": script})
        await house.first()
        script.sighting = Sighting(trouble="it is Sunday")
        await house.until(lambda: house.log)
        script.sighting = Sighting(trouble="it is Monday")
        await house.until(lambda: len(house.log) > 1)
        script.sighting = Sighting(trouble="it is Sunday")
        looks = threading.Event()
        script.look = lambda: looks.set() or script.sighting  # type: ignore[method-assign]
        while not looks.is_set():
            await asyncio.sleep(0)
        script.sighting = Sighting()
        await house.until(lambda: house.events("discovery works again"))
        reasons = [fields["reason"] for fields in house.events("discovery failed")]
        assert reasons == ["it is Sunday", "it is Monday"]
        assert labels(house.found.rows) == ["h:1"]
        assert house.heard == []
        await house.found.close()

    run(test())


def test_trouble_that_is_another_one_each_time_is_said_no_more_after_a_while(run: Run) -> None:
    async def test() -> None:
        script = Script()
        number = itertools.count()

        def look() -> Sighting:
            at = next(number)
            if at > MOST_SAID + 5:
                return rows("h:1")
            return Sighting(trouble=f"trouble {at}")

        script.look = look  # type: ignore[method-assign]
        house = House(file_table("f", interval=0.001), scripts={"file f": script})
        await house.first()
        await house.until(lambda: house.heard)
        assert len(house.events("discovery failed")) == MOST_SAID
        assert len(house.events("discovery works again")) == 1
        await house.found.close()

    run(test())


def test_a_defect_of_one_source_leaves_the_others_alone(run: Run) -> None:
    async def test() -> None:
        broken, script = Script(), Script("h:1")
        broken.look = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
        scripts = {"file a": broken, "file b": script}
        house = House(file_table("a"), file_table("b"), scripts=scripts)
        assert labels(await house.first()) == ["h:1"]
        (fields,) = house.events("discovery failed")
        assert fields["reason"] == "ZeroDivisionError: division by zero"
        await house.found.close()

    run(test())


def test_a_backend_of_two_sources_or_of_the_file_is_one_and_that_is_said_once(run: Run) -> None:
    async def test() -> None:
        first, second = Script("h:1", "h:2"), Script("h:2", "h:3")
        scripts = {"file a": first, "file b": second}
        house = House(file_table("a"), file_table("b"), static=["h:1"], scripts=scripts)
        assert labels(await house.first()) == ["h:2", "h:3"]
        second.sighting = rows("h:2", "h:4")
        await house.until(lambda: house.heard)
        assert house.events("backend known twice") == [
            {"backend": "h:1", "of": "the file", "not_of": "file a"},
            {"backend": "h:2", "of": "file a", "not_of": "file b"},
        ]
        first.sighting = rows("h:1")
        await house.until(lambda: len(house.heard) > 1 or house.found.rows[0].label == "h:2")
        assert labels(house.found.rows) == ["h:2", "h:4"], "the other source has it still"
        await house.found.close()

    run(test())


def test_what_the_table_says_holds_where_a_row_says_nothing(run: Run) -> None:
    async def test() -> None:
        table = file_table("f", backend={"weight": 4, "zone": "z", "health": {"path": "/x"}})
        house = House(table, scripts={"file f": Script("h:1", "h:2*9")})
        found = await house.first()
        assert [(row.weight, row.zone) for row in found] == [(4, "z"), (9, "z")]
        assert found[0].health is not None
        assert found[0].health.path == "/x"
        await house.found.close()

    run(test())


def test_a_process_without_threads_says_so(run: Run) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def test() -> None:
        house = House(file_table("a"), scripts={"file a": Script("h:1")})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lb.aside.Thread.start", start)
            assert await house.first() == ()
        assert house.events("discovery failed")[0]["reason"] == "can't start new thread"
        await house.until(lambda: house.heard)
        await house.found.close()

    run(test())


def test_a_file_and_a_name_live(run: Run, tmp_path: Path, server: NameServer) -> None:
    path = tmp_path / "b.json"
    path.write_text('["h:1"]')

    async def test() -> None:
        server.says("web", "A", "10.0.0.1")
        keys = {"dns": "web:80", "nameservers": [server.address], "interval": 0.01}
        house = House(file_table(str(path)), DiscoveryTable.model_validate(keys))
        assert labels(await house.first()) == ["h:1", "10.0.0.1:80"]
        replaced(path, '["h:2"]')
        await house.until(lambda: len(house.heard) == 1)
        server.says("web", "A", "10.0.0.2", "10.0.0.1")
        await house.until(lambda: len(house.heard) == 2)
        assert labels(house.found.rows) == ["h:2", "10.0.0.1:80", "10.0.0.2:80"]
        server.zone["web", "A"] = BROKEN
        await house.until(lambda: house.events("discovery failed"))
        replaced(path, "[")
        await house.until(lambda: len(house.events("discovery failed")) == 2)
        assert labels(house.found.rows) == ["h:2", "10.0.0.1:80", "10.0.0.2:80"]
        await house.found.close()

    run(test())
