"""Load reports: asked for, or said with a response; for the balancer, never for the client."""

from __future__ import annotations

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
