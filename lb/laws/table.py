"""Which laws there are, whom each binds, and why others are exempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lb.laws import cost, latency, membership, reasons, reports, shares
from lb.laws.kit import Seeded
from lb.strategies.spec import Spec


@dataclass(frozen=True)
class Law:
    """One law: raises Broken when a row, at its settings, does not keep it."""

    says: str
    check: Callable[[Spec, Seeded], None]
    binds: Callable[[Spec], bool] = lambda _: True
    unless: str = ""
    """Why others are exempt."""


def _claims(what: str) -> Callable[[Spec], bool]:
    return lambda row: what in row.claims


LAWS = (
    Law("a pick is usable, and there is one whenever anyone is", membership.never_a_stranger),
    Law("avoided backends are picked only when no other is left", membership.avoid_is_honoured),
    Law("the same seed and events give the same picks", membership.a_seed_settles_everything),
    Law("the order of joining never matters", membership.joining_order_is_nothing),
    Law("nothing is drawn while one backend is usable", membership.one_usable_needs_no_draw),
    Law(
        "a departed backend is forgotten, its late calls are harmless",
        membership.the_departed_are_forgotten,
    ),
    Law("what is explained is what is picked", reasons.what_is_explained_is_picked),
    Law(
        "the cost of a pick grows with the logarithm at most",
        cost.cost_grows_with_the_logarithm_at_most,
        lambda row: not row.cost.startswith("O(n)"),
        "declared O(n)",
    ),
    Law(
        "picks of an idle service are in proportion to weight",
        shares.shares_follow_weights,
        _claims("shares"),
        "claims no shares by weight",
    ),
    Law(
        "every window of one period has exact shares",
        shares.every_window_is_exact,
        lambda row: "exact_shares" in row.claims and not shares.is_inexact(row),
        "claims no exact shares",
    ),
    Law(
        "of those drawn the least loaded, every draw equally likely",
        shares.every_draw_is_equally_likely,
        _claims("two_choices"),
        "does not choose among a few",
    ),
    Law(
        "a backend that was slow once is picked again",
        latency.nobody_starves,
        lambda row: bool(row.needs & {"latency", "probes"}),
        "latency decides nothing",
    ),
    Law(
        "a backend that fails fast gets no more than its share",
        latency.failing_fast_attracts_nobody,
        _claims("failure_penalty"),
        "claims no penalty for failures",
    ),
    Law(
        "backends that report their utilisation come to be as busy as each other",
        reports.reports_even_out_the_load,
        lambda row: "reports" in row.needs,
        "goes by no reports",
    ),
    Law(
        "backends that stop reporting are picked on",
        reports.silence_loses_nobody,
        lambda row: "reports" in row.needs,
        "goes by no reports",
    ),
)
