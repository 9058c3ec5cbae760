"""Where backends are and how they are reached: TLS, discovery, and what is not done here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lb.aio import Refused, balance, proxy_application
from lb.balancing import Outcome
from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from tests.aio.drivers import calling, served
from tests.discovery.test_file import replaced
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, echo, ok, origin

NAMED = 'server_name = "a.test"'


def tls(folder: Path, *lines: str) -> str:
    return "\n".join(["[backend.tls]", f'ca = "{papers.root(folder)}"', *lines])


def test_a_backend_speaks_tls_where_the_file_says_so(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        row = tls(tmp_path, NAMED)
        async with origin(echo, tls=papers.serving("a.test")) as a:
            async with calling(a, a=row) as it:
                assert (await it.text()).startswith("GET / HTTP/1.1\r\nHost: orders\r\n")
            async with served(a, a=row) as lb:
                assert (await lb.get()).status == 200

    run(test())


def test_a_backend_that_is_somebody_else_gets_nothing(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        row = tls(tmp_path, NAMED)
        async with (
            origin(echo, tls=papers.serving("b.test")) as a,
            calling(a, a=row) as it,
        ):
            with pytest.raises(Refused) as refused:
                await it.text()
            assert refused.value.code == "connect"
            assert it.outcomes[0] == ("a", Outcome.CONNECT)
            assert not a.requests

    run(test())


def test_backends_that_are_found_join_and_leave(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "backends.toml"
        async with origin(answering(ok(b"a"))) as a, origin(answering(ok(b"b"))) as b:

            def there(*backends: str) -> str:
                return "\n".join(f'[[backend]]\naddress = "{it}"' for it in backends)

            path.write_text(there(a.address))
            orders = balance(
                "orders",
                discovery=[{"file": str(path), "interval": "5ms"}],
                health={"enabled": False},
            )
            async with orders:
                assert orders._driver is not None
                pool = orders._driver.balancer.pool

                async def until(*addresses: str) -> None:
                    while {it.address for it in pool.backends} != {*addresses}:
                        await asyncio.sleep(0.005)

                await until(a.address)
                replaced(path, there(a.address, b.address, "unix:/nowhere"))
                await until(a.address, b.address)
                replaced(path, there(b.address))
                await until(b.address)

    run(test())


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('address = "unix:/run/a.sock"', r"file:3 backend\[0\]\.address: .* host:port alone"),
        (
            'address = "127.0.0.1:1"\nproxy_protocol = "v2"',
            r"file:4 backend\[0\]\.proxy_protocol: lb\.aio sends no PROXY header",
        ),
    ],
)
def test_what_is_not_done_here_is_said(row: str, why: str) -> None:
    file = Scenario.parse(f"[health]\n[[backend]]\n{row}\n", "file")
    with pytest.raises(ConfigError, match=why):
        balance("orders", file)
    with pytest.raises(ConfigError, match=why):
        proxy_application(file)


def test_a_scenario_and_tables_are_one_too_many() -> None:
    file = Scenario(backends=["127.0.0.1:1"])
    with pytest.raises(UsageError, match="not both"):
        balance("orders", file, algorithm="p2c")
