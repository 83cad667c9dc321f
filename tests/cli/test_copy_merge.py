"""The decision of `agreed copy`, against a target in memory: what is written, what is left alone, and that
nobody's write is lost, whoever writes in between."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.cli.copy_merge import (
    BYTES_MOST,
    OPERATIONS_MOST,
    CannotHold,
    Change,
    Counts,
    Held,
    Merge,
    Write,
    behind,
    digest,
)


class Memory:
    """A target; `meddle` is called between what is read and what is written."""

    def __init__(self, entries: dict[bytes, bytes] | None = None) -> None:
        self.held = {name: Held(value, 1) for name, value in (entries or {}).items()}
        self.batches: list[int] = []
        self.meddle: Callable[[], None] = lambda: None
        self._next = 1000

    def put(self, name: bytes, value: bytes) -> None:
        self._next += 1
        self.held[name] = Held(value, self._next)

    def check(self, change: Change) -> None:
        if change.name.startswith(b"!"):
            raise CannotHold(change.name, "never")

    def hangs_on(self, lease: int, held: Held) -> bool:
        return held.lease == lease

    async def read(self, names: Sequence[bytes]) -> dict[bytes, Held]:
        return {name: self.held[name] for name in names if name in self.held}

    async def write(self, writes: Sequence[Write]) -> bool:
        self.meddle()
        for write in writes:
            if (write.change.wanted or b"").startswith(b"too large"):
                raise CannotHold(write.change.name, "too large")
        if any(self.held.get(write.change.name) != write.over for write in writes):
            return False
        self.batches.append(len(writes))
        for write in writes:
            if write.change.wanted is None:
                del self.held[write.change.name]
            else:
                self.put(write.change.name, write.change.wanted)
        return True

    async def names(self, prefix: bytes) -> AsyncIterator[list[bytes]]:
        yield sorted(self.held)

    @property
    def entries(self) -> dict[bytes, bytes]:
        return {name: held.value for name, held in self.held.items()}


def applied(target: Memory, *changes: Change, overwrite: bool = False) -> tuple[Counts, list[str]]:
    counts, told = Counts(), []
    asyncio.run(Merge(target, counts, told.append, overwrite=overwrite).apply(changes))
    return counts, told


A, B, C = digest(b"a"), b"b", b"c"


@pytest.mark.parametrize(
    ("held", "wanted", "before", "overwrite", "then", "counted"),
    [
        (None, b"b", None, False, b"b", "copied"),
        (b"b", b"b", None, False, b"b", "unchanged"),
        (b"c", b"b", None, False, b"c", "conflicts"),
        (b"c", b"b", None, True, b"b", "copied"),
        (b"a", b"b", A, False, b"b", "copied"),
        (b"b", b"b", A, False, b"b", "unchanged"),
        (b"c", b"b", A, False, b"c", "conflicts"),
        (None, b"b", A, False, None, "conflicts"),
        (None, b"b", A, True, b"b", "copied"),
        (b"a", None, A, False, None, "deleted"),
        (None, None, A, False, None, "unchanged"),
        (b"c", None, A, False, b"c", "conflicts"),
        (b"c", None, A, True, None, "deleted"),
        (b"c", None, None, False, b"c", "conflicts"),
    ],
)
def test_three_values_decide(
    held: bytes | None,
    wanted: bytes | None,
    before: bytes | None,
    overwrite: bool,
    then: bytes | None,
    counted: str,
) -> None:
    target = Memory({} if held is None else {b"name": held})
    counts, told = applied(target, Change(b"name", wanted, before), overwrite=overwrite)
    assert target.entries.get(b"name") == then
    assert counts == Counts(**{counted: 1})
    assert bool(told) == (counted == "conflicts")


def test_what_is_to_go_goes_whatever_it_holds() -> None:
    target = Memory({b"name": b"anything"})
    assert applied(target, Change(b"name", None, forced=True))[0].deleted == 1


def test_what_hangs_on_a_lease_is_made_anew_and_bound_anew() -> None:
    target = Memory({b"bound": b"a"})
    counts, _ = applied(target, Change(b"gone", b"b", A, lease=7), Change(b"bound", b"a", A, lease=7))
    assert counts.copied == 2


def test_a_write_of_somebody_else_in_between_is_seen() -> None:
    target = Memory({b"name": b"a"})
    target.meddle = lambda: target.put(b"name", b"theirs")
    counts, told = applied(target, Change(b"name", b"b", A), Change(b"other", b"x"))
    assert target.entries[b"name"] == b"theirs"
    assert counts.conflicts == 1
    assert "name" in told[0]


def test_somebody_who_writes_all_the_time_has_a_conflict_with_us_in_the_end() -> None:
    target = Memory({b"name": b"a"})
    target.meddle = lambda: target.put(b"name", b"theirs")
    counts, _ = applied(target, Change(b"name", b"b"), overwrite=True)
    assert counts.conflicts == 1


def test_what_cannot_be_held_keeps_nothing_else_back() -> None:
    target = Memory()
    counts, told = applied(target, Change(b"!no", b""), Change(b"large", b"too large"), Change(b"good", b"x"))
    assert target.entries == {b"good": b"x"}
    assert (counts.refused, counts.copied) == (2, 1)
    assert told == ["refused: !no: never", "refused: large: too large"]


def test_transactions_stay_within_what_servers_take() -> None:
    target = Memory()
    applied(target, *[Change(b"%d" % number, b"") for number in range(OPERATIONS_MOST * 2 + 1)])
    assert target.batches == [OPERATIONS_MOST, OPERATIONS_MOST, 1]
    target = Memory()
    applied(target, *[Change(b"%d" % number, bytes(BYTES_MOST // 2)) for number in range(3)])
    assert target.batches == [1, 1, 1]


def test_two_changes_of_one_name_are_two_transactions() -> None:
    target = Memory()
    counts, _ = applied(target, Change(b"x", b"a"), Change(b"y", b""), Change(b"x", b"b", A))
    assert target.batches == [2, 1]
    assert counts.copied == 3
    assert target.entries[b"x"] == b"b"


def test_two_changes_of_one_name_may_be_made_as_one() -> None:
    target = Memory({b"x": b"a"})
    both = behind(Change(b"x", b"b", A), Change(b"x", b"c", digest(b"b"), lease=7))
    assert both == Change(b"x", b"c", A, lease=7)
    assert applied(target, behind(Change(b"y", b"b"), Change(b"y", None, digest(b"b"))))[0].unchanged == 1


values = st.sampled_from([None, b"a", b"b", b"c"])


@given(st.lists(st.tuples(st.sampled_from([b"x", b"y"]), values), max_size=20), st.integers(0, 20))
def test_whatever_is_followed_ends_as_the_source(
    history: list[tuple[bytes, bytes | None]], applied_at_first: int
) -> None:
    source: dict[bytes, bytes] = {}
    changes = []
    for name, value in history:
        before = source.get(name)
        changes.append(Change(name, value, None if before is None else digest(before)))
        source.pop(name, None)
        if value is not None:
            source[name] = value
    target = Memory()
    at_first, _ = applied(target, *changes[:applied_at_first])
    then, _ = applied(target, *changes[applied_at_first:])
    assert target.entries == source
    assert at_first.conflicts == then.conflicts == 0
