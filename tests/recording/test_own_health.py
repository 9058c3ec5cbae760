"""What checks of one backend alone say and mean is recorded and replayed like everything else."""

from __future__ import annotations

from dataclasses import replace

from lb.balancing import HealthPolicy, ProbeResult, Settings, Setup
from lb.balancing.health import Health
from tests.recording.recordings import Player
from tests.recording.test_recording import again, snapshot

OWN = HealthPolicy(interval=3.0, fast_interval=0.5, fall=1, rise=1)
ROWS = (Settings("h:1", name="a"), Settings("h:2", name="b", health=OWN))


def test_a_policy_of_ones_own_and_what_checks_say_beside_well_or_ill_are_replayed() -> None:
    player = Player(backends=ROWS, health=HealthPolicy(interval=8.0))
    lb = player.balancer
    a, b = lb.pool.backends
    lb.observed(a, player.now, ProbeResult(True, "status 200, drains", 0.01, drain=True))
    lb.observed(b, player.now, ProbeResult(False, "connection refused", refused=True))
    c = lb.add(Settings("h:3", name="c", health=OWN), player.now)
    lb.observed(c, player.now, ProbeResult(True, "status 200"))
    lb.observed(c, player.now, ProbeResult(False, "no descriptors", ours=True))
    for _ in range(5):
        player.admit()
    lb.observed(c, player.now, ProbeResult(False, "status 500"))
    lb.apply(replace(lb.setup, backends=(ROWS[0], replace(ROWS[1], health=None))), player.now)
    player.finish()
    replayed = again(player.close())
    assert replayed.identical
    assert snapshot(replayed.balancer) == snapshot(lb)
    first, second = replayed.balancer.pool.backends
    assert (first.draining, second.refusing) == (True, True)
    assert (second.health.state, second.health.policy) == (Health.DOWN, HealthPolicy(interval=8.0))


def test_a_setup_with_a_policy_of_ones_own_is_the_same_after_json() -> None:
    setup = Setup(ROWS, health=HealthPolicy(interval=8.0))
    assert Setup.from_dict(setup.as_dict()) == setup
