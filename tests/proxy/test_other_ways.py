"""Another file while it runs: what is open to a backend stays, unless that is reached otherwise."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from lb.proxy.proxy_protocol import read
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import NO_HEALTH, Origin, get, ok, origin, proxy, scenario
from tests.proxy.wires import Wire

PATIENT = '[timeouts]\nconnect = "8s"\n[panic]\nthreshold = 0.0\n'
"""A handshake is work, and a busy machine takes its time for it."""
PLAIN = ""
V1, V2 = 'proxy_protocol = "v1"', 'proxy_protocol = "v2"'
TLS = '[backend.tls]\nca = "{at}/ca.pem"\nserver_name = "a.test"'
OTHER_NAME = TLS.replace("a.test", "b.test")
OURS = TLS + '\ncertificate = "{at}/ours.pem"\nkey = "{at}/ours.key"'


class Held:
    """Answers when it may; where there is something to be read first, it reads that."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.introduces = False

    async def __call__(self, wire: Wire, it: Origin) -> None:
        said = b""
        while self.introduces and read(said) is None:
            byte = await wire.reader.read(1)
            if not byte:
                return
            said += byte
        while await it.take(wire) is not None:
            await self.go_on.wait()
            wire.send(ok(b"held"))


def ours(folder: Path, name: str) -> None:
    """Our own certificate, which is now for `name`."""
    for path, suffix in zip(papers.written(folder, name), ("pem", "key"), strict=True):
        path.replace(folder / f"ours.{suffix}")


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        (PLAIN, PLAIN, True),
        (V1, V1, True),
        (TLS, TLS, True),
        (OURS, OURS, True),
        (PLAIN, V1, False),
        (V1, V2, False),
        (V2, PLAIN, False),
        (TLS, OTHER_NAME, False),
        (OURS, TLS, False),
        (OURS, OURS + "\n", False),  # its certificate is another one
    ],
)
def test_connections_stay_where_the_way_is_the_same(
    run: Run, tmp_path: Path, before: str, after: str, stays: bool
) -> None:
    papers.root(tmp_path)
    ours(tmp_path, "one.test")
    row, other = before.format(at=tmp_path), after.format(at=tmp_path)
    context: ssl.SSLContext | None = None
    if "tls" in before:
        context = papers.serving("a.test", "b.test", asks="certificate" in after)

    async def test() -> None:
        script = Held()
        script.introduces = "proxy" in before
        async with (
            origin(script, tls=context) as a,
            proxy(a, toml=PATIENT, a=row) as lb,
            lb.client() as busy,
            lb.client() as idle,
        ):
            for client in (busy, idle):
                client.send(get())
                await a.arrived.get()
            script.go_on.set()
            for client in (busy, idle):
                assert (await client.response()).status == 200
            script.go_on.clear()
            busy.send(get())
            await a.arrived.get()
            site = lb.backends[0].site
            assert (a.connections, site.unused) == (2, 1)
            script.introduces = "proxy" in after
            if after.endswith("\n"):
                ours(tmp_path, "two.test")
            lb.driver.adopt(scenario(a, toml=PATIENT + NO_HEALTH, a=other))
            assert site.unused == stays
            if not stays:
                await a.left.get()
            script.go_on.set()
            assert (await busy.response()).status == 200
            assert site.unused == 2 * stays
            if not stays:
                await a.left.get()
            for client in (busy, idle):
                client.send(get())
                assert (await client.response()).status == 200
            used = 2 if stays else 4 if "proxy" in after else 3
            assert a.connections == used

    run(test())
