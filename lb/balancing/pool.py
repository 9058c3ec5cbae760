"""Who may be picked: membership, and the tiers whose strategies index it.

Backends of one rank (priority, zone) are a tier; who may be picked in each, and for how much of
the traffic, is said in panic.py and spill.py. A balancer that is to use only some of many backends
turns to the others when it can use none of its own, or so few that it would be in panic.

Nobody else speaks to a strategy, or changes what strategies see: in flight and effective weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lb.balancing.backend import LATENCY_GAIN, UNLIMITED, Backend
from lb.balancing.health import Health
from lb.balancing.panic import Part, parts
from lb.balancing.picks import Explained, Pick
from lb.balancing.settings import State
from lb.balancing.setup import Setup
from lb.balancing.spill import Spill
from lb.balancing.subset import subset
from lb.balancing.tiers import Rank, Tier, by_order
from lb.strategies import (
    LoadReport,
    Outcome,
    Random,
    Strategy,
    create,
    spec,
)
from lb.strategies.parts.heedless import Index

OK = Outcome.OK


class Pool:
    """All backends in configured order, in tiers.

    While there is one tier its strategy is the `index`, and `probes` (whom to ask for their load),
    `told` (`reported`, for members) and `probed` (the same while nobody is `listening`) are the
    strategy's own. They are other ones after whatever may have changed that: `swap`, and all that
    happens to members and policies.
    """

    index: Index[Backend]

    def __init__(self, setup: Setup, rng: Random, drained: Callable[[Backend], None]) -> None:
        """Empty. `drained` hears of backends that drain and have nothing in flight any more.

        Raises UsageError for an unknown algorithm or parameter.
        """
        self.backends: list[Backend] = []
        self.all_down = True
        """Nobody is usable by its own merit, though some may be in use for want of others."""
        self._setup = setup
        self._rng, self._drained = rng, drained
        self._tiers: dict[Rank, Tier] = {(0, False): Tier(self._strategy())}  # in order
        self._places: dict[Backend, Tier] = {}
        self._ranked: dict[Rank, list[Backend]] = {}  # all members
        self._own = self._ranked  # those of them that this balancer is to use
        self._draining: set[Backend] = set()
        self._awaited: set[Backend] = set()  # of those who drain, whose last has not ended yet
        self._heard: Callable[[Pick], None] | None = None
        self._bind()

    def _strategy(self) -> Strategy[Backend]:
        return create(self._setup.algorithm, self._rng, self._setup.settings)

    def _bind(self) -> None:
        # Looked up once, asked for every call.
        tiers = list(self._tiers.values())
        if len(tiers) == 1:
            self.index = tiers[0].strategy
            self._hears_starts, self._hears_ends = tiers[0].hears_starts, tiers[0].hears_ends
        else:
            keyed = "key" in spec(self._setup.algorithm).needs
            self.index = Spill(tiers, self._places, self._rng, keyed)
            self._hears_starts = self._hears_ends = True
        if self._heard is not None:
            self.index = Explained(self.index, self._rng, self._heard)
        self._probers = [it.prober for it in tiers if it.prober is not None]
        asker = tiers[0].prober if len(tiers) == 1 else None
        self.probed = self._probed_in_tier if asker is None else asker.probed
        self.probes = self._probes_of_tiers if asker is None else asker.probes
        hearer = tiers[0].fed if asker is None and len(tiers) == 1 else None
        self.told = self.reported if hearer is None else hearer.fed
        self.listening = any(it.fed is not None for it in tiers)
        """Whether the algorithm goes by load reports."""

    def explain(self, heard: Callable[[Pick], None] | None) -> None:
        """From now on tell `heard` why each pick fell as it did; None: nobody. See picks.py."""
        self._heard = heard
        self._bind()

    def __repr__(self) -> str:
        up = sum(backend.healthy for backend in self.backends)
        active = sum(backend.active for backend in self.backends)
        return f"<Pool {up} up, {len(self.backends) - up} not, {active} active>"

    # --- attempts

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[Backend] = ()) -> Backend | None:
        """As a strategy does."""
        return self.index.pick(now, key, avoid)

    def take(self, backend: Backend, now: float) -> None:
        """An attempt goes to a backend that was picked."""
        backend.picked += 1
        active = backend.active = backend.active + 1
        if self._hears_starts:
            self.index.started(backend, now)
        if active >= backend.limit:
            self._places[backend].strategy.block(backend, now)

    def place(self, now: float, key: bytes) -> Backend | None:
        """As `pick` and `take`, for an attempt that avoids nobody."""
        backend = self.index.pick(now, key, ())
        if backend is not None:
            backend.picked += 1
            active = backend.active = backend.active + 1
            if self._hears_starts:
                self.index.started(backend, now)
            if active >= backend.limit:
                self._places[backend].strategy.block(backend, now)
        return backend

    def settle(self, backend: Backend, now: float, latency: float) -> bool:
        """As `give`, of an attempt with a good answer, which counts as the backend's."""
        backend.succeeded += 1
        old = backend.response_time
        backend.response_time = latency if old is None else old + LATENCY_GAIN * (latency - old)
        before = backend.active
        backend.active = before - 1
        if self._hears_ends:
            self.index.finished(backend, now, OK, latency)
        if self._awaited:
            self._perhaps_drained(backend)
        if before != backend.limit or not self._indexed(backend):
            return False
        self._places[backend].strategy.unblock(backend, now)
        return True

    def give(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> bool:
        """An attempt is over; True when it made room where there was none."""
        before = backend.active
        backend.active = before - 1
        if self._hears_ends:
            self.index.finished(backend, now, outcome, latency)
        if self._awaited:
            self._perhaps_drained(backend)
        if before != backend.limit or not self._indexed(backend):
            return False
        self._places[backend].strategy.unblock(backend, now)
        return True

    def _perhaps_drained(self, backend: Backend) -> None:
        """An attempt is over, while the last ones of some that drain are awaited."""
        if backend in self._awaited and not backend.active:
            self._awaited.discard(backend)
            self._drained(backend)

    # --- members

    @property
    def empty(self) -> bool:
        """Nobody may be picked, not even behind a limit."""
        return not any(tier.usable for tier in self._tiers.values())

    @property
    def static(self) -> bool:
        """Whether picks are the same whatever is in flight, and nobody waits for an end.

        Ends may be told late then, as long as those of one backend come in their order.
        """
        return (
            len(self._tiers) == 1
            and not (self._hears_starts or self._hears_ends or self._awaited)
            and spec(self._setup.algorithm).static
            and all(backend.limit == UNLIMITED for backend in self.backends)
        )

    @property
    def panic(self) -> bool:
        """Some tier is in panic."""
        return any(tier.desperate for tier in self._tiers.values())

    def has_another(self, backend: Backend) -> bool:
        """Whether anybody else may be picked."""
        return sum(len(tier.usable) for tier in self._tiers.values()) > backend.usable

    def add(self, backends: Sequence[Backend], now: float) -> None:
        """More backends, last in order."""
        self.backends.extend(backends)
        self._share_out(now)

    def remove(self, backend: Backend, now: float) -> None:
        """A backend less; what is in flight there ends as it would."""
        self.backends.remove(backend)
        self._share_out(now)

    def adopt(self, setup: Setup, now: float) -> None:
        """Other policies."""
        self._setup = setup
        self._share_out(now)

    def rank(self, backend: Backend, priority: int, zone: str, now: float) -> None:
        """Another place among the tiers."""
        if (priority, zone) != (backend.priority, backend.zone):
            backend.priority, backend.zone = priority, zone
            self._share_out(now)

    def _share_out(self, now: float) -> None:
        """Members or ranks may have changed: each tier has its own, and so has this balancer."""
        own = subset(self.backends, self._setup.subset)
        self._ranked = self._by_rank(self.backends)
        self._own = self._ranked if len(own) == len(self.backends) else self._by_rank(own)
        ranks = sorted(self._ranked) or [next(iter(self._tiers))]
        before = self._tiers
        self._tiers = {rank: before.get(rank) or Tier(self._strategy()) for rank in ranks}
        self._places = {
            it: self._tiers[rank] for rank, members in self._ranked.items() for it in members
        }
        for tier in before.values():
            if tier not in self._tiers.values():
                tier.dismiss(set(), set(), now)
        self.refresh(now)

    def _by_rank(self, backends: Sequence[Backend]) -> dict[Rank, list[Backend]]:
        ranked: dict[Rank, list[Backend]] = {}
        rank_of = self._setup.tiers.rank
        for backend in backends:
            ranked.setdefault(rank_of(backend), []).append(backend)
        return ranked

    def refresh(self, now: float) -> None:
        """Call when anyone's standing may have changed."""
        plan = self._plan(self._own)
        if self._own is not self._ranked and (
            not any(part.usable for part in plan) or any(part.desperate for part in plan)
        ):
            plan = self._plan(self._ranked)
        wanted = State.UP
        others = [it for it in self.backends if it.draining or it.state is not wanted]
        draining = {it for it in others if it.drains}
        self._settle(plan, draining, now)
        begun, self._draining = draining - self._draining, draining
        self._awaited = {it for it in self._awaited | begun if it in draining and it.active}
        self._bind()
        for backend in by_order(begun - self._awaited):
            self._drained(backend)

    def _plan(self, ranked: Mapping[Rank, Sequence[Backend]]) -> list[Part]:
        """What becomes of each tier when only these are in use."""
        factor, threshold = self._setup.tiers.overprovisioning, self._setup.panic.threshold
        return parts([ranked.get(rank, ()) for rank in self._tiers], factor, threshold)

    def _settle(self, plan: Sequence[Part], draining: set[Backend], now: float) -> None:
        """Tell the strategies who leaves, then who joins."""
        tiers = list(self._tiers.values())
        usable = [set(part.usable) for part in plan]
        lingering: list[set[Backend]] = [set() for _ in plan]
        for backend in draining:
            if not backend.ejected and backend.health.state is not Health.DOWN:
                lingering[tiers.index(self._places[backend])].add(backend)
        for tier, those, others in zip(tiers, usable, lingering, strict=True):
            tier.dismiss(those, others, now)
        for tier, part, those, others in zip(tiers, plan, usable, lingering, strict=True):
            tier.share = part.share
            tier.admit(those, others, part.desperate, now)
        self.all_down = all(len(part.desperate) == len(part.usable) for part in plan)

    # --- what strategies see

    def reweigh(self, backend: Backend, weight: float, now: float) -> None:
        """Another effective weight."""
        if weight != backend.weight:
            backend.weight = weight
            if backend.usable:
                self._places[backend].strategy.reweigh(backend, now)

    def limit(self, backend: Backend, most: int | None, now: float) -> None:
        """Another limit of what may be in flight; None is none."""
        was_full = backend.active >= backend.limit
        backend.limit = most or UNLIMITED
        is_full = backend.active >= backend.limit
        if self._indexed(backend) and is_full != was_full:
            strategy = self._places[backend].strategy
            if is_full:
                strategy.block(backend, now)
            else:
                strategy.unblock(backend, now)

    def _indexed(self, backend: Backend) -> bool:
        """Whether a strategy may pick it, if only for those who are at home there."""
        return backend.usable or (
            backend in self._draining and backend in self._places[backend].lingering
        )

    def swap(self, algorithm: str, settings: Mapping[str, object], now: float) -> None:
        """Exchange the algorithm; the backends keep everything they know.

        Raises UsageError for an unknown algorithm or parameter, and changes nothing then.
        """
        strategies = [create(algorithm, self._rng, settings) for _ in self._tiers]
        self._setup = replace(self._setup, algorithm=algorithm, settings=settings)
        for tier, strategy in zip(self._tiers.values(), strategies, strict=True):
            tier.swap(strategy, now)
        self.refresh(now)

    # --- what backends say of their load

    @property
    def probing(self) -> bool:
        """Whether the algorithm asks backends for their load."""
        return bool(self._probers)

    def _probes_of_tiers(self, now: float) -> Sequence[Backend]:
        return [backend for it in self._probers for backend in it.probes(now)]

    def _probed_in_tier(self, backend: Backend, now: float, in_flight: int, latency: float) -> None:
        tier = self._places.get(backend)
        if tier is not None and tier.prober is not None:
            tier.prober.probed(backend, now, in_flight, latency)

    def reported(self, backend: Backend, now: float, report: LoadReport) -> None:
        """A backend has said how loaded it is."""
        if backend in self._places:
            self._places[backend].reported(backend, now, report)
