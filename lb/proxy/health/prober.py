"""Probes: health checks, each a GET on a connection of its own, and requests for load reports.

A load report is a response field, `X-LB-Load: in_flight=3, latency_ms=12.5`. It is asked for on
kept connections, because there may be several for every request.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import aiohttp

from lb import wire
from lb.balancing import Backend, LoadReport, ProbeResult
from lb.config import HealthTable, host_and_port
from lb.proxy.logs.log import Log
from lb.proxy.names import Names, Unresolved
from lb.system import ours, reason

BODY = 64 * 1024
"""Bytes of an answer's body that are read; what comes behind them is not waited for."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    load: str
    latency: float


class _Broken(Exception):
    """A connection was made, and no answer came of it."""


class Prober:
    """Carries out probes; knows nothing of rising and falling. Every probe ends in a result."""

    def __init__(self, settings: HealthTable, names: Names, log: Log) -> None:
        self._settings = settings
        self._names = names
        self._log = log
        self._session = _session("lb-health", aiohttp.TCPConnector(force_close=True, limit=0))
        self._kept = _session("lb-load", aiohttp.TCPConnector(limit=0))

    async def probe(self, backend: Backend) -> ProbeResult:
        """How the backend is."""
        try:
            answer = await self._get(self._session, backend)
        except Unresolved as error:
            return ProbeResult(ok=False, why=f"name not resolved: {error}")
        except TimeoutError:
            return ProbeResult(ok=False, why=f"no answer within {self._settings.timeout:g} s")
        except _Broken as error:
            return ProbeResult(ok=False, why=f"broken answer: {error}")
        except OSError as error:
            why = f"cannot connect: {reason(error)}"
            return ProbeResult(ok=False, why=why, ours=ours(error))
        except Exception as error:
            return ProbeResult(ok=False, why=self._defect(backend, error))
        if not self._settings.expects(answer.status):
            why = f"status {answer.status}, expected {self._settings.expect}"
            return ProbeResult(ok=False, why=why, latency=answer.latency)
        return ProbeResult(ok=True, why=f"status {answer.status}", latency=answer.latency)

    async def load(self, backend: Backend) -> LoadReport | None:
        """What the backend says of its load; None when it says nothing."""
        try:
            answer = await self._get(self._kept, backend)
        except (Unresolved, _Broken, OSError):
            return None  # health checks tell of such things
        except Exception as error:
            self._defect(backend, error)
            return None
        figures = wire.read_load(answer.load)
        return None if figures is None else LoadReport(*figures)

    async def close(self) -> None:
        await self._session.close()
        await self._kept.close()

    async def _get(self, session: aiohttp.ClientSession, backend: Backend) -> _Answer:
        """Raises Unresolved, OSError (no connection), TimeoutError, _Broken."""
        host, port = host_and_port(backend.address)

        async def ask(address: str) -> _Answer:
            place = f"[{address}]" if ":" in address else address
            url = f"http://{place}:{port}{self._settings.path}"
            fields = {"Host": _host_field(backend.address)}
            started = time.monotonic()
            try:
                async with session.get(url, headers=fields, allow_redirects=False) as answer:
                    await _read(answer)
                    load = answer.headers.get(wire.LOAD, "")
                    return _Answer(answer.status, load, time.monotonic() - started)
            except aiohttp.ClientConnectorError as error:
                raise error.os_error from None
            except aiohttp.ClientError as error:
                said = str(error).partition("\n")[0].rstrip(": ")
                raise _Broken(said or type(error).__name__) from None

        return await self._names.name(host).each(ask, self._settings.timeout)

    def _defect(self, backend: Backend, error: Exception) -> str:
        """What nobody has foreseen ends one probe, and says what it was."""
        why = f"{type(error).__name__}: {error}"
        self._log("error", "probe broke", backend=backend.name, reason=why)
        return f"the probe broke: {why}"


def _session(agent: str, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the whole probe has one
        headers={"User-Agent": agent},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # what is small on the wire stays small
    )


async def _read(answer: aiohttp.ClientResponse) -> None:
    """The body, as far as it is reasonable."""
    left = BODY
    async for piece in answer.content.iter_any():
        left -= len(piece)
        if left <= 0:
            answer.close()
            return


def _host_field(address: str) -> str:
    """As the file has it, which need not be where the probe goes."""
    name = address.removesuffix(":80")
    return name if name.isascii() else name.encode("idna").decode()
