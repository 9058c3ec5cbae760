"""How workers of a backend slow each other down: contention and coherency, by likelihood.

With few and many at work alike, the two can hardly be told from each other: what lies between two
ends is told by the likeliest coherency at each contention (profile likelihood).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lb.config import Usl
from sim.fit.calibrate.highest import golden
from sim.fit.calibrate.ranking import DISCIPLINES, TELLING, Scored, numbers
from sim.fit.calibrate.stays import Hypothesis, Stays

PRICE = 2 * TELLING
"""By how much likelier a slow-down must be than none, as a logarithm: where there is none it is by
1.4 at most in 32 recordings on paper, and by 4 in six live ones on a busy machine."""
HALVES, SECTIONS = 4, 5
"""Steps by which the ends of a contention are found, and its coherency for each that is tried."""
SIDE = 0.005
"""Of a coherency, beyond those that make up for a contention."""
LEAST = 0.001
"""Of a contention, beside no coherency."""


def slowed(stays: Stays, ranked: list[Scored]) -> tuple[list[Scored], Hypothesis | None]:
    """The best of `ranked`, or the best of either discipline whose workers slow each other down,
    where that is so much likelier that two more figures are worth it; best first. And what is
    likelier by less.
    """
    best = ranked[0]
    overhead = best.hypothesis.overhead
    if stays.most < 3:
        return [best], None
    first = [*(one.hypothesis for one in ranked[:2]), Hypothesis("fifo", stays.most, overhead)]
    if max(_roughly(stays, it).value for it in first) < best.value + PRICE / 3:
        return [best], None
    tried: list[Scored] = []
    for discipline in DISCIPLINES:
        several = [n for n in numbers(stays.most) if n > 1]
        rough = [_roughly(stays, Hypothesis(discipline, n, overhead)) for n in several]
        rough.sort(key=lambda one: -one.value)
        tried += [_with_usl(stays, one.hypothesis) for one in rough[:2]]
    tried.sort(key=_value, reverse=True)
    likeliest = tried[0]
    if likeliest.value < best.value + PRICE:
        return [best], likeliest.hypothesis if likeliest.value > best.value + TELLING else None
    return [it for it in tried if it.value > best.value + PRICE], None


def _value(one: Scored) -> float:
    return one.value


def _roughly(stays: Stays, hypothesis: Hypothesis) -> Scored:
    """The likeliest of three contentions."""
    tried = [replace(hypothesis, usl=Usl(contention=a)) for a in (0.03, 0.1, 0.3)]
    return max((Scored(stays.log_likelihood(it), it) for it in tried), key=_value)


def _with_usl(stays: Stays, hypothesis: Hypothesis) -> Scored:
    """The likeliest contention and coherency, by a search that halves its steps."""
    begin = hypothesis.usl or Usl(contention=0.05)
    a, b = begin.contention, begin.coherency
    step_a, step_b = 0.05, 0.01

    def at(a: float, b: float) -> float:
        return stays.log_likelihood(replace(hypothesis, usl=Usl(contention=a, coherency=b)))

    best = at(a, b)
    for _ in range(12):
        moved = False
        for x, y in (
            *((a + step_a, b), (a - step_a, b), (a, b + step_b), (a, b - step_b)),
            *((a + step_a, b - step_b), (a - step_a, b + step_b)),
        ):
            x, y = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
            if (x, y) == (a, b) or (x == 0.0 and y == 0.0):
                continue
            if (value := at(x, y)) > best:
                best, a, b, moved = value, x, y, True
                break
        if not moved:
            step_a, step_b = step_a / 2, step_b / 2
    return Scored(best, replace(hypothesis, usl=Usl(contention=a, coherency=b)))


def beside(stays: Stays, best: Scored) -> list[Scored]:
    """`best`, and other numbers of workers that are about as likely, each with what suits it: the
    fewest and the most are among them. Best first.
    """
    several = [n for n in numbers(stays.most) if n > 1]
    own = best.hypothesis.workers
    fewer, more = [n for n in reversed(several) if n < own], [n for n in several if n > own]
    found = [best, *_likely(stays, best, fewer), *_likely(stays, best, more)]
    return sorted(found, key=_value, reverse=True)


def _likely(stays: Stays, best: Scored, numbers: list[int]) -> Iterator[Scored]:
    """Of `numbers` as far as they are likely: steps that double until one is not, and halves of
    the last.
    """
    near, far, last = -1, len(numbers), best.hypothesis
    step = 1
    while far - near > 1:
        at = min(near + step, far - 1)
        one = _with_usl(stays, replace(last, workers=numbers[at]))
        if one.value < best.value - TELLING:
            far = at
        else:
            yield one
            near, last = at, one.hypothesis
        step = 2 * step if far == len(numbers) else max((far - near) // 2, 1)


def ends(stays: Stays, best: Scored) -> tuple[Hypothesis, Hypothesis]:
    """The likeliest of least contention and of most that are not too unlikely: steps that double
    until one is, and halves of the last.
    """
    own, usl = best.hypothesis, best.hypothesis.usl
    assert usl is not None
    found = []
    for sign in (-1.0, 1.0):
        inside, step = own, max(0.02 * usl.contention, 0.001)
        end = 0.0 if sign < 0 else 1.0
        near, far = usl.contention, usl.contention
        while near != end:
            far = min(max(usl.contention + sign * step, 0.0), 1.0)
            value, it = _slowed_by(stays, own, far)
            if value < best.value - TELLING:
                break
            near, inside, step = far, it, 2 * step
        for _ in range(HALVES if near != far else 0):
            middle = (near + far) / 2
            value, it = _slowed_by(stays, own, middle)
            if value < best.value - TELLING:
                far = middle
            else:
                near, inside = middle, it
        found.append(inside)
    return found[0], found[1]


def _slowed_by(stays: Stays, own: Hypothesis, contention: float) -> Scored:
    """The likeliest coherency for a contention near that of `own`: more of one is less of the
    other, so much that two at work, or all, are about as fast.
    """
    assert own.usl is not None

    def it(coherency: float) -> Hypothesis:
        # Nothing that slows down is no figure of a file.
        a = contention if contention or coherency else LEAST
        return replace(own, usl=Usl(contention=a, coherency=coherency))

    more = contention - own.usl.contention
    ends = sorted(own.usl.coherency - more / n for n in (2, own.workers))
    low, high = (min(max(end, 0.0), 1.0) for end in (ends[0] - SIDE, ends[1] + SIDE))
    value = golden(lambda b: stays.log_likelihood(it(b)), low, high, SECTIONS)
    return max(
        (Scored(stays.log_likelihood(it(b)), it(b)) for b in {low, value, own.usl.coherency}),
        key=_value,
    )
