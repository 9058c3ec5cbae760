"""Connections that came to nothing: what is counted, and how often the log hears of it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from lb.proxy.refusals import APART, HEADER, PLAIN_HTTP, Refusals
from tests.proxy import papers
from tests.proxy.conftest import Run
from tests.proxy.doubles import get, proxy


def test_the_log_hears_of_each_kind_so_often_and_of_all() -> None:
    told: list[tuple[str, dict[str, object]]] = []
    refusals = Refusals(lambda level, event, **fields: told.append((event, fields)))
    for number in range(5):
        refusals.note(HEADER, f"10.0.0.{number}", "wrong", 100.0 + number)
    refusals.note(PLAIN_HTTP, "10.0.1.1", "plain", 105.0)
    assert [(one["kind"], one["count"], one["client"]) for _, one in told] == [
        (HEADER, 1, "10.0.0.0"),
        (PLAIN_HTTP, 1, "10.0.1.1"),
    ]
    refusals.tell(99.0 + APART)
    assert len(told) == 2
    refusals.tell(100.0 + APART)
    assert told[2:] == [
        (
            "connections refused",
            {"kind": HEADER, "count": 4, "client": "10.0.0.4", "reason": "wrong"},
        )
    ]
    refusals.tell(1e9)
    assert len(told) == 3, "nothing is left to tell"
    assert (refusals.counts[HEADER], refusals.counts[PLAIN_HTTP]) == (5, 1)


def test_a_handshake_that_fails_is_counted_and_told(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        certificate, key = papers.written(tmp_path, "lb.test")
        toml = (
            f'[server]\nlisten = "127.0.0.1:0"\n[server.tls]\nmin_version = "1.3"\n'
            f'certificate = "{certificate}"\nkey = "{key}"\n'
        )
        old = papers.trusting()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        async with proxy("127.0.0.1:1", toml=toml) as lb:
            for _ in range(3):
                with pytest.raises(ssl.SSLError):
                    await asyncio.open_connection(*lb.address, ssl=old, server_hostname="lb.test")
            async with lb.client() as broken_off:
                broken_off.send(b"\x16\x03")
                broken_off.half_close()
                assert await broken_off.closed()
            async with lb.client() as looking:  # whether somebody listens
                looking.half_close()
                assert await looking.closed()
            async with lb.client() as welcome:
                await welcome.writer.start_tls(papers.trusting(), server_hostname="lb.test")
                welcome.send(get())
                assert (await welcome.response()).status == 502
            async with lb.client() as plain:
                plain.send(get())
                assert (await plain.response()).status == 400
            while lb.driver.clients.present:
                await asyncio.sleep(0)
            refused = dict(lb.driver.report().connections_refused)
        told = [
            fields
            for _, event, fields in lb.log
            if event == "connections refused" and fields["kind"] == "tls_handshake"
        ]
        assert [one["count"] for one in told] == [1, 3], "the rest when it stops"
        assert {one["client"] for one in told} == {"127.0.0.1"}
        assert told[0]["reason"] == "TLS: unsupported protocol"
        assert refused == {
            "tls_handshake": 4,
            "plain_http": 1,
            "proxy_header": 0,
            "proxy_sender": 0,
        }

    run(test())
