"""A recommendation for a person: a table, and sentences that give reasons."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from lb.terminal import Terminal, counted, listed, plain
from sim.analysis.objectives import Answer
from sim.analysis.statistics import Estimate
from sim.fit.grid import shown
from sim.fit.recommend.aims import LATENCIES, Aim
from sim.fit.recommend.headroom import MOST, Headroom
from sim.fit.recommend.recommendation import WORDS, Recommendation, Row
from sim.fit.recommend.searching import own_algorithm
from sim.fit.recommend.selection import ERROR
from sim.fit.recommend.weights import Weights
from sim.fit.unidentified import CURE
from sim.output.recommended_notes import error_told, loads_told, number_told, own_error
from sim.output.words import milliseconds

MET = {
    Answer.MET: "is met",
    Answer.MISSED: "is missed",
    Answer.UNCLEAR: "cannot be told to be met",
}
FIRST, OTHERS = 12, 5
"""Contenders that are shown of the set, and outside of it."""
NAMED = 6
"""Of a long list."""
LITTLE = 0.001
"""A share below which no difference is told."""


def print_recommendation(found: Recommendation, terminal: Terminal) -> None:
    """The table of the best, and what follows."""
    shown = _shown(found)
    if shown:
        more = len(found.rows) - len(shown)
        left_out = f"; {more} more in --json" if more else ""
        terminal.table(title(found) + left_out, header(found), table_rows(found, shown))
    for sentence in sentences(found):
        terminal.say(sentence)
    texts: dict[str, list[str]] = {}
    for one in found.weights:
        if one.kept != "file":
            texts.setdefault(one.toml(found.scenario), []).append(one.algorithm)
    for text, names in texts.items():
        terminal.say(f"\n# weights for {' and '.join(names)}, to paste\n{text.rstrip()}")


def title(found: Recommendation) -> str:
    """Of the table."""
    own = ", the model's own error in them" if found.doubt.deviations else ""
    return (
        f"{', '.join(map(str, found.aims))}; 95 % intervals{own}; loads in times today's. * may "
        "be the best: compared on the same requests, it is behind by chance at most; simplest first"
    )


def header(found: Recommendation) -> list[str]:
    """Of its columns."""
    return ["algorithm", *map(_head, found.aims), "objective", "safe load", "one lost"]


def table_rows(found: Recommendation, shown: list[Row]) -> list[list[str]]:
    """One for each of `shown`."""
    return [
        [
            f"{'*' if row.in_set else ' '} {row.algorithm}",
            *(_figure(found, row, aim) for aim in found.aims),
            WORDS[row.answer],
            times(row.headroom),
            times(row.one_lost),
        ]
        for row in shown
    ]


def _shown(found: Recommendation) -> list[Row]:
    own = own_algorithm(found.scenario)
    others = [row for row in found.rows if not row.in_set and not row.same_as]
    kept = others[:OTHERS]
    kept += [row for row in others if row.algorithm == own and row not in kept]
    best = _differing(found)
    told_of = [row for row in best[FIRST:] if row is found.suggested or row.algorithm == own]
    return [*best[:FIRST], *told_of, *kept]


def _differing(found: Recommendation) -> list[Row]:
    """The set without those that are the same as a simpler one of it."""
    return [row for row in found.set if not row.same_as]


def _head(aim: Aim) -> str:
    if aim.metric in LATENCIES:
        return f"{aim.metric} in ms"
    return f"{aim.metric} in {'%' if aim.share else '1/s'}"


def told(estimate: Estimate, aim: Aim, *, steady: bool = True) -> str:
    """A figure in the unit of its column."""
    if not steady:
        return "grows"
    if aim.metric in LATENCIES:
        return milliseconds(estimate)
    scale = 100 if aim.share else 1
    if not math.isfinite(estimate.value):
        return "none"
    if estimate.low is None or estimate.high is None:
        return plain(estimate.value * scale, 3)
    low, high = estimate.low * scale, estimate.high * scale
    return f"{plain(estimate.value * scale, 3)} ({plain(low, 3)} to {plain(high, 3)})"


def _figure(found: Recommendation, row: Row, aim: Aim) -> str:
    """With the model's own error."""
    wide = found.doubt.widened(aim.metric, row.figures[aim.metric])
    return told(wide, aim, steady=row.steady)


def times(it: Headroom | None) -> str:
    """`1.34 (1.30 to 1.38)`."""
    if it is None:
        return "-"
    if it.factor >= MOST:
        return f"{MOST:g} or more"
    if not it.factor:
        return "none"
    return f"{it.factor:.2f} ({it.low:.2f} to {it.high:.2f})"


