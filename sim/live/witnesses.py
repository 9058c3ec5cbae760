"""Who knows anything of a run that missed, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from sim.live.absence import absence
from sim.live.as_got import kept_as_got, stays_as_got
from sim.live.cause import Witnesses
from sim.live.held import Held
from sim.live.parts import Parts
from sim.live.seen import Seen
from sim.live.turns import out_of_turn

OUT = "out: "
"""Begins the name of a backend's time out of rotation."""


def witnesses(
    seen: Seen, found: Held, names: Sequence[str], parts: Parts | None, off: list[str]
) -> Witnesses:
    """`names` are those of the backends, `off` is all that is, by name."""
    slow = [name for name, line in found.slow.items() if not line.ok]
    far = [name for name, distance in found.far.items() if not distance.ok]
    return Witnesses(
        parts=parts,
        stays=stays_as_got(seen),
        kept={} if parts is not None else kept_as_got(seen, names),
        absence=absence(seen, names),
        out_of_turn=out_of_turn(seen),
        backends=found.backends,
        shares=found.shares,
        errors=found.errors,
        as_predicted=not any(found.misses),
        out=[name.removeprefix(OUT) for name in found.others_missed if name.startswith(OUT)],
        off=off,
        slow_body=bool(far) or any(name.startswith("p50") for name in slow),
        latency_off=bool(slow or far),
    )
