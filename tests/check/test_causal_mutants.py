"""Broken checkers that must be found out: for each bad pattern one that does not see it, and mistakes in
between.

A mutant is found out if it gives one of the histories of the gallery another verdict than the theory does, or
proves a right verdict with a witness that does not explain it or a piece that can be explained.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agreed.check import causal as causal_module
from agreed.check import causal_order, registers, session_values, session_views
from agreed.check import sessions as sessions_module
from agreed.check.causal import Kind, causal
from agreed.check.causal_order import CausalOrder
from agreed.check.causal_replay import problem
from agreed.check.history import Status
from agreed.check.pieces import Contradiction
from agreed.check.registers import NOBODY, Number, Registers
from agreed.check.session_views import SessionView
from agreed.check.sessions import session_guarantees
from agreed.check.verdict import Outcome
from tests.check.litmus import GALLERY, parsed
from tests.check.weak_definitions import guarantees_kept

KINDS: tuple[Kind, ...] = ("CC", "CCv", "CM", "PRAM")

Mutation = Callable[[pytest.MonkeyPatch], None]


def found_out() -> set[str]:
    """The histories of the gallery of which something wrong is said."""
    names = set()
    for litmus in GALLERY:
        history = parsed(litmus.line)
        for kind in KINDS:
            try:
                verdict = causal(history, kind)
                right = verdict.outcome is (Outcome.HOLDS if litmus.allows(kind) else Outcome.VIOLATED)
                if not right or problem(history, kind, verdict):
                    names.add(litmus.name)
            except (AssertionError, IndexError):
                names.add(litmus.name)
    return names


def test_the_checker_itself_is_not_found_out() -> None:
    assert found_out() == set()


def blind_to(pattern: str) -> Mutation:
    """Takes the pattern for nothing."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        def blind(explain: Callable[[Registers], Any]) -> Callable[[Registers], Any]:
            def explained(read: Registers) -> Any:
                found = explain(read)
                return {} if isinstance(found, Contradiction) and found.name == pattern else found

            return explained

        for kind, explain in causal_module.EXPLAINERS.items():
            patch.setitem(causal_module.EXPLAINERS, kind, blind(explain))

    return mutate


