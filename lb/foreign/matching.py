"""Which algorithm of theirs is which of ours: the one table, for export, import and fidelity.

Two are the same when they are so in law: what is drawn differs, what one can measure does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lb.config import Algorithm
from lb.strategies import parse, spec

KEYED = "{key}"
"""In a method: what is hashed, in the other's words."""


@dataclass(frozen=True)
class Match:
    """One algorithm of ours, and the nearest of theirs."""

    method: str
    """In their words; `{choices}` is the setting of ours, `{key}` what is hashed."""
    ours: str
    """What theirs is in our words, the same settings in braces."""
    differs: str = ""
    """In what theirs is not quite that."""
    lost: str = ""
    """What of the algorithm asked for is not there at all; then `ours` is another one."""
    weighs: bool = True
    """Whether weights are to be written; those who do not mind them have none."""
    fine: bool = False
    """Whether shares are the finer the larger the weights."""

    @property
    def keyed(self) -> bool:
        """Whether it hashes something."""
        return KEYED in self.method


RING16 = "shares are those of points on a ring, within some per cent of the weights"
LEFT = "there is none that looks at latencies"
ORDER = "another order within a period, the same shares"
IDLE = "ties go to whoever was there first, and an idle one comes before all others"
TURNS = "requests in flight are counted without the one at hand, and ties are taken in turn"
ODD = {"smooth": ORDER, "fwrr": ORDER, "static": ORDER, "idle_first": IDLE, "before": TURNS}
"""What is told of a setting where another one was asked for."""

HAPROXY: Mapping[str, Match] = {
    "round_robin": Match("roundrobin", "round_robin", weighs=False),
    "weighted_round_robin": Match("roundrobin", "weighted_round_robin:sequence=fwrr"),
    "random": Match("random(1)", "random", RING16, weighs=False, fine=True),
    "weighted_random": Match("random(1)", "weighted_random", RING16, fine=True),
    "least_connections": Match("leastconn", "least_connections:load=idle_first"),
    "p2c": Match("random({choices})", "p2c:choices={choices},replacement=true", RING16, fine=True),
    "ip_hash": Match(
        KEYED,
        "consistent_hash",
        lost="clients of one network need not share a backend: whole addresses are hashed",
        fine=True,
    ),
    "consistent_hash": Match(
        KEYED, "consistent_hash", "other points on the circle: each key has another home", fine=True
    ),
    "maglev": Match(KEYED, "consistent_hash", lost="a ring takes the table's place", fine=True),
    "rendezvous": Match(KEYED, "consistent_hash", lost="a ring takes the scores' place", fine=True),
    "peak_ewma": Match(
        "random({choices})", "p2c:choices={choices},replacement=true", RING16, LEFT, fine=True
    ),
    "least_response_time": Match("leastconn", "least_connections:load=idle_first", lost=LEFT),
    "join_idle_queue": Match(
        "leastconn",
        "least_connections:load=idle_first",
        lost="the least busy is taken where nobody is idle",
    ),
    "prequal": Match(
        "random(2)", "p2c:choices=2,replacement=true", RING16, "nobody is probed", fine=True
    ),
    "least_reported": Match(
        "leastconn", "least_connections:load=idle_first", lost="reports of backends are not heard"
    ),
    "weighted_feedback": Match(
        "roundrobin",
        "weighted_round_robin:sequence=fwrr",
        lost="reports of backends do not change weights",
    ),
}
"""`balance ...`, of HAProxy 2.6 and later."""

NGINX: Mapping[str, Match] = {
    "round_robin": Match("", "round_robin", weighs=False),
    "weighted_round_robin": Match("", "weighted_round_robin"),
    "random": Match("random", "random", weighs=False),
    "weighted_random": Match("random", "weighted_random"),
    "least_connections": Match("least_conn", "least_connections:load=before"),
    "p2c": Match("random two least_conn", "p2c:choices=2"),
    "ip_hash": Match("ip_hash", "ip_hash"),
    "consistent_hash": Match("hash {key} consistent", "consistent_hash"),
    "maglev": Match(
        "hash {key} consistent", "consistent_hash", lost="a ring takes the table's place"
    ),
    "rendezvous": Match(
        "hash {key} consistent", "consistent_hash", lost="a ring takes the scores' place"
    ),
    "peak_ewma": Match("random two least_conn", "p2c:choices=2", lost=LEFT),
    "least_response_time": Match("least_conn", "least_connections:load=before", lost=LEFT),
    "join_idle_queue": Match(
        "least_conn",
        "least_connections:load=before",
        lost="the least busy is taken where nobody is idle",
    ),
    "prequal": Match("random two least_conn", "p2c:choices=2", lost="nobody is probed"),
    "least_reported": Match(
        "least_conn",
        "least_connections:load=before",
        lost="reports of backends are not heard",
    ),
    "weighted_feedback": Match(
        "", "weighted_round_robin", lost="reports of backends do not change weights"
    ),
}
"""The method's line of an upstream block; none is the weighted round robin of the default."""

