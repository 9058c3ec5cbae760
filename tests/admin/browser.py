"""A headless Chromium, driven over its DevTools protocol: what a page shows, asks for and says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import ClientSession, ClientWebSocketResponse

T = TypeVar("T")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
PATIENCE = 90.0
"""Seconds for anything: the machine may be slow and busy."""
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-extensions", "--remote-debugging-port=0"),
)
WAIT = """new Promise((done) => {
  const look = () => { let found; try { found = (%s); } catch { found = null; }
    if (found) done(found); else setTimeout(look, 50); };
  look();
})"""


class Browser:
    """One of them, and the event loop that it is driven from."""

    def __init__(self) -> None:
        assert CHROMIUM is not None
        self._runner = asyncio.Runner()
        self._profile = tempfile.mkdtemp(prefix="lb-browser-")
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._session: ClientSession | None = None

    def run(self, test: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(2 * PATIENCE):
                return await test

        return self._runner.run(bounded())

    async def page(self, url: str, width: int = 1280, *, dark: bool = False) -> Page:
        """One that goes there."""
        if self._session is None:
            self._session = ClientSession()
        port = await self._port()
        at = f"http://127.0.0.1:{port}/json/new?about:blank"
        async with self._session.put(at) as response:
            told = await response.json()
        page = Page(await self._session.ws_connect(told["webSocketDebuggerUrl"], max_msg_size=0))
        await page.begin(url, width, dark=dark)
        return page

    async def _port(self) -> str:
        file = Path(self._profile) / "DevToolsActivePort"
        async with asyncio.timeout(PATIENCE):
            while not (file.exists() and file.read_text().count("\n")):
                assert self._process.poll() is None, "the browser has ended"
                await asyncio.sleep(0.05)
        return file.read_text().partition("\n")[0]

    def close(self) -> None:
        if self._session is not None:
            self._runner.run(self._session.close())
        self._runner.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        shutil.rmtree(self._profile, ignore_errors=True)


class Page:
    """One tab."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())
        self.errors: list[str] = []
        """What the console said that is no mere remark."""
        self.asked: list[str] = []
        """Every URL that was asked for."""

    async def begin(self, url: str, width: int, *, dark: bool) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Page.navigate", url=url)

    async def call(self, method: str, **params: Any) -> Any:
        self._number += 1
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            return await answer

    async def value(self, expression: str) -> Any:
        """What it gives in the page, as JSON has it; promises are awaited."""
        told = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Its value, when that is true at last."""
        return await self.value(WAIT % expression)

    async def text(self, selector: str) -> str:
        return await self.value(f"document.querySelector({json.dumps(selector)}).textContent")

    async def click(self, selector: str) -> None:
        """As a mouse does, so that nothing may lie above it."""
        await self.until(f"document.querySelector({json.dumps(selector)})?.disabled === false")
        at = await self.value(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            " one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", clickCount=1
            )

    async def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def close(self) -> None:
        await self.call("Page.close")
        self._reader.cancel()
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if (waiting := self._waiting.pop(told.get("id"), None)) is not None:
                if "error" in told:
                    waiting.set_exception(AssertionError(told["error"]))
                else:
                    waiting.set_result(told["result"])
            else:
                self._heard(told["method"], told["params"])

    def _heard(self, method: str, params: Any) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(params["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.errors.append(json.dumps(params["args"])[:500])
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
