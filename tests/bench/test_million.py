"""A million nodes: what is measured, and which snapshots fell into the window."""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bench.generator import Slice
from bench.million import Pair, tail_of
from bench.snapshot_watch import SnapshotSeen, SnapshotWatch

from tests.bench.examples import a_result


def test_slices_are_told_apart_by_whether_a_snapshot_was_written_meanwhile() -> None:
    slices = [Slice(n, n + 1, [(10.0 * (n + 1), 995), (900.0, 5)]) for n in range(6)]
    snapshot = SnapshotSeen(node=0, from_s=2.5, to_s=3.2, bytes=100)
    tail = tail_of(a_result(slices=slices), [snapshot])
    assert (tail.slices_with, tail.slices) == (2, 6)
    assert tail.p99 == Pair(without_us=60.0, with_us=40.0), "with: the slices from 2 to 4"
    assert tail.p999 == Pair(without_us=900.0, with_us=900.0)


def test_without_a_snapshot_there_is_nothing_to_compare() -> None:
    tail = tail_of(a_result(slices=[Slice(0, 1, [(10.0, 5)])]), [])
    assert tail.p99 == tail.p999 == Pair(without_us=10.0, with_us=None)


def until(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in its time"
        time.sleep(0.01)


def test_a_snapshot_is_seen_once_from_its_first_byte_to_its_last_name(tmp_path: Path) -> None:
    nodes = [tmp_path / "n1", tmp_path / "n2"]
    for node in nodes:
        (node / "data").mkdir(parents=True)
    (nodes[0] / "data" / "snapshot.0").write_bytes(b"from before")
    with SnapshotWatch(nodes) as watch:
        growing = nodes[1] / "data" / "7-1.snapshot.new"
        growing.write_bytes(b"a")
        until(lambda: [each.bytes for each in watch.seen] == [1])
        growing.write_bytes(b"abc")
        growing.rename(nodes[1] / "data" / "7-1.snapshot")
        (nodes[1] / "data" / "log.1").write_bytes(b"not a snapshot")
        until(lambda: [each.bytes for each in watch.seen] == [3])
    (seen,) = watch.seen
    assert seen.node == 1
    assert seen.from_s < seen.to_s
