"""What cannot be, and the smallest piece of a history of registers in which it still cannot be.

A piece is a history of its own: some of the operations, with the writer of each read among them.  If the
whole could be explained, so could each such piece, by leaving out the rest of the explanation; hence a
piece that cannot be explained convicts the whole, and anybody can check it without having seen the rest.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agreed.check.registers import NOT_A_READ, Number, Registers


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A bad pattern, found in `registers`."""

    name: str
    operations: tuple[Number, ...]
    """In the order in which they are to be read; enough to show it, not always the fewest."""
    steps: tuple[str, ...]
    """What is wrong, one sentence each."""
    cycle: tuple[tuple[Number, str, Number], ...] = ()
    """Of a circle: its sides, each with the word for it in `verdict.Dependency`."""


def sides(registers: Registers, path: Sequence[Number]) -> tuple[tuple[Number, str, Number], ...]:
    """Each with the next: one client, a write and its reader, or two writes to one key."""
    return tuple((first, _side(registers, first, second), second) for first, second in pairwise(path))


def _side(registers: Registers, first: Number, second: Number) -> str:
    same = registers.session[first] == registers.session[second]
    if same and registers.place[first] < registers.place[second]:
        return "process"
    if registers.writer[second] != NOT_A_READ:
        return "wr"
    return "ww" if registers.writer[first] == NOT_A_READ else "rw"


BECAUSE = {
    "process": "the same client did it before",
    "wr": "it was read",
    "ww": "what the second wrote was read when both were known",
    "rw": "it found what the write replaced",
}


def along(registers: Registers, path: Sequence[Number]) -> tuple[str, ...]:
    """Why each is before the next."""
    return tuple(
        f"{registers.says(first)} is before {registers.says(second)}: {BECAUSE[kind]}"
        for first, kind, second in sides(registers, path)
    )


def closed(registers: Registers, numbers: Iterable[Number]) -> set[Number]:
    """The operations, and the writers of those that read."""
    found = set(numbers)
    return found | {registers.writer[number] for number in found if registers.writer[number] >= 0}


MOST_WORK = 1_000_000
"""Operations looked at for the sake of a smaller piece, counting each as often as it is looked at.  Where
this is used up the piece is larger than it might be, and still a proof."""


def smallest(
    piece: Registers, impossible: Callable[[Registers], Contradiction | None]
) -> tuple[Registers, Contradiction]:
    """Leaves out what can be left out, half of it at first, then less and less, until each of the rest is
    necessary.  `piece` must be impossible itself."""
    wrong = impossible(piece)
    assert wrong is not None, "a piece shows what was found in the whole"
    size = max(len(piece.operations) // 2, 1)
    work = 0
    while True:
        before = len(piece.operations)
        start = 0
        while start < len(piece.operations):
            rest = _without(piece, start, start + size)
            work += len(rest.operations)
            if work > MOST_WORK:
                return piece, wrong
            still = impossible(rest) if rest.operations else None
            if still is None:
                start += size
            else:
                piece, wrong = rest, still
        if size == 1 and len(piece.operations) == before:
            return piece, wrong
        size = max(size // 2, 1)


def _without(piece: Registers, start: int, end: int) -> Registers:
    """Without some operations, and without those that read from them."""
    return piece.keeping(
        number
        for number in range(len(piece.operations))
        if not start <= number < end and not start <= piece.writer[number] < end
    )
