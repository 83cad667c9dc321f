"""The mutants that live between a node and its disk."""
from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from unittest import mock

from agreed.consensus.machine import SnapshotMark
from agreed.disk import segments
from agreed.disk.files import Files
from agreed.disk.record import Damage
from agreed.disk.recovery import Recovered, recover
from agreed.disk.snapshots import Snapshots, SnapshotWriter
from agreed.disk.wal import Wal
from agreed.sim.disk import Disk, Inode
from agreed.sim.parts import Parts
from tests.sim.mutants.mutant import Mutant


class ForgetsTheLogTooSoon(Snapshots):
    """R23: the log goes when the snapshot that replaces it is durable, not when it is begun."""

    wal: Wal

    def create(self, mark: SnapshotMark) -> SnapshotWriter:
        self.wal.forget_before(mark.index + 1)
        return super().create(mark)


def _forgetting_too_soon(directory: Path, files: Files, **names: Any) -> Recovered:
    recovered = recover(directory, files, **names)
    snapshots = ForgetsTheLogTooSoon(directory, files)
    snapshots.wal = recovered.wal
    recovered.snapshots = snapshots
    return recovered


def comes_back_as_itself(directory: Path, files: Files, **names: Any) -> Recovered:
    """R37: who lost its disk has forgotten its votes and acknowledgements, and is somebody else now."""
    names["fresh_identity"] = zlib.crc32(names["name"].encode()) + 1
    return recover(directory, files, **names)


def cuts_what_has_rotted(directory: Path, files: Files, **names: Any) -> Recovered:
    """R38: an end of the log that was acknowledged and has rotted is no torn write, and is not cut off."""
    with mock.patch.object(segments, "judge", return_value=Damage.TORN):
        return recover(directory, files, **names)


class IgnoresFailedSyncs(Disk):
    """R39: after a failed fsync nobody knows what is on the disk."""

    def sync(self, path: Path, inode: Inode | None) -> None:
        try:
            super().sync(path, inode)
        except OSError:
            pass


MUTANTS = [
    Mutant("R23", ForgetsTheLogTooSoon, Parts(recover=_forgetting_too_soon), ("disk", "swarm")),
    Mutant("R37", comes_back_as_itself, Parts(recover=comes_back_as_itself), ("disk", "swarm")),
    Mutant("R38", cuts_what_has_rotted, Parts(recover=cuts_what_has_rotted), ("disk", "swarm")),
    Mutant("R39", IgnoresFailedSyncs, Parts(disk=IgnoresFailedSyncs), ("disk", "swarm")),
]
