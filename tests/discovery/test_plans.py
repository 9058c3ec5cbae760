"""Other tables while it runs, and what is handed on to another process."""

from __future__ import annotations

import asyncio
import json

import pytest

from lb.config.discovery import DiscoveryTable
from lb.discovery.memory import recalled, remembered
from lb.discovery.watching import Sighting
from tests.discovery.conftest import Run
from tests.discovery.house import WITHIN, House, Script, file_table, labels, rows
from tests.discovery.nameserver import BROKEN, NameServer


def test_tables_come_change_and_go_while_it_runs(run: Run) -> None:
    async def test() -> None:
        scripts = {"file a": Script("h:1"), "file b": Script("h:2"), "file c": Script("h:3")}
        house = House(file_table("a"), file_table("b"), scripts=scripts)
        await house.first()
        kept = house.found._watches[1]
        tables = [file_table("a", backend={"weight": 8}), file_table("b"), file_table("c")]
        plan = await house.found.plan(tables, rows("h:3").rows or (), WITHIN)
        assert labels(house.found.rows) == ["h:1", "h:2"], "not yet"
        house.found.adopt(plan)
        assert [(row.label, row.weight) for row in plan.rows] == [("h:1", 8), ("h:2", 1)]
        assert house.found.rows == plan.rows
        assert house.found._watches[1] is kept
        house.found.adopt(await house.found.plan([], (), WITHIN))
        assert house.found.rows == ()
        assert house.heard == [], "who adopts has the answer"
        await house.found.close()

    run(test())


def test_a_plan_that_is_dropped_has_changed_nothing(run: Run) -> None:
    async def test() -> None:
        script, other = Script("h:1"), Script("h:2")
        house = House(file_table("a"), scripts={"file a": script, "file b": other})
        await house.first()
        house.found.drop(await house.found.plan([file_table("b")], (), WITHIN))
        script.sighting = rows("h:3")
        await house.until(lambda: house.heard)
        assert house.heard == [("file a", ["h:3"])]
        await house.found.close()

    run(test())


def test_what_is_said_between_a_plan_and_its_adoption_is_told(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1")
        house = House(file_table("a"), scripts={"file a": script})
        await house.first()
        plan = await house.found.plan([file_table("a")], rows("h:9").rows or (), WITHIN)
        script.sighting = rows("h:2")
        await house.until(lambda: house.heard)
        house.found.adopt(plan)
        assert house.heard == [("file a", ["h:2"]), ("file a", ["h:2"])]
        assert labels(plan.rows) == ["h:1"], "whoever has gone by it hears more"
        await house.found.close()

    run(test())


def test_a_changed_table_goes_on_with_what_was_known_until_it_hears_more(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1")
        house = House(file_table("a"), scripts={"file a": script})
        await house.first()
        script.go_on.clear()
        changed = file_table("a", timeout=60, backend={"weight": 8})
        plan = await house.found.plan([changed], (), 0.01)
        house.found.adopt(plan)
        (row,) = house.found.rows
        assert (row.label, row.weight) == ("h:1", 8)
        script.go_on.set()
        await house.found.close()

    run(test())


def test_a_successor_goes_on_with_what_was_known_where_its_own_sources_say_nothing(
    run: Run,
) -> None:
    async def test() -> None:
        scripts = {"file a": Script("h:1"), "file b": Script("h:2")}
        tables = file_table("a"), file_table("b")
        house = House(*tables, scripts=scripts)
        await house.first()
        known = json.loads(json.dumps(house.found.known))
        await house.found.close()
        scripts["file a"].sighting = Sighting(trouble="it is Sunday")
        scripts["file b"].sighting = rows("h:3")
        successor = House(*tables, scripts=scripts, known=known)
        assert labels(await successor.first()) == ["h:1", "h:3"]
        await successor.found.close()

    run(test())


@pytest.mark.parametrize("how", ["a successor", "a changed table"])
@pytest.mark.parametrize("kind", ["dns", "srv"])
def test_what_a_first_look_hears_nothing_of_stays_what_it_was(
    run: Run, server: NameServer, kind: str, how: str
) -> None:
    def table(timeout: int) -> DiscoveryTable:
        at = {"dns": "a.internal:80"} if kind == "dns" else {"srv": "_http._tcp.internal"}
        keys = {**at, "nameservers": [server.address], "timeout": timeout, "interval": 60}
        return DiscoveryTable.model_validate(keys)

    async def test() -> None:
        server.says("_http._tcp.internal", "SRV", "1 1 80 a.internal.", "1 1 80 b.internal.")
        server.says("a.internal", "A", "10.0.0.1")
        server.says("a.internal", "AAAA", "fd00::1")
        server.says("b.internal", "A", "10.0.0.2")
        house = House(table(60))
        before = [row.address for row in await house.first()]
        second = "[fd00::1]:80" if kind == "dns" else "10.0.0.2:80"
        assert before == ["10.0.0.1:80", second]
        server.zone["a.internal", "AAAA"] = server.zone["b.internal", "A"] = BROKEN
        server.zone["b.internal", "AAAA"] = BROKEN
        server.says("a.internal", "A", "10.0.0.7")
        if how == "a successor":
            known = json.loads(json.dumps(house.found.known))
            await house.found.close()
            house = House(table(60), known=known)
            after = await house.first()
        else:
            house.found.adopt(await house.found.plan([table(59)], (), WITHIN))
            after = house.found.rows
        assert [row.address for row in after] == ["10.0.0.7:80", second]
        await house.found.close()

    run(test())


def test_rows_are_remembered_as_they_were() -> None:
    row = {
        "address": "h:1",
        "name": "one",
        "weight": 2.5,
        "max_in_flight": "adaptive",
        "health": {"path": "/x", "interval": "2.5s"},
        "tls": {"verify": False},
    }
    (found,) = recalled([row])
    assert remembered([found]) == [row]
    assert recalled(json.loads(json.dumps(remembered([found])))) == (found,)
    assert recalled([row, {"address": "h:2", "unheard of": 1}]) == ()


def test_who_gives_up_waiting_leaves_nothing_behind(run: Run) -> None:
    async def test() -> None:
        script = Script("h:1")
        script.go_on.clear()
        house = House(file_table("a", timeout=60), scripts={"file a": script})
        waiting = asyncio.create_task(house.first())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        await house.found.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        script.go_on.set()

    run(test())
