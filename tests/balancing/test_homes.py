"""Keys and clients with a home, where there are several tiers."""

from __future__ import annotations

import pytest

from lb.balancing import Outcome, State
from lb.strategies.sticky import token
from tests.balancing.test_balancer import admitted, drained
from tests.balancing.test_tiers import out, tiered, who


@pytest.mark.parametrize("algorithm", ["consistent_hash", "ip_hash", "maglev", "rendezvous"])
def test_a_key_stays_in_its_tier_and_moves_only_as_the_shares_do(algorithm: str) -> None:
    lb = tiered(0, 0, 0, 0, 1, 1, algorithm=algorithm)
    keys = [b"user %d" % n for n in range(600)]

    def homes() -> dict[bytes, str]:
        found = {key: who(lb, 2, key=key) for key in keys}
        assert {len(names) for names in found.values()} == {1}
        return found

    at_first = homes()
    assert set(at_first.values()) == set("abcd")
    out(lb, "a", "b")  # 0.7 stays
    spilled = {key for key, name in homes().items() if name in "ef"}
    assert 130 < len(spilled) < 230
    out(lb, "c")  # 0.35 stays
    more = {key for key, name in homes().items() if name in "ef"}
    assert spilled < more
    assert 330 < len(more) < 450
    out(lb, "a", "b", "c", state=State.UP)
    assert homes() == at_first


@pytest.mark.parametrize("algorithm", ["round_robin", "least_connections", "p2c"])
def test_algorithms_without_keys_spread_one_key_over_tiers(algorithm: str) -> None:
    lb = tiered(0, 0, 0, 0, 1, algorithm=algorithm)
    out(lb, "a", "b")
    assert who(lb, 100, key=b"one") == "cde"


def test_who_has_a_home_among_the_backups_keeps_it() -> None:
    lb = tiered(0, 0, 1, 1, algorithm="sticky")
    out(lb, "a", "b")
    home = who(lb, 1, key=b"ann")
    assert home in "cd"
    out(lb, "a", "b", state=State.UP)
    assert who(lb, 9, key=b"ann") == home
    assert who(lb, 9, key=token(lb.pool.backends[3].address)) == "d", "a cookie says the same"
    assert who(lb, 9, key=b"bob") in "ab"
    out(lb, home)
    new = who(lb, 1, key=b"ann")
    assert new in "ab"
    out(lb, home, state=State.UP)
    assert who(lb, 9, key=b"ann") == new


def test_the_home_of_a_client_is_given_up_for_a_retry_and_no_longer() -> None:
    lb = tiered(0, 1, algorithm="sticky")
    assert who(lb, 3, key=b"ann") == "a"
    lease = admitted(lb, key=b"ann")
    lb.failed(lease, 0.0, Outcome.RESET, sent=True)
    (start,) = drained(lb)
    assert start.lease.backend.name == "b"
    start.lease.done(0.0)
    assert who(lb, 3, key=b"ann") == "a"
