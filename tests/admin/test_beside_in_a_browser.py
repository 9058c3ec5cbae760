"""The status page in a browser: picks that are explained, and what stands in the shadow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.admin.browser import CHROMIUM, Browser
from tests.admin.house import FILE, Held
from tests.admin.test_in_a_browser import browser, open_page

__all__ = ["browser"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def test_picks_are_explained_when_somebody_wants_to_know(browser: Browser) -> None:
    async def test() -> None:
        held = Held(FILE.replace("round_robin", "least_connections"))
        held.balancer.pool.backends[0].active = 2
        async with open_page(browser, held) as (page, _):
            await page.until("document.querySelector('#lanes tr')")
            assert await page.value("document.querySelectorAll('#picks li').length") == 0
            await page.click("#explain")
            await page.until("document.querySelectorAll('#picks li').length === 3")
            told = await page.text("#picks li")
            assert "127.0.0.1:3002 of all the one with the least to do" in told
            assert "127.0.0.1:3002 0.50, a 1, c/d e 1" in told, "the lowest first"
            held.picked = 0
            await page.click("#explain")
            await page.until("document.querySelector('#picks .none')?.textContent")

    browser.run(test())


class Shaded(Held):
    """One beside which other algorithms are tried."""

    def __init__(self, **shadow: Any) -> None:
        super().__init__()
        self.shadow: dict[str, Any] = {"state": "starting", **shadow}

    async def report(self) -> Any:
        return replace(await super().report(), shadow=self.shadow)


def test_what_others_would_have_given_is_shown_beside_it(browser: Browser) -> None:
    figures = {f"{name}_ms": 20.0 for name in ("mean", "p50", "p95")} | {"p99_ms": None}
    row = {**figures, "failed": 0.0, "intervals_ms": {"mean": [15.0, 25.0]}}
    ready = {
        "running": "round_robin",
        "measured": row,
        "model": row,
        "window_s": 60.0,
        "model_error": {"mean": 0.031},
        "requests": 1200,
        "age_s": 2.0,
        "candidates": [{"algorithm": "p2c", **row}],
    }

    async def test() -> None:
        async with open_page(browser, Held()) as (page, _):
            await page.until("document.querySelector('#lanes tr')")
            assert await page.value("document.getElementById('shadow').hidden")
        held = Shaded()
        async with open_page(browser, held) as (page, _):
            await page.until("document.getElementById('shadow-of').textContent === 'starting'")
            held.shadow = ready
            await page.until("document.querySelectorAll('#shadow-rows tr').length === 3")
            assert (await page.text("#shadow-rows tr:nth-child(2)")).startswith(
                "round_robin, modelled20 ms +3.1 %20 ms"
            )
            last = await page.text("#shadow-rows tr:nth-child(3)")
            assert last.startswith("p2c20 ms20 ms20 ms–0 %")
            assert "1,200 requests in 60 s" in await page.text("#shadow-of")

    browser.run(test())
