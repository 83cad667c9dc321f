"""Rules of recovery without a disk (section 4.3, and Michael et al. 2017).  See `lone.py`."""
from __future__ import annotations

from agreed.consensus.machine import Effects
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    GetState,
    PrepareOk,
    Recovery,
    RecoveryResponse,
    StartViewChange,
)
from tests.consensus.lone import told
from tests.consensus.vr import mutants
from tests.consensus.vr.lone import Factory, Lone, log_of, prepare, rule


def lost(factory: Factory, name: str = "n1") -> Lone:
    """A replica that has just come back with nothing."""
    lone = Lone(factory, name, recovery_without_disk=True)
    lone.asked = lone.do()  # type: ignore[attr-defined]
    return lone


def answer(
    request: Recovery, view: int, last: int = 0, crashes: tuple[int, ...] = (0, 0, 0)
) -> RecoveryResponse:
    return RecoveryResponse(request.nonce, request.counter, view, last, crashes)


def question(effects: Effects) -> Recovery:
    first, second = told(effects, Recovery)
    assert first == second
    return first


def counted(lone: Lone, crashes: tuple[int, ...] = (0, 0, 0)) -> Recovery:
    """The first round is over; the question of the second."""
    request = question(lone.asked)  # type: ignore[attr-defined]
    assert request.counter == 0
    lone.hear("n2", answer(request, 2, crashes=crashes))
    return question(lone.hear("n3", answer(request, 2, last=3, crashes=crashes)))


@rule(mutants.FoundsTheClusterAgain)
def an_empty_memory_is_no_first_start(factory: Factory) -> None:
    lone = lost(factory)
    assert lone.vr.role.name == "recovering"
    question(lone.asked)  # type: ignore[attr-defined]


@rule()
def only_who_is_told_so_founds(factory: Factory) -> None:
    lone = Lone(factory, "n2", recovery_without_disk=True, founding=True)
    assert lone.vr.role.name == "backup"
    lone.leaves_for(1, "n3")
    lone.hear("n3", DoViewChange(1, 0, 0, 0, 0, 0, [], (0, 0, 0)))
    assert lone.vr.leads
    assert lone.do().save is None, "nothing is ever saved"


@rule()
def who_has_forgotten_is_back_with_the_whole_log_of_the_primary(factory: Factory) -> None:
    lone = lost(factory)
    request = counted(lone, crashes=(4, 0, 0))
    assert request.counter == 5, "one more than anybody knew"
    lone.hear("n2", answer(request, 2))
    effects = lone.hear("n3", answer(request, 2, last=3))
    assert told(effects, GetState) == [GetState(2, 0)]
    lone.hear("n3", prepare(2, "1@1 2@2"))
    assert lone.vr.role.name == "recovering"
    effects = lone.hear("n3", prepare(2, "3@2"))
    assert (lone.vr.role.name, log_of(lone)) == ("backup", "1@1 2@2 3@2")
    assert told(effects, PrepareOk) == [PrepareOk(2, 1, 3)]


@rule(mutants.RecoversWithoutThePrimary)
def nobody_but_the_newest_primary_knows_what_was_acknowledged(factory: Factory) -> None:
    lone = lost(factory)
    request = counted(lone)
    lone.hear("n2", answer(request, 2))
    effects = lone.hear("n3", answer(request, 1))
    assert lone.vr.role.name == "recovering"
    assert told(effects, GetState) == []


@rule(mutants.VotesWhileItRecovers)
def who_is_recovering_takes_part_in_nothing(factory: Factory) -> None:
    lone = lost(factory)
    effects = lone.hear("n2", StartViewChange(3, 2), DoViewChange(3, 2, 3, 2, 0, 0, [], (0, 0, 0)))
    assert (lone.vr.role.name, effects.send) == ("recovering", [])
    effects = lone.hear("n3", prepare(2, "1@2"), Commit(2, 1, 1, 1))
    assert (log_of(lone), effects.send) == ("", [])


@rule(mutants.AnswersAlthoughNotNormal)
def who_is_recovering_answers_nobody_who_recovers(factory: Factory) -> None:
    assert lost(factory).hear("n2", Recovery(1, 0)).send == []


@rule(mutants.AlwaysTheSameNonce)
def an_answer_to_an_earlier_life_does_not_count(factory: Factory) -> None:
    lone = lost(factory)
    old = question(lone.asked)  # type: ignore[attr-defined]
    lone.restart()
    lone.do()
    lone.hear("n2", answer(old, 2))
    effects = lone.hear("n3", answer(old, 2, last=3))
    assert told(effects, Recovery) == [], "the second round has not begun"


@rule()
def an_attempt_that_a_view_change_overtakes_begins_anew(factory: Factory) -> None:
    lone = lost(factory)
    request = counted(lone)
    lone.hear("n2", answer(request, 2))
    lone.hear("n3", answer(request, 2, last=3))
    again = question(lone.hear("n2", Commit(4, 0, 1, 5)))
    assert again.nonce != request.nonce
    assert again.counter == 0


@rule(mutants.ForgetsCrashes)
def a_do_view_change_that_its_sender_has_forgotten_does_not_count(factory: Factory) -> None:
    """n1 says that it has left view 1, crashes, comes back in view 1 with the help of n2 and n3, and
    acknowledges more there.  Then its first word arrives."""
    lone = Lone(factory, "n3", recovery_without_disk=True, founding=True)
    lone.vr.settled = lone.vr.view = 1
    lone.vr.ballot = type(lone.vr.ballot)(1, None, 1)
    assert len(told(lone.hear("n1", Recovery(77, 1)), RecoveryResponse)) == 1
    lone.leaves_for(2, "n2")
    lone.hear("n1", DoViewChange(2, 1, 0, 0, 0, 0, [], (0, 0, 0)))
    assert not lone.vr.leads
    lone.hear("n1", DoViewChange(2, 1, 0, 0, 0, 0, [], (1, 0, 0)))
    assert lone.vr.leads
