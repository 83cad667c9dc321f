"""Pieces: closed under writers, and none of it can be left out."""
from __future__ import annotations

import pytest

from agreed.check import pieces
from agreed.check.causal import contradiction
from agreed.check.pieces import closed, sides, smallest
from agreed.check.registers import registers
from tests.check.litmus import GALLERY, parsed


def test_a_read_brings_its_writer() -> None:
    read = registers(parsed("x=1 | x?1 y?-").operations)
    assert closed(read, [number for number, each in enumerate(read.operations) if each.result == 1]) == {0, 1}


def test_nothing_of_a_piece_can_be_left_out() -> None:
    for litmus in GALLERY:
        if litmus.allows("CCv"):
            continue
        read = registers(parsed(litmus.line).operations)
        piece, _ = smallest(read, lambda each: contradiction(each, "CCv"))
        for left_out in range(len(piece.operations)):
            readers = [number for number, writer in enumerate(piece.writer) if writer == left_out]
            rest = piece.keeping(
                number for number in range(len(piece.operations)) if number not in (left_out, *readers)
            )
            assert contradiction(rest, "CCv") is None, litmus.name


def test_what_is_too_much_work_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that is larger than it might be is a proof."""
    monkeypatch.setattr(pieces, "MOST_WORK", 0)
    read = registers(parsed("a=1 a?1 x=1 x?-").operations)
    piece, wrong = smallest(read, lambda each: contradiction(each, "CC"))
    assert len(piece.operations) == 4
    assert wrong.name == "WriteCOInitRead"


def test_sides_have_the_names_of_dependencies() -> None:
    read = registers(parsed("x=1 x=2 | x?1").operations)
    first, read_first, second = 0, 1, 2
    assert sides(read, (first, second)) == ((first, "process", second),)
    assert sides(read, (first, read_first)) == ((first, "wr", read_first),)
    assert sides(read, (read_first, second)) == ((read_first, "rw", second),)
    assert sides(read, (second, first)) == ((second, "ww", first),)
