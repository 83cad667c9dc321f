"""A bounded part of the cross-check of each model, and that it would notice what is wrong."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from agreed.check import configurations, replay, search, verdict
from agreed.check import witness as witnesses
from agreed.check.models import MODELS, CasRegister, queue_fates, queues
from agreed.check.models.model import Model
from tests.check.cross_check import Mismatch, cross_check
from tests.check.drawn import draw
from tests.check.judged import holds
from tests.check.things import INITIAL, THINGS
from tests.check.told import told

HISTORIES = 150


@pytest.mark.parametrize("model", MODELS)
def test_the_search_agrees_with_the_definition(model: str) -> None:
    outcomes = cross_check(model, HISTORIES, seed=2024)
    assert outcomes[verdict.Outcome.VIOLATED] > 1
    assert outcomes[verdict.Outcome.HOLDS] > 60


def test_what_is_drawn_is_the_same_for_a_seed() -> None:
    for name in THINGS:
        assert draw(name, Random(7)) == draw(name, Random(7))


@pytest.mark.parametrize("model", ["cas-register", "set", "fifo-queue", "tree"])
def test_no_knob_changes_a_verdict(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many go on together, how far it looks ahead, when it tidies and when it gives way."""
    outcomes = cross_check(model, 60, seed=7)
    monkeypatch.setattr(search, "TOGETHER", 1)
    monkeypatch.setattr(search, "TIDY_AFTER", 1)
    monkeypatch.setattr(search, "LOOK_AHEAD", 1)
    monkeypatch.setattr(search, "MOST_ENDS", 1)
    monkeypatch.setattr(search, "QUANTUM", 1)
    monkeypatch.setattr(configurations, "QUANTUM", 1)
    monkeypatch.setattr(configurations, "MOST_MOVES", 1)
    assert cross_check(model, 60, seed=7) == outcomes


def always(answer: Any) -> Callable[..., Any]:
    return lambda *_: answer


def all_unanswered(_: Model[Any], operations: Sequence[Any]) -> frozenset[int]:
    return frozenset(each.index for each in operations if each.returned is None)


def forgetful(seen: dict[int, list[int]], key: int, counts: int, spare: int) -> bool:
    """Whoever was there, with whatever counts, makes all others superfluous."""
    new = key not in seen
    seen.setdefault(key, [counts])
    return new


def test_the_way_that_costs_more_may_be_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 can be had by one write or by two swaps; but later only the write will do."""
    text = """
        i 0-1 write 0
        a 2-  write 2
        b 2-  cas [0, 1]
        c 2-  cas [1, 2]
        r 3-4 read -> 2
        i 5-6 write 7
        r 7-8 read -> 7
        r 9-10 read -> 2
    """
    assert holds(told(text), CasRegister())
    monkeypatch.setattr(configurations, "is_new", forgetful)
    with pytest.raises(AssertionError):
        holds(told(text), CasRegister())


def too_early(*arguments: Any) -> queue_fates.Fates:
    """Who came out earlier entered earlier, even if both were asked for at once."""
    found = FATES(*arguments)
    return found._replace(before=list(range(len(found.before))))


def never_lost(*arguments: Any) -> queue_fates.Fates:
    return FATES(*arguments)._replace(lost=0)


def twice_is_once(name: str, initial: Any, operations: Sequence[Any], optional: Any) -> queue_fates.Fates:
    """Elements are taken for certain whatever else was done with them."""
    found = FATES(name, initial, operations, optional)
    taken = [each.result for each in operations if each.function == "dequeue" and each.result is not None]
    ranks = {element: rank for rank, element in enumerate(dict.fromkeys(taken))}
    return found._replace(ranks=ranks, before=[0] * len(ranks))


FATES = queue_fates.fates_of
ORDER = witnesses.order_of

MODEL = {name: type(make(INITIAL.get(name))) for name, make in MODELS.items()}

MUTANTS: list[tuple[str, str, Any, str, Any]] = [
    ("all may follow all", "cas-register", MODEL["cas-register"], "may_follow", always(True)),
    ("all may follow all", "set", MODEL["set"], "may_follow", always(True)),
    ("all may follow all", "queue", queue_fates.QueueForeseen, "may_follow", always(True)),
    ("all may follow all", "fifo-queue", queue_fates.FifoQueueForeseen, "may_follow", always(True)),
    ("all may follow all", "lock", MODEL["lock"], "may_follow", always(True)),
    ("all may follow all", "tree", MODEL["tree"], "may_follow", always(True)),
    ("all may follow all", "bank", MODEL["bank"], "may_follow", always(True)),
    ("all may follow all", "counter", MODEL["counter"], "may_follow", always(True)),
    ("all may follow all", "multi-register", MODEL["multi-register"], "may_follow", always(True)),
    ("the never answered never happened", "cas-register", MODEL["cas-register"], "idle", all_unanswered),
    ("the never answered never happened", "set", MODEL["set"], "idle", all_unanswered),
    ("the never answered never happened", "key-value", MODEL["key-value"], "idle", all_unanswered),
    ("the never answered never happened", "queue", MODEL["queue"], "idle", all_unanswered),
    ("nothing less is ever added", "counter", MODEL["counter"], "makes_possible", always(False)),
    ("nothing is ever put", "key-value", MODEL["key-value"], "makes_possible", always(False)),
    ("nothing is ever removed", "set", MODEL["set"], "makes_possible", always(False)),
    ("a text never grows", "key-value", MODEL["key-value"], "still_possible", always(False)),
    ("everything is always possible", "mutex", MODEL["mutex"], "always", always(True)),
    ("nothing changes anything", "cas-register", MODEL["cas-register"], "reads_only", always(True)),
    ("who came out first entered first", "fifo-queue", queues, "fates_of", too_early),
    ("no dequeue is lost", "fifo-queue", queues, "fates_of", never_lost),
    ("no dequeue is lost", "queue", queues, "fates_of", never_lost),
    ("what entered twice is certain", "fifo-queue", queues, "fates_of", twice_is_once),
    ("what entered twice is certain", "queue", queues, "fates_of", twice_is_once),
    ("an order from behind", "register", witnesses, "order_of", lambda *said: ORDER(*said)[::-1]),
    ("the replayer is never satisfied", "register", replay, "witness", always(["no"])),
]


@pytest.mark.parametrize(
    ("mutant", "model", "target", "name", "replacement"),
    MUTANTS,
    ids=[f"{model}: {mutant}" for mutant, model, *_ in MUTANTS],
)
def test_what_is_wrong_is_noticed(
    mutant: str, model: str, target: Any, name: str, replacement: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, name, replacement)
    with pytest.raises((Mismatch, AssertionError, IndexError, KeyError, StopIteration)):
        cross_check(model, 1_500, seed=11)
