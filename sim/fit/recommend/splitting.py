"""The square-root rule: how to split a Poisson stream at random among exponential servers.

Of servers of rates m_i, one line each, and arrivals at rate L, the mean time in the system is least
when server i is sent m_i - sqrt(m_i) (sum m - L) / sum sqrt(m), over those servers that this leaves
something; the slowest others are sent nothing (Bell & Stidham, "Individual versus social
optimization in the allocation of customers to alternative servers", Management Science 29, 1983;
Tantawi & Towsley, "Optimal static load balancing in distributed computer systems", Journal of the
ACM 32, 1985). Under processor sharing the mean follows from the rate alone, whatever the law, as if
it were exponential (Kleinrock, "Queueing Systems" II, 1976, 4.4): the rule is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lb.config import Poisson, Scenario
from lb.config.laws import Exponential


def square_root_rule(rates: Sequence[float], offered: float) -> list[float]:
    """The share of the requests that each server is sent, in the order of `rates`.

    Raises ValueError unless 0 < offered < sum of rates.
    """
    if not 0 < offered < sum(rates):
        raise ValueError(f"{offered:g} requests per second for {sum(rates):g} that can be served")
    active = sorted(range(len(rates)), key=lambda i: -rates[i])
    while True:
        spare = sum(rates[i] for i in active) - offered
        roots = sum(math.sqrt(rates[i]) for i in active)
        slowest = active[-1]
        if rates[slowest] > math.sqrt(rates[slowest]) * spare / roots:
            break
        active.pop()
    sent = [0.0] * len(rates)
    for i in active:
        sent[i] = (rates[i] - math.sqrt(rates[i]) * spare / roots) / offered
    return sent


def applies(scenario: Scenario) -> bool:
    """Whether these are the servers that the rule is exact for, when requests are dealt at random
    and the mean is what counts.
    """
    traffic = scenario.offered()
    plain = traffic.patience is None and scenario.hedging.after is None
    return (
        isinstance(traffic.arrivals, Poisson)
        and plain
        and scenario.server.model is None
        and not scenario.changing
        and all(
            (isinstance(model.service, Exponential) or model.discipline == "ps")
            and model.workers == 1
            and model.plain
            and model.then is None
            and model.queue is None
            and row.max_in_flight is None
            for row, model in scenario.modelled()
        )
    )
