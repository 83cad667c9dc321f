"""The parts of a search: events, what is under way, what was said before, and what is forgotten."""
from __future__ import annotations

from collections.abc import Sequence
from sys import getsizeof

from agreed.check.history import Operation
from agreed.check.memo import Memo
from agreed.check.models import Bank, CasRegister, Counter, FifoQueue, Register, Set
from agreed.check.moments import Counts, moments
from agreed.check.search import Search
from agreed.check.timeline import Timeline
from tests.check.told import told


def test_slots_are_used_again_and_the_never_answered_have_none() -> None:
    operations = told(
        """
        a 0-1 write 1
        b 2-3 write 2
        c 2-5 write 3
        d 4-  write 4
        e 4-6 write 5
        """
    ).operations
    timeline = Timeline(Register(), operations)
    assert timeline.bits == [1, 1, 2, 0, 1]
    assert timeline.events == [0, ~0, 1, 2, ~1, 3, 4, ~2, ~4]


def test_what_may_be_left_out_is_not_there() -> None:
    """What says nothing, and readings that nobody is sure of."""
    operations = told("a 0-1 write 1 ! \n b 0- read \n c 0-1 read -> None \n d 2- write 2").operations
    timeline = Timeline(Register(), operations, optional=frozenset({2}))
    assert [each.index for each in timeline.operations] == [3]
    assert sum(timeline.crashes) == 1


def test_after_what_matters_only_what_is_always_possible_returns() -> None:
    operations = told("a 0-1 write 1 \n b 2-3 read -> 1 \n c 4-5 write 2 \n d 4-6 write 3").operations
    assert Timeline(Register(), operations).end == 4
    assert Timeline(CasRegister(), told("a 0-1 write 1 \n b 2-3 cas [1, 2]").operations).end == 4


def test_counts_of_many_classes_are_compared_at_once() -> None:
    counts = Counts([3, 0, 1])
    assert counts.spare.bit_count() == 2, "of a class of nobody nothing is counted"

    def packed(first: int, third: int) -> int:
        return first * counts.one[0] + third * counts.one[2]

    def no_more(one: int, than: int) -> bool:
        return ((than | counts.spare) - one) & counts.spare == counts.spare

    pairs = [(first, third) for first in range(4) for third in range(2)]
    for one in pairs:
        for other in pairs:
            expected = one[0] <= other[0] and one[1] <= other[1]
            assert no_more(packed(*one), packed(*other)) is expected, (one, other)


def test_a_moment_knows_who_is_under_way() -> None:
    operations = told(
        """
        a 0-9 write 1
        b 1-5 write 1
        c 2- write 2
        d 3-8 read -> 1
        e 6-7 read -> 2
        """
    ).operations
    timeline = Timeline(Register(), operations)
    first, *_ = moments(timeline, Counts(timeline.crashes), look_ahead=2)
    assert timeline.operations[~timeline.events[first.position]].index == 1
    assert first.changing == {0: (2, 1)}, "of equal effect the one that returns first is first"
    assert list(first.reading) == [4]
    assert list(first.crashed) == [1]
    assert [timeline.samples[kind].result for kind in first.next_reads] == [2]


def test_nothing_is_asked_twice() -> None:
    class Asked(Counter):
        steps = 0

        def step(self, state: int, operation: Operation) -> Sequence[int]:
            type(self).steps += 1
            return super().step(state, operation)

    model = Asked()
    memo = Memo(model, Timeline(model, told("a 0-1 add 1 \n b 0-1 add 1 \n c 0-1 add 2").operations))
    start = memo.number(0)
    assert [memo.states[each] for each in memo.after(start, 0)] == [1]
    assert [memo.states[each] for each in memo.after(start, 1)] == [2]
    assert memo.after(start, 0) == memo.after(start, 0)
    assert Asked.steps == 2


def test_large_states_weigh_more() -> None:
    timeline = Timeline(Set(), told("a 0-1 add 1").operations)
    small, large = Memo(Set(), timeline), Memo(Set(), timeline)
    small.number(frozenset())
    large.number(frozenset(range(1_000)))
    assert large.kept > 50 * small.kept
    large.forget_states()
    assert large.kept == 0


def test_what_a_state_holds_weighs_as_well() -> None:
    """A state of several parts tells its size itself."""
    accounts = {f"account {number}": 5 for number in range(500)}
    taken = "\n".join(f"c{number} 0-1 dequeue -> {number}" for number in range(500))
    queue = FifoQueue(list(range(500)))
    bank = Bank(accounts)
    for large in (bank.initial, queue.foreseeing(told(taken).operations, frozenset()).initial):
        assert getsizeof(large) > 2_000


def test_a_search_that_is_done_with_forgets_all_but_its_steps() -> None:
    model = Register()
    operations = told("a 0-9 write 1 \n b 0-9 write 2 \n c 10-11 read -> 1").operations
    search = Search(model, Timeline(model, operations))
    for _ in search.run():
        pass
    steps = search.steps
    assert search.ends
    assert search.failed_at is None
    search.forget()
    assert (search.steps, search.ends, search.kept) == (steps, [], 0)


def test_a_search_that_fails_knows_where() -> None:
    model = Register()
    timeline = Timeline(model, told("a 0-1 write 1 \n b 2-3 read -> 2 \n c 4-5 read -> 1").operations)
    search = Search(model, timeline)
    assert list(search.run()) == []
    assert search.failed_at is not None
    assert timeline.operations[~timeline.events[search.failed_at]].index == 1
    assert [state for state, _ in search.ends] == [1]


def test_a_search_may_begin_in_the_middle() -> None:
    model = Register()
    operations = told("b 2-3 read -> 2 \n c 4-5 read -> 2").operations
    for starts, holds in (([1, 2], True), ([1], False), ([], False)):
        search = Search(model, Timeline(model, operations), starts)
        for _ in search.run():
            pass
        assert (search.failed_at is None) is holds