def sentences(found: Recommendation) -> Iterator[str]:
    """What is suggested and why, how much it bears, how few backends do, and what to mind."""
    yield suggestion(found)
    if found.rows:
        yield (
            f"In {100 * (1 - ERROR):g} of 100 such searches the best of the "
            f"{len(found.rows)} that were tried is in the set: "
            f"{listed([row.algorithm for row in _differing(found)], NAMED)}{_and_same(found)}."
        )
    yield from error_told(found)
    best = found.suggested or found.nearest
    if best is not None:
        yield from _bears(best)
    yield from loads_told(found)
    yield from _backends(found)
    for one in found.weights:
        yield _gain(one, found.aims)
    yield from _ends(found)
    yield from remarks(found)


def suggestion(found: Recommendation) -> str:
    """The first sentence."""
    best, nearest = found.suggested, found.nearest
    goal = " and ".join(map(str, found.aims))
    if found.overloaded:
        load = found.scenario.utilisation
        if found.answer is Answer.UNCLEAR:
            return (
                f"Cannot tell: by the file {load:.3g} of capacity is offered, and lines grow for "
                f"ever; but that hangs on {found.hangs_on}: {CURE}."
            )
        return f"Nothing meets {goal}: {load:.3g} of capacity is offered, and lines grow for ever."
    if best is None:
        if nearest is None:
            return "Nothing is known yet."
        here = " as the file has it" if found.differs else ""
        near = f"Nearest is {nearest.algorithm}: {figures(found, nearest)}"
        return f"Nothing meets {goal}{here}. {near}."
    sure = "meets" if best.answer is Answer.MET else "may meet"
    count = len(_differing(found))
    if count == 1:
        why = f"the best of {len(found.rows)} that were tried"
    else:
        able = [row for row in _differing(found) if row.answer is best.answer]
        kind = "those among " if len(able) < count else ""
        why = f"the simplest of {kind}the {count} that cannot be told from the best"
        regret = found.regret
        if regret is not None and regret < 1:
            why += f", none of which is more than {plain(100 * max(regret, LITTLE), 2)} % better"
    end = "" if best.answer is Answer.MET else "; a larger --budget would tell"
    if found.within_error:
        end = f"; that cannot be told within {own_error(found)}"
    return f"Suggested: {best.algorithm}. It {sure} {goal} ({figures(found, best)}), {why}{end}."


def figures(found: Recommendation, row: Row) -> str:
    """`p99 233 ± 4 ms`."""
    parts = []
    for aim in found.aims:
        text = _figure(found, row, aim)
        unit = "ms" if aim.metric in LATENCIES else "%" if aim.share else "/s"
        words = {"-": "cannot be told yet", "grows": "grows for ever", "none": "is of no request"}
        parts.append(f"{aim.metric} {words.get(text, f'{text} {unit}')}")
    return ", ".join(parts)


def _and_same(found: Recommendation) -> str:
    count = sum(bool(row.same_as) for row in found.set)
    if not count:
        return ""
    return f"; {counted(count, 'further setting')} of these change{'s' * (count == 1)} nothing"


def _bears(row: Row) -> Iterator[str]:
    parts = []
    for it in (row.headroom, row.one_lost):
        if it is None:
            continue
        where = f" with {it.lost} lost, the worst to lose," if it.lost else ""
        if it.factor >= MOST:
            parts.append(f"{where} up to {MOST:g} times today's traffic or more")
        elif not it.factor:
            parts.append(f"{where} at no load")
        else:
            parts.append(
                f"{where} up to {it.factor:.3g} times today's traffic ({it.low:.3g} to "
                f"{it.high:.3g})"
            )
    if parts:
        yield f"Under {row.algorithm} the objective holds{', and'.join(parts)}."


def _backends(found: Recommendation) -> Iterator[str]:
    there = len(found.scenario.backends)
    all_there = number_told(found.number)
    one_lost = number_told(found.number_one_lost)
    if all_there:
        lost = f"; with any one of them lost, {one_lost}" if one_lost else ""
        again = f"of the {there} of the file again and again"
        guess = ", by the file" if found.hangs_on else ""
        yield f"Backends that meet it{guess}, {again}: {all_there}{lost}."


