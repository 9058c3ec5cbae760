"""The status page in a browser: what it shows moves, what is clicked happens, nothing is asked of
anybody else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from lb.admin.access import Access
from lb.balancing import State
from tests.admin.browser import CHROMIUM, Browser, Page
from tests.admin.house import Held, Plane, plane
from tests.cli.conftest import Serving, Start, start

__all__ = ["start"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
REFUSED = re.compile(r"server responded with a status of 40[01] ")
"""Chromium says so of every refusal, whatever a page does about it."""
PRESSED = {"button", "combobox", "searchbox", "textbox", "link"}
AT_A = """document.querySelector('#lanes tr[data-name="a"]')"""
LANE = '#lanes tr[data-name="{}"]'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = Browser()
    yield found
    found.close()


@asynccontextmanager
async def open_page(
    browser: Browser, held: Held, width: int = 1280, access: Access | None = None, **more: Any
) -> AsyncIterator[tuple[Page, Plane]]:
    """A page that has shown something; in the end it has neither complained nor gone elsewhere."""
    async with plane(held, access) as here:
        origin = f"http://127.0.0.1:{here.client.port}"
        page = await browser.page(f"{origin}/", width, **more)
        try:
            yield page, here
            foreign = [it for it in page.asked if not it.startswith((origin, "about:"))]
            assert foreign == []
            assert [it for it in page.errors if not REFUSED.search(it)] == []
        finally:
            await page.close()


class Busy(Held):
    """One that has answered more whenever it is looked at."""

    step = 200

    async def report(self) -> Any:
        backend = self.balancer.pool.backends[0]
        self.balancer.admitted += self.step
        backend.picked += self.step
        backend.succeeded += self.step
        self.measured.whole(backend.name).setdefault(200, []).extend([0.25] * self.step)
        return await super().report()


def test_numbers_move(browser: Browser) -> None:
    async def test() -> None:
        async with open_page(browser, Busy()) as (page, _):
            await page.until("parseFloat(document.querySelector('#tile-rate dd').textContent) > 0")
            assert (await page.text("#tile-p99 dd")).startswith("251")
            assert await page.until("document.querySelector('#lanes .share span').textContent")
            before = await page.text("#tile-rate .beside")
            await page.until(
                f"document.querySelector('#tile-rate .beside').textContent !== '{before}'"
            )
            assert await page.text("#standing span") == "All 3 usable"

    browser.run(test())


def test_a_click_on_drain_drains_and_undo_takes_it_back(browser: Browser) -> None:
    async def test() -> None:
        async with open_page(browser, Held()) as (page, here):
            lane = LANE.format("a")
            await page.click(f"{lane} [data-act=drain]")
            await page.until(f"document.querySelector('{lane}').dataset.state === 'drain'")
            assert here.row("a").state is State.DRAIN
            await page.click("#told button")
            await page.until(f"document.querySelector('{lane}').dataset.state === 'up'")
            assert here.row("a").state is State.UP

    browser.run(test())


def test_what_is_dangerous_is_asked_about(browser: Browser) -> None:
    async def test() -> None:
        async with open_page(browser, Held()) as (page, here):
            for name in ("a", "127.0.0.1:3002"):
                await page.click(f"{LANE.format(name)} [data-act=drain]")
                await page.until(
                    f"document.querySelector('{LANE.format(name)}').dataset.state === 'drain'"
                )
            await page.click(f"{LANE.format('c/d e')} [data-act=drain]")
            assert "last usable backend" in await page.until(
                "document.querySelector('dialog[open] p').textContent"
            )
            await page.click("dialog .ends button[type=button]")
            await page.until("!document.querySelector('dialog[open]')")
            assert here.row("c/d e").state is State.UP

    browser.run(test())


def test_a_weight_that_is_none_is_refused_with_what_would_be_right(browser: Browser) -> None:
    async def test() -> None:
        async with open_page(browser, Held()) as (page, here):
            for weight in ("-1", "2.5"):
                await page.click(f"{LANE.format('a')} [aria-haspopup]")
                await page.until("document.querySelector('dialog[open] [name=weight]')")
                await page.value("document.querySelector('[name=weight]').value = ''")
                await page.value("document.querySelector('[name=weight]').focus()")
                await page.type(weight)
                await page.click("dialog [type=submit]")
                await page.until("!document.querySelector('dialog[open]')")
                if weight == "-1":
                    told = await page.until("document.querySelector('#told .bad')?.textContent")
                    assert "not a number above zero" in told
                    assert '{"weight": 3}' in told
            await page.until(f"{AT_A}.querySelector('td:nth-child(9) span').textContent === '2.5'")
            assert here.row("a").configured_weight == 2.5

    browser.run(test())


def test_the_algorithm_is_exchanged_with_its_settings_and_the_file_read_again(
    browser: Browser,
) -> None:
    async def test() -> None:
        held = Held()
        async with open_page(browser, held) as (page, _):
            await page.click("#algorithm")
            await page.until("document.querySelector('dialog[open] select')")
            await page.value(
                "(() => { const list = document.querySelector('dialog select');"
                " list.value = 'p2c'; list.dispatchEvent(new Event('change'));"
                " document.querySelector('[name=set-choices]').focus(); })()"
            )
            await page.type("3")
            await page.click("dialog [type=submit]")
            await page.until(
                "document.querySelector('#algorithm b').textContent === 'p2c · choices 3'"
            )
            assert held.balancer.algorithm == "p2c"
            held.problems = ["lb.toml:3 retries.max: must not be below 0"]
            await page.click("#reload")
            await page.click("dialog [type=submit]")
            told = await page.until("document.querySelector('#told .bad')?.textContent")
            assert "lb.toml:3 retries.max: must not be below 0" in told

    browser.run(test())


def test_a_token_is_asked_for_and_kept_in_the_tab_alone(browser: Browser) -> None:
    async def test() -> None:
        async with open_page(browser, Busy(), access=Access("sesame")) as (page, _):
            for token in ("open", "sesame"):
                await page.until(
                    "document.querySelector('dialog[open] [type=password]')?.value === ''"
                )
                await page.value("document.querySelector('[type=password]').focus()")
                await page.type(token)
                await page.click("dialog [type=submit]")
            await page.until("document.querySelector('#lanes tr')")
            assert await page.value("sessionStorage.length + localStorage.length") == 1
            assert await page.value("document.cookie") == ""

    browser.run(test())


def test_what_happens_is_told_as_it_happens(browser: Browser) -> None:
    async def test() -> None:
        held = Held()
        held.events.happened(1e9, "info", "listening", {"address": "here"})
        async with open_page(browser, held) as (page, _):
            await page.until("document.querySelector('#events b')?.textContent === 'listening'")
            held.events.happened(1e9 + 1, "warning", "backend down", {"backend": "<i>a</i>"})
            await page.until("document.querySelectorAll('#events li').length === 2")
            assert (await page.text("#events li")).endswith("backend down backend <i>a</i>")

    browser.run(test())


@pytest.mark.parametrize("dark", [False, True])
def test_a_thousand_backends_are_a_few_rows_and_nothing_is_wider_than_a_phone(
    browser: Browser, dark: bool
) -> None:
    rows = "".join(f'[[backend]]\naddress = "10.0.{n // 250}.{n % 250}:80"\n' for n in range(1000))

    async def test() -> None:
        held = Held("[health]\nenabled = false\n" + rows)
        async with open_page(browser, held, 390, dark=dark) as (page, _):
            await page.until("document.querySelectorAll('#lanes tr').length === 40")
            assert await page.value("document.documentElement.scrollWidth") <= 390
            await page.value("document.querySelector('#filter').focus()")
            await page.type("10.0.3.24")
            await page.until("document.querySelectorAll('#lanes tr').length === 11")

    browser.run(test())


def test_everything_that_can_be_pressed_has_a_name_and_charts_are_read_by_keys(
    browser: Browser,
) -> None:
    async def test() -> None:
        async with open_page(browser, Busy()) as (page, _):
            await page.until(
                "document.querySelector('#latency canvas').ariaLabel?.includes('251 ms')"
            )
            await page.value("document.querySelector('#latency canvas').focus()")
            await page.press("ArrowLeft")
            await page.until(
                "document.querySelector('#latency canvas').ariaLabel.includes('2 seconds ago')"
            )
            await page.call("Accessibility.enable")
            nodes = (await page.call("Accessibility.getFullAXTree"))["nodes"]
            pressed = [it for it in nodes if it.get("role", {}).get("value") in PRESSED]
            assert len(pressed) > 8
            assert [it for it in pressed if not it["name"]["value"]] == []

    browser.run(test())


def test_what_was_predicted_is_drawn_and_told(browser: Browser) -> None:
    class Foretold(Busy):
        async def forecast(self) -> dict[str, Any]:
            band = {"value": 0.25, "low": 0.2, "high": 0.3}
            latency = dict.fromkeys(("p50", "p95", "p99"), band)
            names = [it.name for it in self.balancer.pool.backends]
            return {
                "schema": 1,
                "state": "ready",
                "live": True,
                "algorithm": "round_robin",
                "rate": 20.0,
                "window": 10.0,
                "latency": latency,
                "throughput": {"value": 20.0},
                "backends": [{"name": name, "share": 1 / 3, "utilisation": 0.1} for name in names],
            }

    async def test() -> None:
        async with open_page(browser, Foretold()) as (page, _):
            await page.until(
                "document.querySelector('#tile-p99 .beside').textContent === 'in 200–300 ms'"
            )
            assert "at the live rate of 20/s" in await page.text("#forecast")
            assert (
                await page.value("document.querySelectorAll('#lanes u:not([hidden])').length") == 3
            )

    browser.run(test())


MODELLED = """
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
[traffic]
arrivals = { process = "poisson", rate = 50 }
[[backend]]
name = "a"
address = "ADDRESS"
[backend.model]
service = { law = "exponential", mean = "1ms" }
[[backend]]
name = "b"
address = "OTHER"
[backend.model]
service = { law = "exponential", mean = "1ms" }
"""


def test_a_real_balancer_is_drained_by_a_click_and_its_latency_predicted(
    browser: Browser, start: Start, tmp_path: Path
) -> None:
    async def test() -> None:
        answered = [0, 0]
        served = [TestServer(answering(answered, place)) for place in (0, 1)]
        async with served[0] as one, served[1] as other:
            file = tmp_path / "lb.toml"
            text = MODELLED.replace("ADDRESS", f"{one.host}:{one.port}")
            file.write_text(text.replace("OTHER", f"{other.host}:{other.port}"))
            serving = await asyncio.to_thread(start, Serving, "-c", file)
            origin = f"http://{dict(it.split('=', 1) for it in serving.listening.split())['admin']}"
            page = await browser.page(f"{origin}/")
            load = asyncio.create_task(requests(f"http://{serving.address}/"))
            try:
                await page.until("parseFloat(document.querySelector('#tile-rate dd').textContent)")
                await page.until("document.querySelector('#forecast b')?.textContent === 'Bands'")
                await page.click(f"{LANE.format('a')} [data-act=drain]")
                await page.until(f"{AT_A}.querySelector('.state b').textContent === 'drain'")
                await page.until(
                    f"{AT_A}.querySelector('.state small').textContent.endsWith('empty')"
                )
                before = list(answered)
                while answered[1] < before[1] + 20:
                    await asyncio.sleep(0)
                assert answered[0] == before[0]
                assert page.errors == []
                assert {it.startswith((origin, "about:")) for it in page.asked} == {True}
            finally:
                load.cancel()
                await asyncio.wait([load])
                await page.close()

    browser.run(test())


def answering(answered: list[int], place: int) -> web.Application:
    """Counts what is no health check."""

    async def well(request: web.Request) -> web.Response:
        answered[place] += request.path == "/"
        return web.Response(text="well")

    app = web.Application()
    app.add_routes([web.get("/{any:.*}", well)])
    return app


async def requests(url: str) -> None:
    async with ClientSession() as session:
        while True:
            async with session.get(url) as response:
                assert response.status == 200
            await asyncio.sleep(0.01)
