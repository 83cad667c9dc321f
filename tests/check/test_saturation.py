"""What every sequential order must contain: enough to refuse most histories, and never too much."""
from __future__ import annotations

from random import Random

import pytest

from agreed.check.causal_order import CausalOrder
from agreed.check.causal_replay import Facts, events, explainable
from agreed.check.pieces import Contradiction
from agreed.check.registers import NOT_A_READ, Registers, registers
from agreed.check.saturation import Guide, saturated
from tests.check.litmus import GALLERY, TWO_SATISFIABILITY, Litmus, parsed
from tests.check.weak_histories import Shape, replicas

SOUND = [each for each in GALLERY if each.allows("CC")]


@pytest.mark.parametrize("litmus", SOUND, ids=lambda litmus: litmus.name)
def test_a_circle_is_found_in_all_that_are_not_sequentially_consistent(litmus: Litmus) -> None:
    """In all but the one that was made so that there is none."""
    found = saturated(registers(parsed(litmus.line).operations))
    allowed = litmus.allows("SC") or litmus.line == TWO_SATISFIABILITY
    assert isinstance(found, CausalOrder if allowed else Contradiction)


def test_the_store_buffer_is_refused_by_its_circle() -> None:
    """Each client read before the other wrote, and wrote before it read."""
    found = saturated(registers(parsed("x=1 y?- | y=1 x?-").operations))
    assert isinstance(found, Contradiction)
    assert sorted(kind for _, kind, _ in found.cycle) == ["process", "process", "rw", "rw"]


def every_order(read: Registers) -> list[list[int]]:
    """All sequential orders, by trying."""
    facts = Facts(events(read.operations, None), None)
    found: list[list[int]] = []

    def after(order: list[int]) -> None:
        if len(order) == len(read.operations):
            found.append(order)
        for number in range(len(read.operations)):
            if number in order or facts.session_past[number] & ~sum(1 << each for each in order):
                continue
            same = [each for each in order if read.operations[each].key == read.operations[number].key]
            writes = [each for each in same if read.writer[each] == NOT_A_READ]
            if read.writer[number] in (NOT_A_READ, writes[-1] if writes else -1):
                after([*order, number])

    after([])
    return found


@pytest.mark.parametrize("seed", range(60))
def test_what_is_forced_is_in_every_order_and_the_guide_forbids_none(seed: int) -> None:
    read = registers(replicas(Random(seed), Shape(operations=7, sessions=3)).operations)
    if not explainable(read.operations, "SC"):
        return
    order = saturated(read)
    assert isinstance(order, CausalOrder)
    guide = Guide(order)
    for each in every_order(read):
        positions = [0] * len(read.sessions)
        for at, number in enumerate(each):
            assert not any(order.before(later, number) for later in each[at:])
            if read.writer[number] == NOT_A_READ:
                assert guide.may_be_next(number, positions)
            positions[read.session[number]] += 1


def test_the_guide_lets_nobody_overwrite_what_is_still_to_be_read() -> None:
    read = registers(parsed("x=1 | x=2 | y?- x?1").operations)
    order = saturated(read)
    assert isinstance(order, CausalOrder)
    second = next(number for number, each in enumerate(read.operations) if each.argument == 2)
    assert Guide(order).may_be_next(second, [0, 0, 0]), "x=1 may come after it"
    assert not Guide(order).may_be_next(second, [1, 0, 0]), "client 2 has not read x=1 yet"
    assert Guide(order).may_be_next(second, [1, 0, 2])
