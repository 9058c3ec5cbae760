"""What is found and could not be done is tried again, though nothing new is found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lb.balancing import Change, Remove
from lb.errors import LbError, UsageError
from tests.proxy import papers
from tests.workers.test_finding import LIMIT, House, run


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lb.workers.finding.WITHIN", LIMIT)
    monkeypatch.setattr("lb.workers.finding.AGAIN", 0.01)


def waits(house: House) -> bool:
    """Something is to be tried again."""
    return house.main._finding._again is not None


def test_a_certificate_that_comes_later_is_good_enough(tmp_path: Path) -> None:
    ca = tmp_path / "later" / "ca.pem"

    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1")
        await house.main.start()
        house.find("127.0.0.1:1", {"address": "127.0.0.1:2", "tls": {"ca": str(ca)}})
        await house.until(lambda: len(house.said("not changed")) > 1)
        assert house.names == ["127.0.0.1:1"]
        ca.parent.mkdir()
        papers.root(tmp_path).replace(ca)
        await house.until(lambda: house.names == ["127.0.0.1:1", "127.0.0.1:2"])
        await house.main.finish()

    run(test)


@pytest.mark.parametrize("error", [UsageError("it is Sunday"), ValueError("it is Monday")])
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("failing", range(1, 6))
def test_after_an_error_in_the_middle_the_rest_is_done(
    tmp_path: Path, failing: int, done: bool, error: Exception
) -> None:
    async def test() -> None:
        house = House(tmp_path)
        house.find("127.0.0.1:1", "127.0.0.1:2", {"address": "127.0.0.1:3", "name": "c"})
        await house.main.start()
        perform = house.main.crew.perform
        calls = 0

        async def broken(change: Change) -> None:
            nonlocal calls
            calls += 1
            if calls == failing and not done:
                raise error
            await perform(change)
            if calls == failing:
                raise error

        house.main.crew.perform = broken  # type: ignore[method-assign]
        moved = {"address": "127.0.0.1:4", "name": "c"}
        house.find("127.0.0.1:2*5", moved, "127.0.0.1:5")  # a weight, a move, one more, one less
        await house.until(lambda: house.said("not changed"))
        (told,) = house.said("not changed")
        assert str(error) in str(told["reason"])

        def rows() -> set[tuple[str, str, float]]:
            found = house.proxy.balancer.pool.backends
            return {(it.name, it.address, it.weight) for it in found}

        wanted = {("127.0.0.1:2", "127.0.0.1:2", 5), ("127.0.0.1:5", "127.0.0.1:5", 1)}
        wanted.add(("c", "127.0.0.1:4", 1))
        while rows() != wanted or waits(house):
            await asyncio.sleep(0)
        house.find("127.0.0.1:6")
        while house.names != ["127.0.0.1:6"]:
            await asyncio.sleep(0)
        assert house.said("not changed") == [told]
        await house.main.finish()

    run(test)


def test_nothing_is_tried_again_of_what_a_reload_has_overtaken(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path)
        await house.main.start()
        house.find({"address": "127.0.0.1:2", "tls": {"ca": str(tmp_path / "missing.pem")}})
        await house.until(lambda: house.said("not changed"))
        with pytest.raises(LbError):
            await house.main.reload("me")
        assert waits(house), "the file names what is no good"
        house.find("127.0.0.1:1")
        await house.until(lambda: house.names == ["127.0.0.1:1"])
        await house.main.reload("me")
        assert not waits(house)
        await house.main.perform(Remove("127.0.0.1:1"), "me")
        assert house.names == []
        await house.main.finish()

    run(test)
