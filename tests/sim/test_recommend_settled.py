"""One contender that was left open is looked at again, and each look has a part of the error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sim.analysis.objectives import Answer
from sim.crew import Crew
from sim.fit.recommend.aims import Aim
from sim.fit.recommend.contenders import Contender
from sim.fit.recommend.ranking import Ranking, settle
from sim.fit.recommend.recommendation import Recommendation, Row
from sim.fit.recommend.sampling import Observation, Sampler, Setting
from sim.fit.recommend.scores import Score, estimates
from sim.fit.recommend.selection import Selection
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

EACH = 200


class Drawn(Sampler):
    """Replications of independent latencies, in place of simulated ones."""

    looks: int = 0

    def observe(self, settings: Sequence[Setting], replications: int) -> list[list[Observation]]:
        (setting,) = settings
        mine = self._seen.setdefault(setting, [])
        rng = np.random.default_rng([7, len(mine)])
        for _ in range(replications - len(mine)):
            latency = rng.exponential(1.0, EACH)
            mine.append(Observation(latency, 0, float(EACH), (0.5,), (False,), EACH))
            self.spent += EACH
        self.looks += 1
        return [mine]


@pytest.mark.parametrize(("more", "looks"), [(5, 1), (30, 1), (40, 1), (150, 2), (300, 3), (4, 0)])
def test_looks_share_the_error(more: int, looks: int) -> None:
    there = scenario(serves(EXPONENTIAL), rate=0.5, run="requests = 200")
    setting = Setting(there, "random")
    sampler = Drawn(Crew(), (10 + more) * EACH)
    (seen,) = sampler.observe([setting], 10)
    bound = float(np.mean([it.latency.mean() for it in seen]))
    aim = Aim("mean", bound)
    unclear = Answer.UNCLEAR
    figures = estimates(there, seen, [aim])
    one = Contender("random", ())
    row = Row(one, figures, {"mean": unclear}, unclear, 1.0, 10, True, True)
    found = Recommendation(there, [aim], [row])
    selection = Selection(("random",), "random", {"random": Score(1.0, np.ones(10))}, 1)
    settle(found, Ranking(selection, found.rows, False, {"random": setting}), sampler, 1.0)
    (last,) = found.rows
    assert sampler.looks == 1 + looks
    level = 1 - 0.05 / (1 + looks)
    told = estimates(there, sampler.seen(setting), [aim], level)
    assert last.figures == told
    if looks:
        plain = estimates(there, sampler.seen(setting), [aim])
        assert told["mean"].half_width > 1.1 * plain["mean"].half_width
        assert told["failed"].high == pytest.approx(-np.log((1 - level) / 2) / sampler.spent)
