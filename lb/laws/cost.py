"""The law of cost: a decision among thousands is hardly more work than one among a few."""

from __future__ import annotations

from lb.laws.counting import operations
from lb.laws.kit import Seeded, Server, end, make, require, send
from lb.strategies.spec import Spec


def cost_grows_with_the_logarithm_at_most(row: Spec, seeded: Seeded) -> None:
    """Pick, start and end among 8192 are at most 13/3 of the work among 8, as log n is."""
    small, large = 8, 8192

    def work(n: int) -> float:
        strategy = make(row, seeded(16), [Server(order, 1 + order % 3) for order in range(n)])
        busy = [send(strategy, key=b"%d" % number) for number in range(20)]
        strategy.pick(0.0, b"", busy[:1])  # what is made when first needed has been made now
        calls = 40

        def run() -> None:
            for number in range(calls):
                end(strategy, busy[number % 20], 1.0, latency=0.01)
                avoid = busy[:1] if number % 4 == 0 else ()  # every fourth is a retry
                busy[number % 20] = send(strategy, avoid, 1.0, b"k%d" % number)

        return operations(run) / calls

    few, many = work(small), work(large)
    bound = few * large.bit_length() / small.bit_length()
    require(many <= bound, f"{few:.0f} operations among {small}, {many:.0f} among {large}")
