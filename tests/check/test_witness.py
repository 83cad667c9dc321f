"""From the steps of a search to an order that anybody can follow."""
from __future__ import annotations

from agreed.check import linearizable
from agreed.check.history import History
from agreed.check.models import AnyModel, Counter, FifoQueue, Queue, Register
from agreed.check.verdict import Witness
from agreed.check.witness import states_along
from tests.check.judged import judged
from tests.check.told import told


def order(text: str, model: AnyModel) -> Witness:
    (witness,) = judged(told(text), model).witnesses
    return witness


def test_states_are_told_after_each_step() -> None:
    witness = order("a 0-1 add 2 \n b 2-3 add 3 \n c 4-5 read -> 5", Counter())
    assert (list(witness.order), list(witness.states)) == ([0, 1, 2], ["2", "5", "5"])


def test_of_the_never_answered_the_first_called_are_used_first() -> None:
    text = "a 0- add 1 \n b 1- add 1 \n c 2- add 1 \n d 5-6 read -> 1 \n d 7-8 read -> 2"
    assert list(order(text, Counter()).order) == [0, 3, 1, 4]


def test_a_reading_stands_after_the_change_that_made_it_possible() -> None:
    text = "r 0-9 read -> 1 \n w 1-8 write 1 \n s 2-7 read -> None"
    assert list(order(text, Register()).order) == [2, 1, 0]


def test_what_returned_after_all_that_matters_comes_last() -> None:
    text = "a 0-1 write 1 \n b 2-3 read -> 1 \n c 4-9 write 2 \n d 5-8 write 3"
    assert list(order(text, Register()).order) == [0, 1, 3, 2]


def test_a_lost_dequeue_takes_what_nobody_asks_for_later() -> None:
    """All that it could have taken would be more than anybody can follow: 20 of 40."""
    entries = "\n".join(f"e{n} {n}-{n + 1} enqueue {n}" for n in range(40))
    lost = "\n".join(f"l{n} {50 + n}- dequeue" for n in range(20))
    taken = "\n".join(f"t{n} {80 + 2 * n}-{81 + 2 * n} dequeue -> {2 * n}" for n in range(20))
    told_: History = told("\n".join([entries, lost, taken, "z 200-201 dequeue -> None"]))
    (witness,) = linearizable(told_, Queue()).witnesses
    assert witness.states[-1] == "{}"
    assert len(witness.order) == 81


def test_where_answers_are_not_known_one_line_of_states_is_followed() -> None:
    told_ = told("a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n b 4- dequeue \n c 5-6 dequeue -> 2").operations
    assert states_along(FifoQueue(), (), told_) == [(1,), (1, 2), (2,), ()]
    bag = states_along(Queue(), Queue().initial, told_)
    assert bag is not None
    assert [Queue().show(each) for each in bag] == ["{1: 1}", "{1: 1, 2: 1}", "{2: 1}", "{}"]
    assert states_along(FifoQueue(), (), told_[2:]) is None
    assert states_along(FifoQueue(), (), ()) == []
