"""Who read what from whom: what counts, and what cannot be told."""
from __future__ import annotations

import pytest

from agreed.check.history import Operation, Status, history
from agreed.check.registers import INITIAL, NOBODY, NOT_A_READ, registers
from tests.check.litmus import parsed

N, F = NOT_A_READ, NOBODY

WRITERS = [
    ("x=1 | x?1", [N, 0]),
    ("x?-", [INITIAL]),
    ("x?1 x=1", [1, N]),
    ("x=1 | y?1", [N, F]),
    ("x=1 y=1 | y?1", [N, 2, N]),
    ("x=1~ | x?1", [F]),
    ("x=1! | x?1", [N, 0]),
    ("x=1! | x?-", [INITIAL]),
    ("x=1 x=2! | x?1", [N, 0]),
]


@pytest.mark.parametrize(("line", "writers"), WRITERS)
def test_each_read_has_its_writer(line: str, writers: list[int]) -> None:
    read = registers(parsed(line).operations)
    assert list(read.writer) == writers
    assert not read.doubt
    for number, writer in enumerate(read.writer):
        if writer >= 0:
            assert read.operations[number].result == read.operations[writer].argument


def test_sessions_and_keys_know_their_operations() -> None:
    read = registers(parsed("x=1 x=2 y=3 | x=4 | y?3").operations)
    for session, own in enumerate(read.sessions):
        assert [read.session[number] for number in own] == [session] * len(own)
        assert [read.place[number] for number in own] == list(range(len(own)))
    values = [
        [[read.operations[number].argument for number in own] for own in of] for of in read.writes.values()
    ]
    assert values == [[[1, 2], [4]], [[3]]]


DOUBTS = [
    ("x=1 | x=1 | x?1", "more than once"),
    ("x=1 | x=1! | x?1", "more than once"),
    ("x=1 | x=1~ | x?1", ""),
    ("x=1 | x=1", ""),
    ("x=1 | y=1 | x?1", ""),
]


@pytest.mark.parametrize(("line", "doubt"), DOUBTS)
def test_what_cannot_be_told_is_a_doubt(line: str, doubt: str) -> None:
    read = registers(parsed(line).operations)
    assert doubt in read.doubt
    assert bool(doubt) is bool(read.doubt)
    assert NOBODY not in read.writer, "left out, not blamed"


def test_the_initial_value_written_again_is_a_doubt() -> None:
    line = parsed("x=0 | x?0")
    assert "initial" in registers(line.operations, initial=0).doubt
    assert not registers(line.operations, initial=5).doubt


def test_values_are_compared_as_values() -> None:
    write = Operation(0, 0, "write", [1, [2]], None, 0, 1, Status.OK)
    read = Operation(1, 1, "read", None, (1, (2,)), 2, 3, Status.OK)
    assert registers(history([write, read])).writer == (NOT_A_READ, 0)


def test_a_piece_is_a_history_of_its_own() -> None:
    read = registers(parsed("x=1 x=2 | x?2 y=3 | y?3").operations)
    wanted = [number for number, each in enumerate(read.operations) if each.argument == 2 or each.result == 2]
    piece = read.keeping(wanted)
    assert [each.function for each in piece.operations] == ["read", "write"]
    assert piece.writer == (1, NOT_A_READ)