PATTERNS = (
    "ThinAirRead",
    "CyclicCO",
    "WriteCOInitRead",
    "WriteCORead",
    "CyclicCF",
    "WriteHBInitRead",
    "CyclicHB",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_checker_that_is_blind_to_a_pattern_is_found_out(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind_to(pattern)(monkeypatch)
    assert found_out()


def reads_order_nothing(patch: pytest.MonkeyPatch) -> None:
    """Causal order is session order."""

    def count(self: CausalOrder, extra: object) -> list[tuple[int, ...]]:
        return [(0,) * len(self.registers.sessions)] * len(self.registers.operations)

    patch.setattr(CausalOrder, "_count", count)


def order_is_not_transitive(patch: pytest.MonkeyPatch) -> None:
    """What a writer knew is not handed on to its readers."""
    count = CausalOrder._count

    def only_direct(self: CausalOrder, extra: Any) -> list[tuple[int, ...]]:
        clocks = count(self, extra)
        read = self.registers
        for number, writer in enumerate(read.writer):
            direct = [0] * len(read.sessions)
            if writer >= 0:
                direct[read.session[writer]] = read.place[writer] + 1
            clocks[number] = tuple(direct)
        return clocks

    patch.setattr(CausalOrder, "_count", only_direct)


def only_the_first_session_that_writes(patch: pytest.MonkeyPatch) -> None:
    """Of the writes of a key, only those of one session are looked at."""
    arranged = registers._arranged

    def broken(*told: Any) -> Registers:
        read = arranged(*told)
        for key, of in read.writes.items():
            read.writes[key] = of[:1]
        return read

    patch.setattr(registers, "_arranged", broken)


def conflicts_of_the_same_session_only(patch: pytest.MonkeyPatch) -> None:
    """Two writes conflict only if one client made both."""
    conflicts = causal_module.conflicts

    def broken(order: CausalOrder) -> dict[tuple[Number, Number], Number]:
        session = order.registers.session
        return {pair: by for pair, by in conflicts(order).items() if session[pair[0]] == session[pair[1]]}

    patch.setattr(causal_module, "conflicts", broken)


def views_hand_nothing_on(patch: pytest.MonkeyPatch) -> None:
    """That a write must be earlier says nothing of what is before it."""
    lower = SessionView._lower

    def broken(self: SessionView, number: Number, level: int) -> None:
        if self._demanded:
            self._level[number] = min(self._level[number], level)
        else:
            lower(self, number, level)

    patch.setattr(SessionView, "_lower", broken)


def views_demand_nothing(patch: pytest.MonkeyPatch) -> None:
    """Writes that a read did not find may be anywhere."""
    patch.setattr(SessionView, "_demand", lambda self: None)


def views_of_all_know_what_others_read(patch: pytest.MonkeyPatch) -> None:
    """PRAM as if it were causal memory."""
    init = SessionView.__init__

    def broken(self: SessionView, read: Registers, session: int, every_read: bool) -> None:
        init(self, read, session, every_read=True)

    patch.setattr(SessionView, "__init__", broken)


def views_forget_what_others_read(patch: pytest.MonkeyPatch) -> None:
    """Causal memory as if it were PRAM, except for the causal patterns."""
    init = SessionView.__init__

    def broken(self: SessionView, read: Registers, session: int, every_read: bool) -> None:
        init(self, read, session, every_read=False)

    patch.setattr(SessionView, "__init__", broken)


def views_are_ordered_by_time(patch: pytest.MonkeyPatch) -> None:
    """The order is any that contains what is demanded, whatever the levels."""
    line = causal_order.line
    patch.setattr(session_views, "line", lambda read, reads, extra, rank: line(read, reads, extra))


def what_failed_has_happened(patch: pytest.MonkeyPatch) -> None:
    read_as = registers.registers

    def broken(operations: Any, initial: object = None) -> Registers:
        return read_as(
            [
                type(each)(each.index, each.process, each.function, each.argument, None, each.called,
                           each.returned, Status.OK, each.key)
                if each.status is Status.FAIL else each
                for each in operations
            ],
            initial,
        )  # fmt: skip

    patch.setattr(causal_module, "registers", broken)


def what_was_lost_never_happened(patch: pytest.MonkeyPatch) -> None:
    read_as = registers.registers

    def broken(operations: Any, initial: object = None) -> Registers:
        return read_as([each for each in operations if each.status is not Status.INFO], initial)

    patch.setattr(causal_module, "registers", broken)


def thin_air_is_the_beginning(patch: pytest.MonkeyPatch) -> None:
    """What nobody wrote was always there."""
    patch.setattr(registers, "NOBODY", registers.INITIAL)
    assert NOBODY != registers.NOBODY


def pieces_without_their_writers(patch: pytest.MonkeyPatch) -> None:
    """The verdict is right, but the piece proves nothing."""
    finding_of = causal_module.finding_of

    def broken(*told: Any) -> Any:
        finding = finding_of(*told)
        return type(finding)(name=finding.name, operations=finding.operations[1:], steps=finding.steps)

    patch.setattr(causal_module, "finding_of", broken)


MISTAKES: tuple[Mutation, ...] = (
    reads_order_nothing,
    order_is_not_transitive,
    only_the_first_session_that_writes,
    conflicts_of_the_same_session_only,
    views_hand_nothing_on,
    views_demand_nothing,
    views_of_all_know_what_others_read,
    views_forget_what_others_read,
    views_are_ordered_by_time,
    what_failed_has_happened,
    what_was_lost_never_happened,
    thin_air_is_the_beginning,
    pieces_without_their_writers,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_found_out(mistake: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    assert found_out()


@pytest.mark.parametrize("forgotten", session_values.GUARANTEES)
def test_a_judge_who_forgets_a_session_guarantee_is_found_out(
    forgotten: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_value = session_values.by_value
    monkeypatch.setattr(
        sessions_module,
        "by_value",
        lambda read, which: by_value(read, [each for each in which if each != forgotten]),
    )
    histories = [parsed(litmus.line) for litmus in GALLERY if not litmus.line.count("!")]
    assert any(
        session_guarantees(each).holds is not guarantees_kept(each.operations, session_values.GUARANTEES)
        for each in histories
    )
