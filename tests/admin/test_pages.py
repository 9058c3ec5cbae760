"""The files of the status page: where they are, what comes with them, what they ask for."""

import asyncio
import json
import re
from importlib.resources import files

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from lb.admin import pages
from lb.strategies import REGISTRY

PARTS = sorted(part.name for part in files(pages).iterdir() if not part.name.startswith("__"))
TEXTS = {name: files(pages).joinpath(name).read_text() for name in PARTS if "." in name}


def fetched(path: str) -> tuple[int, dict[str, str], str]:
    async def fetch() -> tuple[int, dict[str, str], str]:
        app = web.Application()
        app.add_routes(pages.routes())
        async with TestClient(TestServer(app)) as client, client.get(path) as response:
            return response.status, dict(response.headers), await response.text()

    return asyncio.run(fetch())


def test_every_part_that_the_page_names_is_there() -> None:
    named = set(re.findall(r'(?:src|href)="pages/([^"]+)"', TEXTS["index.html"]))
    named |= {part for text in TEXTS.values() for part in re.findall(r'from "\./([^"]+)"', text)}
    assert named
    assert named <= set(PARTS)


@pytest.mark.parametrize("path", ["/", "/pages/main.js", "/pages/page.css", "/pages/icon.svg"])
def test_no_script_or_style_of_another_origin_may_run(path: str) -> None:
    status, headers, _ = fetched(path)
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_asked_of_any_other_host(name: str) -> None:
    others = re.sub(r"http://www\.w3\.org/[\w/]+", "", TEXTS[name])  # a name, not a place
    assert "//" not in re.sub(r"(?m)//( .*)?$", "", others)


def test_nothing_stands_inline_in_the_page() -> None:
    page = TEXTS["index.html"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_the_dialog_offers_every_algorithm_with_its_settings() -> None:
    _, _, text = fetched("/pages/algorithms.json")
    rows = {row["name"]: row for row in json.loads(text)}
    assert set(REGISTRY) <= set(rows)
    assert "choices" in {setting["name"] for setting in rows["p2c"]["settings"]}
