"""The agenda: everything that falls due, once, in order, at the time it was set to last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lb.balancing.agenda import INFINITY, Agenda


class Note:
    """An item that writes down when it fell due."""

    def __init__(self, order: int, heard: list[tuple[int, float]]) -> None:
        self.order = order
        self.due_at = INFINITY
        self.heard = heard

    def fall_due(self, now: float) -> None:
        self.heard.append((self.order, now))


def test_the_earliest_is_next_and_ties_go_by_order() -> None:
    agenda, heard = Agenda(), []
    for order, at in ((3, 2.0), (1, 2.0), (2, 1.0)):
        agenda.set(Note(order, heard), at)
    assert agenda.next_at == 1.0
    agenda.wake(2.0)
    assert heard == [(2, 2.0), (1, 2.0), (3, 2.0)]
    assert agenda.next_at == INFINITY


def test_set_anew_it_falls_due_then_and_only_then() -> None:
    agenda, heard = Agenda(), []
    note = Note(0, heard)
    agenda.set(note, 1.0)
    agenda.set(note, 3.0)
    assert agenda.next_at == 3.0
    agenda.wake(2.0)
    assert heard == []
    agenda.wake(3.0)
    assert heard == [(0, 3.0)]


def test_set_to_infinity_it_never_falls_due() -> None:
    agenda, heard = Agenda(), []
    note = Note(0, heard)
    agenda.set(note, 1.0)
    agenda.set(note, INFINITY)
    assert agenda.next_at == INFINITY
    agenda.wake(9.0)
    assert heard == []


def test_what_sets_itself_anew_within_the_wake_is_heard_again_when_due() -> None:
    agenda = Agenda()
    times = []

    class Again(Note):
        def fall_due(self, now: float) -> None:
            times.append(now)
            agenda.set(self, now + 1.0)

    agenda.set(Again(0, []), 1.0)
    agenda.wake(1.0)
    agenda.wake(1.5)
    agenda.wake(2.0)
    assert times == [1.0, 2.0]


SETS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, 2.0, 3.0, INFINITY])))


@given(SETS, st.sampled_from([0.0, 1.5, 3.0]))
def test_exactly_those_whose_last_time_has_come_are_heard(
    sets: list[tuple[int, float]], now: float
) -> None:
    agenda, heard = Agenda(), []
    notes = [Note(order, heard) for order in range(5)]
    last: dict[int, float] = {}
    for order, at in sets:
        agenda.set(notes[order], at)
        last[order] = at
    due = sorted((at, order) for order, at in last.items() if at <= now)
    later = [at for at in last.values() if at > now]
    agenda.wake(now)
    assert heard == [(order, now) for _, order in due]
    assert agenda.next_at == min(later, default=INFINITY)
