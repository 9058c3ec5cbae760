"""Load reports: asked for, or said with a response; for the balancer, never for the client."""

from __future__ import annotations

import pytest

from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Script, Wire, ok, origin, proxy


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
            in_a_row = 0
            for _ in range(200):  # the first picks are random; each brings answers
                response = await lb.get()
                assert response.status == 200
                assert response["X-LB-Load"] is None
                chosen = response["X-Backend-Server"] == fast.address
                in_a_row = in_a_row + 1 if chosen else 0
                if in_a_row == 20:
                    return
            raise AssertionError("the backend that says it is slow is picked on and on")

    run(test())


def saying(field: bytes) -> Script:
    """Answers everything with this field."""

    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(ok(b"", field))

    return script


FEEDBACK = 'algorithm = { name = "weighted_feedback", blackout = "0s", smoothing = "0s" }'


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (b"X-LB-Load: utilisation=0.5, rate=1", b"X-LB-Load: utilisation=0.5, rate=9"),
        (
            b"endpoint-load-metrics: TEXT cpu_utilization=0.9, rps_fractional=9",
            b"Endpoint-Load-Metrics: TEXT cpu_utilization=0.1, rps_fractional=9",
        ),
        (
            b'endpoint-load-metrics: JSON {"cpu_utilization": 0.5, "rps_fractional": 9, "eps": 9}',
            b'endpoint-load-metrics: JSON {"cpu_utilization": 0.15, "rps_fractional": 9}',
        ),
    ],
)
def test_weighted_feedback_goes_by_what_answers_say(run: Run, low: bytes, high: bytes) -> None:
    async def test() -> None:
        async with (
            origin(saying(low)) as weak,
            origin(saying(high)) as strong,
            proxy(weak, strong, toml=FEEDBACK) as lb,
        ):
            chosen = []
            for _ in range(60):
                response = await lb.get()
                assert response.status == 200
                assert response["X-LB-Load"] is None
                assert response["endpoint-load-metrics"] is None
                chosen.append(response["X-Backend-Server"])
            assert chosen[20:].count(weak.address) == pytest.approx(4, abs=1)
            assert strong.address in chosen

    run(test())
