"""Load reports: asked for, or said with a response; for the balancer, never for the client."""

from __future__ import annotations

import pytest

from lb.balancing import LoadReport
from lb.proxy.http.rules import load_report
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Script, Wire, ok, origin, proxy


@pytest.mark.parametrize(
    ("value", "report"),
    [
        (b"in_flight=3, latency_ms=12.5", LoadReport(3, 0.0125)),
        (b"in_flight=0,latency_ms=0", LoadReport(0, 0.0)),
        (b" in_flight=7,   latency_ms=1.000 ", LoadReport(7, 0.001)),
        (b"", None),
        (b"in_flight=3", None),
        (b"in_flight=-3, latency_ms=1", None),
        (b"in_flight=3, latency_ms=nan", None),
        (b"in_flight=99999999999999999999, latency_ms=1", None),
        (b"in_flight=3, latency_ms=1, more=2", None),
    ],
)
def test_what_is_a_report(value: bytes, report: LoadReport | None) -> None:
    assert load_report(value) == report


def telling(in_flight: int, latency_ms: float) -> Script:
    """Answers everything, the load probes of prequal too, with this report."""

    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(ok(b"", b"X-LB-Load: in_flight=%d, latency_ms=%g" % (in_flight, latency_ms)))

    return script


def test_prequal_goes_by_what_backends_say(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(telling(5, 90)) as slow,
            origin(telling(0, 2)) as fast,
            proxy(slow, fast, toml='algorithm = "prequal"') as lb,
        ):
            for _ in range(10):  # the first picks are random; each brings answers
                response = await lb.get()
                assert response.status == 200
                assert response["X-LB-Load"] is None
            names = {(await lb.get())["X-Backend-Server"] for _ in range(5)}
            assert names == {fast.address}

    run(test())
