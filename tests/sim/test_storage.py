"""What counts as kept by a data directory, when a node comes back."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Entry, EntryKind
from agreed.disk.extent import Extent
from agreed.sim.storage import Storage
from agreed.types import Index, Term


def a_directory(extent: Extent, snapshot_index: Index = 10) -> Storage:
    """With such a log and a snapshot that ends there, and nothing being written."""
    storage = object.__new__(Storage)
    storage._wal = extent  # type: ignore[assignment]
    storage._snapshot_index = snapshot_index
    storage._writing_from = None
    return storage


def an_entry(index: Index, term: Term) -> Entry:
    return Entry(index, term, EntryKind.PAYLOAD, b"")


def replaced_from_the_base_on() -> Extent:
    """The log begins in a file that goes on behind (11, term 1), and its first save replaces entry 11: the
    file in which entry 10 was is gone, with its term, because a snapshot holds it."""
    extent = Extent(11, 1)
    for index in range(11, 15):
        extent.put(an_entry(index, 4))
    return extent


@pytest.mark.parametrize(("index", "term"), [(9, 1), (10, 1), (11, 4), (14, 4)])
def test_what_is_in_the_log_or_below_its_base_is_kept(index: Index, term: Term) -> None:
    assert a_directory(replaced_from_the_base_on()).holds(index, term)


@pytest.mark.parametrize(("index", "term"), [(11, 1), (14, 3), (15, 4)])
def test_what_was_replaced_or_never_came_is_not(index: Index, term: Term) -> None:
    assert not a_directory(replaced_from_the_base_on()).holds(index, term)


@pytest.mark.parametrize("index", [9, 10])
def test_what_no_snapshot_holds_is_lost_with_its_file(index: Index) -> None:
    assert not a_directory(replaced_from_the_base_on(), snapshot_index=8).holds(index, 1)


def test_what_is_being_written_is_not_kept_yet() -> None:
    storage = a_directory(replaced_from_the_base_on())
    storage._writing_from = 13
    assert storage.holds(12, 4)
    assert not storage.holds(13, 4)