def _gain(one: Weights, aims: list[Aim]) -> str:
    weights = " : ".join(f"{weight:g}" for weight in one.weights)
    if one.kept == "file":
        return f"Weights for {one.algorithm}: no others are surely better than the file's."
    what = {
        "proportional": "in proportion to capacity",
        "rule": "of the square-root rule",
        "found": "found by search",
    }[one.kept]
    parts = []
    for name, gain in one.gains.items():
        over = "the file's" if name == "file" else "proportional ones"
        if not math.isfinite(one.scores[name]):
            parts.append(f"{over} do not keep up")
        elif gain.low is None or gain.high is None or not one.distinguishable(name):
            parts.append(f"not to be told from {over}")
        else:
            parts.append(
                f"{plain(100 * gain.value, 2)} % better than {over} ("
                f"{plain(100 * gain.low, 2)} to {plain(100 * min(gain.high, 1.0), 2)})"
            )
    used = one.scores[one.kept]
    if len(aims) == 1 and aims[0].metric in LATENCIES and math.isfinite(used):
        parts.insert(0, f"{aims[0].metric} about {used * aims[0].bound * 1e3:.3g} ms")
    exact = ", which is exact here" if one.exact else ""
    told = f"; {'; '.join(parts)}" if parts else ""
    return f"Weights for {one.algorithm}, {what}{exact}: {weights}{told}."


def _ends(found: Recommendation) -> Iterator[str]:
    best = found.suggested or found.nearest
    for it in found.ends:
        where = ", ".join(f"{key} = {shown(value)}" for key, value in it.settings.items())
        if not it.best:
            yield f"If {where}: lines grow for ever, whatever the algorithm."
            continue
        answer = "" if it.answer is None else f", and the objective {MET[it.answer]}"
        under = f" under {best.algorithm}" if best is not None and answer else ""
        yield f"If {where}: best {listed(list(it.best), NAMED)}{answer}{under}."
    if not found.ends:
        return
    if found.differs:
        yield "The answer depends on what the calibration could not identify."
    elif found.suggested is None:
        yield "So the nearest misses it too over what the calibration could not identify."
    elif found.answer is Answer.MET:
        yield (
            f"So {found.suggested.algorithm} is among the best, and meets the objective, whatever "
            "is true of what the calibration could not identify."
        )
    else:
        yield (
            f"{found.suggested.algorithm} is among the best there too, and there too it cannot be "
            "told whether the objective is met."
        )


def remarks(found: Recommendation) -> Iterator[str]:
    """What to mind."""
    scenario, best = found.scenario, found.suggested
    if best is not None and best.contender.asks:
        able = [row for row in found.rows if not row.contender.asks]
        plain = min(able, key=lambda row: row.used, default=None)
        than = f"; the best that asks for nothing is {plain.algorithm}" if plain else ""
        told_of = f" ({figures(found, plain)})" if plain else ""
        yield f"Note: for {best.algorithm} backends must {best.contender.asks}{than}{told_of}."
    if len({row.weight for row in scenario.backends}) > 1:
        first: dict[str, Row] = {}
        for row in found.rows:
            first.setdefault(row.algorithm.partition(":")[0], row)
        heedless = [name for name, row in first.items() if not row.contender.heeds_weights]
        if heedless:
            yield f"Note: {listed(heedless, NAMED)} ignore{'s' * (len(heedless) == 1)} the weights."
    own = next((r for r in found.rows if r.algorithm == own_algorithm(scenario)), None)
    if best is not None and own is not None and own is not best:
        if own.in_set and own.answer is best.answer:
            yield f"The file's own {own.algorithm} is in the set: a change would gain nothing sure."
        if own.contender.keyed and not best.contender.keyed:
            yield f"Note: {own.algorithm} keeps keys together, and {best.algorithm} does not."
    failing = best is not None and best.figures["failed"].value > 0
    if best is not None and failing and "failed" not in {aim.metric for aim in found.aims}:
        text = told(best.figures["failed"], Aim("failed", 1.0))
        yield f"Note: {text} % of the requests fail, which latencies say nothing of."
    reasons = defaultdict(list)
    for name, why in found.left_out:
        reasons[why].append(name)
    for why, names_of in reasons.items():
        yield f"Left out, {why}: {listed(names_of, NAMED)}."


def budget_told(found: Recommendation) -> str:
    """The last line: what was spent."""
    contenders = counted(str(len(found.rows) or "no"), "contender")
    over = not found.timed and found.spent > 1.2 * found.budget
    why = ", more than the budget, for one round of all of them takes so many" if over else ""
    spent = f"{found.spent / 1e6:.3g} million requests"
    return f"{contenders}, {spent}, seed {found.scenario.run.seed}{why}."