ENVOY: Mapping[str, Match] = {
    "round_robin": Match("ROUND_ROBIN", "round_robin", weighs=False),
    "weighted_round_robin": Match("ROUND_ROBIN", "weighted_round_robin", ORDER),
    "random": Match("RANDOM", "random", weighs=False),
    "weighted_random": Match("MAGLEV", "weighted_random", "a table without a key: drawn"),
    "least_connections": Match(
        "LEAST_REQUEST full scan",
        "least_connections",
        "with weights that differ it is a weighted round robin, weights divided by the load",
    ),
    "p2c": Match(
        "LEAST_REQUEST choice_count {choices}",
        "p2c:choices={choices},replacement=true",
        "with weights that differ it is a weighted round robin, weights divided by the load",
    ),
    "ip_hash": Match(
        "RING_HASH {key}",
        "consistent_hash",
        lost="clients of one network need not share a backend: whole addresses are hashed",
    ),
    "consistent_hash": Match(
        "RING_HASH {key}",
        "consistent_hash",
        "other points on the circle: each key has another home",
    ),
    "maglev": Match("MAGLEV {key}", "maglev", "other permutations: each key has another home"),
    "rendezvous": Match("MAGLEV {key}", "maglev", lost="a table takes the scores' place"),
    "peak_ewma": Match(
        "LEAST_REQUEST choice_count {choices}", "p2c:choices={choices},replacement=true", lost=LEFT
    ),
    "least_response_time": Match("LEAST_REQUEST full scan", "least_connections", lost=LEFT),
    "join_idle_queue": Match(
        "LEAST_REQUEST full scan",
        "least_connections",
        lost="the least busy is taken where nobody is idle",
    ),
    "prequal": Match(
        "LEAST_REQUEST choice_count 2", "p2c:choices=2,replacement=true", lost="nobody is probed"
    ),
    "least_reported": Match(
        "LEAST_REQUEST full scan", "least_connections", lost="reports of backends are not heard"
    ),
    "weighted_feedback": Match(
        "ROUND_ROBIN", "weighted_round_robin", lost="reports of backends do not change weights"
    ),
}
"""`lb_policy` of a cluster, and what goes with it."""

SEQUENCES: Mapping[str, Mapping[object, Match]] = {
    "haproxy": {"static": Match("static-rr", "weighted_round_robin:sequence=static")},
}
"""By the `sequence` of weighted_round_robin, where one of theirs has it."""
KINDS: Mapping[str, Mapping[str, Match]] = {"haproxy": HAPROXY, "nginx": NGINX, "envoy": ENVOY}
FALLBACK = "round_robin"
"""For algorithms of plug-ins."""


@dataclass(frozen=True)
class Chosen:
    """The match of one file's algorithm, with its settings in place."""

    match: Match
    method: str
    ours: str
    lost: str
    settings: Mapping[str, object]
    """Of the algorithm asked for."""

    @property
    def instead(self) -> str:
        """What is otherwise than asked for where `ours` is what theirs is."""
        name, settings = parse(self.ours)
        ours = spec(name).configure(settings)
        for setting, asked in self.settings.items():
            if setting in ("sequence", "load") and getattr(ours, setting, asked) != asked:
                return ODD[getattr(ours, setting)]
        return ""


def chosen(kind: str, algorithm: Algorithm) -> Chosen:
    """The nearest of `kind`; where clients stick, that of the algorithm that places newcomers."""
    from lb import strategies

    row = strategies.spec(algorithm.name)
    settings = {**vars(row.configure(algorithm.settings))}
    if row.nests:
        name, inner = parse(str(settings.get("inner", FALLBACK)))
        return chosen(kind, Algorithm(name=name, **inner))
    match = SEQUENCES.get(kind, {}).get(settings.get("sequence"))
    match = match or KINDS[kind].get(algorithm.name)
    lost = ""
    if match is None:
        match, lost = KINDS[kind][FALLBACK], f"{algorithm.name} is a plug-in; backends take turns"
    if kind == "nginx" and match.method == "random two least_conn":
        choices = settings.get("choices", 2)
        if choices == 1:
            match = NGINX["weighted_random"]
        elif choices != 2:
            lost = f"two are drawn, not {choices}"
        elif settings.get("replacement"):
            lost = "the two that are drawn are never the same"
    if kind == "envoy" and "{choices}" in match.method and settings.get("choices") == 1:
        match = ENVOY["weighted_random"]
    words = {"choices": settings.get("choices", 2), "key": KEYED}
    return Chosen(
        match,
        match.method.format(**words),
        match.ours.format(**words),
        match.lost or lost,
        settings,
    )
