"""Names of backends in a whole proxy: probes and requests, outages, a silent name server."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Wire,
    get,
    ok,
    origin,
    proxy,
)
from tests.proxy.test_names import NOT_KNOWN, Server

AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

# --- a whole proxy

CHECKED = """[health]
interval = "10s"
fast_interval = "20ms"
timeout = "2s"
"""


def port_of(it: Origin | socket.socket) -> int:
    port = it.getsockname()[1] if isinstance(it, socket.socket) else it.address.rpartition(":")[2]
    return int(port)


async def well(wire: Wire, it: Origin) -> None:
    """Health checks and work are both noted."""
    while await it.take(wire) is not None:
        wire.send(ok(b"here"))


def test_probe_and_request_go_to_the_same_address_and_say_the_configured_name(run: Run) -> None:
    """127.0.0.2 refuses; the probe finds out, and the request does not try it again."""

    async def test() -> None:
        server = Server(**{"backend.test": ["127.0.0.2", "127.0.0.1"]})
        async with (
            origin(well) as a,
            proxy(f"backend.test:{port_of(a)}", health=CHECKED, lookup=server) as lb,
        ):
            assert (await lb.get()).body == b"here"
            probe, request = a.requests
            assert probe["Host"] == f"backend.test:{port_of(a)}"
            assert request["Host"] == "example.test"
            assert server.asked == ["backend.test"]
            assert lb.outcomes == [("a", Outcome.OK)]

    run(test())


def test_a_request_moves_the_probes_to_the_next_address_too(run: Run) -> None:
    async def test() -> None:
        server = Server(**{"backend.test": ["127.0.0.2", "127.0.0.1"]})
        async with (
            origin(well) as a,
            proxy(f"backend.test:{port_of(a)}", lookup=server) as lb,
        ):
            assert (await lb.get()).body == b"here"
            assert lb.driver.names.name("backend.test").addresses[0] == "127.0.0.1"
            assert (await lb.driver._prober.probe(lb.backends[0])).ok

    run(test())


def test_a_name_that_is_not_known_is_no_fault_of_the_backend(run: Run) -> None:
    async def test() -> None:
        server = Server(**{"backend.test": NOT_KNOWN})
        async with proxy("backend.test:80", lookup=server) as lb:
            assert (await lb.get()).status == 503
            assert lb.outcomes[-1] == ("a", Outcome.CANCELLED)
            assert lb.backends[0].failed == 0

    run(test())


def test_a_backend_whose_name_was_never_resolved_is_down_and_the_log_says_why(run: Run) -> None:
    async def test() -> None:
        server = Server(**{"backend.test": NOT_KNOWN})
        async with proxy("backend.test:80", health=CHECKED, lookup=server) as lb:
            assert not lb.backends[0].healthy
            (down,) = [fields for _, event, fields in lb.log if event == "backend down"]
            assert down["reason"] == "name not resolved: name or service not known"

    run(test())


def test_an_outage_of_the_name_server_takes_no_backend_out(run: Run) -> None:
    async def test() -> None:
        server = Server(**{"backend.test": ["127.0.0.1"]})
        health = CHECKED.replace('"10s"', '"20ms"')
        async with (
            origin(well) as a,
            proxy(f"backend.test:{port_of(a)}", health=health, lookup=server) as lb,
        ):
            server.answers["backend.test"] = NOT_KNOWN
            lb.driver.names.name("backend.test")._due = 0.0
            while "lookup failed" not in [event for _, event, _ in lb.log]:
                await asyncio.sleep(0)
            seen = len(a.requests)
            while len(a.requests) < seen + 5:
                await asyncio.sleep(0)
            assert lb.backends[0].healthy
            assert (await lb.get()).status == 200

    run(test())


@pytest.mark.parametrize("health", ['[health]\ntimeout = "50ms"\n', "[health]\nenabled = false\n"])
def test_a_silent_name_server_holds_neither_the_start_nor_the_stop(run: Run, health: str) -> None:
    """The other backend is served meanwhile."""

    async def test() -> None:
        server = Server(**{"backend.test": None})
        try:
            async with (
                origin(well) as b,
                proxy("backend.test:80", b, health=health, lookup=server) as lb,
            ):
                if "enabled" in health:
                    lb.backends[0].weight = 1
                    async with lb.client() as stuck, lb.client() as client:
                        stuck.send(get())
                        while not server.asked:
                            await asyncio.sleep(0)
                        client.send(get())
                        assert (await client.response()).body == b"here"
                else:
                    assert (await lb.get()).body == b"here"
        finally:
            server.go_on.set()

    run(test())


@pytest.mark.parametrize(("answer", "refused"), [(NOT_KNOWN, True), (AGAIN, False)])
def test_a_name_that_there_is_not_is_told_apart_from_a_name_server_in_trouble(
    run: Run, answer: socket.gaierror, refused: bool
) -> None:
    """Nobody can listen at the first; the second may be well."""

    async def test() -> None:
        server = Server(**{"backend.test": answer})
        async with proxy("backend.test:80", lookup=server) as lb:
            result = await lb.driver._prober.probe(lb.backends[0])
            assert (result.ok, result.refused, result.ours) == (False, refused, False)
            assert result.why.startswith("name not resolved: ")

    run(test())
