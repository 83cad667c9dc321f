"""A stat shows what its record holds, read back with kazoo's eyes."""
from __future__ import annotations

import struct

from kazoo.protocol.states import ZnodeStat

from agreed.store.records import OPEN_ACL, Record
from agreed.wire.zookeeper.stat import current_stat_of, stat_of

RECORD = Record(b"/a", b"four", 11, 12, 13, 14, 15, 16, 17, 18, 19, -1, OPEN_ACL, {b"x": None, b"y": None})


def test_every_number_has_its_place() -> None:
    assert ZnodeStat(*struct.unpack("!qqqqiiiqiiq", current_stat_of(RECORD))) == ZnodeStat(
        czxid=11,
        mzxid=12,
        ctime=14,
        mtime=15,
        version=16,
        cversion=2 * 17 - 2,
        aversion=18,
        ephemeralOwner=19,
        dataLength=4,
        numChildren=2,
        pzxid=13,
    )


def test_a_stat_of_the_past_counts_the_children_of_then() -> None:
    numbers = struct.unpack("!qqqqiiiqiiq", stat_of(RECORD, 0))
    assert (numbers[5], numbers[9]) == (34, 0)


def test_null_data_has_no_length() -> None:
    record = Record(b"/a", None, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, OPEN_ACL, None)
    numbers = struct.unpack("!qqqqiiiqiiq", current_stat_of(record))
    assert (numbers[8], numbers[9]) == (0, 0)


def test_the_version_of_children_goes_around_like_an_int_of_java() -> None:
    """After 2**30 creations and as many deletions: at a thousand a second, twelve days."""
    record = Record(b"/a", b"", 1, 1, 1, 0, 0, 0, 1 << 30, 0, 0, 0, OPEN_ACL, None)
    assert struct.unpack("!qqqqiiiqiiq", current_stat_of(record))[5] == -(1 << 31)
