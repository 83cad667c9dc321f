"""Watches and writes as JSON Lines."""
from __future__ import annotations

import pytest

from agreed.check.read import watchlines
from agreed.check.watches import (
    Change,
    Delivered,
    FiredKind,
    Forgotten,
    Progressed,
    Seen,
    WatchEvent,
    WatchFired,
    Watching,
    WatchOf,
    WatchSet,
    Write,
)
from agreed.errors import MalformedInput

WRITTEN = [Write(1, "/a/x", "1"), Write(None, "/a/y", None, True)]
STREAMS = [
    Watching("w", after=0, key="/a/", prefix=True),
    Delivered("w", [WatchEvent(1, "/a/x", Change.CREATED, "1")]),
    Progressed("w", 3),
]
ONE_SHOT = [
    WatchSet("c", "/a/x", WatchOf.DATA, 1),
    WatchFired("c", "/a/x", FiredKind.DELETED, 4),
    Seen("c", 5),
    Forgotten("c"),
]


def test_what_is_written_is_read() -> None:
    assert watchlines.read_streams(watchlines.write(STREAMS, WRITTEN)) == (STREAMS, WRITTEN)
    assert watchlines.read_one_shot(watchlines.write(ONE_SHOT, WRITTEN)) == (ONE_SHOT, WRITTEN)


def test_empty_lines_do_not_count() -> None:
    assert watchlines.read_streams("\n\n") == ([], [])


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"type": "Heard"}',
        '{"type": "Write", "revision": "1", "key": "x"}',
        '{"type": "Seen", "revision": 1}',
        "[" * 100_000,
    ],
)
def test_what_is_none_of_these_is_refused_with_its_line(line: str) -> None:
    for read in (watchlines.read_streams, watchlines.read_one_shot):
        with pytest.raises(MalformedInput, match="line 2: "):
            read("\n" + line)


def test_records_of_one_kind_are_no_records_of_the_other() -> None:
    with pytest.raises(MalformedInput, match="line 1: "):
        watchlines.read_streams(watchlines.write(ONE_SHOT, []))
    with pytest.raises(MalformedInput, match="line 1: "):
        watchlines.read_one_shot(watchlines.write(STREAMS, []))
