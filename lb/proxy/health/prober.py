"""Probes: health checks, each a GET on a connection of its own, and requests for load reports.

A load report is a response field, `X-LB-Load: in_flight=3, latency_ms=12.5`. It is asked for on
kept connections, because there may be several for every request.
"""

from __future__ import annotations

import time

import aiohttp

from lb import wire
from lb.balancing import Backend, LoadReport, ProbeResult
from lb.config import HealthTable
from lb.system import reason


class Prober:
    """Carries out probes; knows nothing of rising and falling."""

    def __init__(self, settings: HealthTable) -> None:
        self._settings = settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            headers={"User-Agent": "lb-health"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._kept = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            headers={"User-Agent": "lb-load"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def probe(self, backend: Backend) -> ProbeResult:
        started = time.monotonic()
        url = f"http://{backend.address}{self._settings.path}"
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                await answer.read()
        except TimeoutError:
            return ProbeResult(ok=False, why=f"no answer within {self._settings.timeout:g} s")
        except aiohttp.ClientConnectorError as error:
            return ProbeResult(ok=False, why=f"cannot connect: {reason(error.os_error)}")
        except aiohttp.ClientError as error:
            return ProbeResult(ok=False, why=f"broken answer: {error or type(error).__name__}")
        except (OSError, ValueError) as error:  # a name that cannot be one is a ValueError
            return ProbeResult(ok=False, why=f"cannot be asked: {error}")
        latency = time.monotonic() - started
        if not self._settings.expects(answer.status):
            why = f"status {answer.status}, expected {self._settings.expect}"
            return ProbeResult(ok=False, why=why, latency=latency)
        return ProbeResult(ok=True, why=f"status {answer.status}", latency=latency)

    async def load(self, backend: Backend) -> LoadReport | None:
        """What the backend says of its load; None when it says nothing."""
        url = f"http://{backend.address}{self._settings.path}"
        try:
            async with self._kept.get(url, allow_redirects=False) as answer:
                await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None  # health checks tell of such things
        said = wire.read_load(answer.headers.get(wire.LOAD, ""))
        return said and LoadReport(*said)

    async def close(self) -> None:
        await self._session.close()
        await self._kept.close()
