"""Clocks: what is before what, compared with what following every arrow finds."""
from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from agreed.check.causal_order import CausalOrder, Cyclic, line
from agreed.check.registers import Registers, registers
from tests.check.litmus import parsed
from tests.check.weak_histories import Shape, replicas


def arrows(read: Registers, extra: dict[int, list[int]]) -> list[set[int]]:
    """What is before each operation, arrow by arrow."""
    before: list[set[int]] = [set() for _ in read.operations]
    for number, writer in enumerate(read.writer):
        before[number] |= {writer} if writer >= 0 else set()
        before[number] |= set(read.sessions[read.session[number]][: read.place[number]])
        before[number] |= {source for source, targets in extra.items() if number in targets}
    while True:
        more = [own.union(*(before[each] for each in own)) for own in before]
        if more == before:
            return before
        before = more


@pytest.mark.parametrize("seed", range(40))
def test_clocks_say_what_arrows_say(seed: int) -> None:
    dice = Random(seed)
    read = registers(replicas(dice, Shape(operations=14)).operations)
    pairs = [tuple(sorted(dice.sample(range(len(read.operations)), 2))) for _ in range(3)]
    extra: dict[int, list[int]] = {}
    for first, second in pairs:
        extra.setdefault(first, []).append(second)
    before = arrows(read, extra)
    try:
        order = CausalOrder(read, extra)
    except Cyclic as cyclic:
        around = [*cyclic.cycle, cyclic.cycle[0]]
        assert all(one in before[other] for one, other in pairwise(around))
        return
    assert sorted(order.line) == list(range(len(read.operations)))
    for second in range(len(read.operations)):
        assert before[second] <= set(order.line[: order.line.index(second)])
        for first in range(len(read.operations)):
            assert order.before(first, second) is (first in before[second])


@pytest.mark.parametrize("seed", range(40))
def test_a_path_leads_from_one_to_the_other(seed: int) -> None:
    read = registers(replicas(Random(seed), Shape(operations=14)).operations)
    try:
        order = CausalOrder(read)
    except Cyclic:
        return
    for second in range(len(read.operations)):
        for first in range(len(read.operations)):
            if order.before(first, second):
                path = order.path(first, second)
                assert (path[0], path[-1]) == (first, second)
                for one, other in pairwise(path):
                    same = read.session[one] == read.session[other] and read.place[one] < read.place[other]
                    assert same or read.writer[other] == one


def test_the_line_is_that_of_the_calls_where_it_may_be() -> None:
    read = registers(parsed("x=1 x=2 | y=1 y=2 | x?2 y?2").operations)
    assert [read.operations[number].called for number in CausalOrder(read).line] == [0, 1, 10, 2, 11, 12]


def test_the_line_can_leave_out_reads() -> None:
    read = registers(parsed("x?1 x=1").operations)
    with pytest.raises(Cyclic):
        line(read, range(2), {})
    assert line(read, (), {}) == [0, 1]


def test_latest_and_first() -> None:
    read = registers(parsed("x=1 x=2 x=3 | x?2 y=1").operations)
    order = CausalOrder(read)
    writes = read.writes["x"][0]
    assert order.latest(writes, writes[0]) is None
    assert order.latest(writes, writes[2]) == writes[1]
    reader = next(number for number, writer in enumerate(read.writer) if writer >= 0)
    assert order.latest(writes, reader) == writes[1]
    assert order.first(writes, writes[1]) == writes[2]
    assert order.first(writes, reader) is None
