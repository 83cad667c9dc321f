"""From a data directory to everything a node needs in order to go on; or a refusal that says why not.

    lock, identity      is it ours, and nobody else's?  One more life begins.
    leftovers           what was being written aside when the process ended is removed
    snapshot            the newest that verifies
    log                 read back (replay.py), and fitted to the snapshot
    wal                 taken up behind its last whole record

What a crash can have caused is repaired and reported in `Recovered.repairs`, one sentence each.  What a crash
can not have caused raises: `CorruptData` (which file, which offset, what to do), `WrongIdentity`.  It does so
even where going on would be easy.  A node that has silently lost an entry which it had acknowledged will
vote as if it had never seen it, and the entry may then be lost in the whole cluster, although it was
committed and every other disk is sound.

How log and snapshot fit.  The snapshot is the state after entry (i, t).
* The log has that entry: the entries after it follow.
* The log ends before i: it has nothing to add, and goes on after i.
* The log has another entry at i: the process ended after a received snapshot got its name and before
  `Wal.start_after`.  What the log holds contradicts what was committed; it is void.
* The log begins after i + 1: something is missing.  Refused.

Nor need the ballot be as new as the snapshot: a follower applies what the others have agreed upon while its
own disk is still busy with it, and may have a snapshot of that before the save.  A term that was not saved is
one in which this node has neither voted nor acknowledged anything, so it begins there without a vote.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from agreed.consensus.machine import Ballot, Entry
from agreed.disk.files import Files, Lock, disk_failure
from agreed.disk.identity import (
    IDENTITY_FILE,
    DirectoryIdentity,
    lock_directory,
    read_identity,
    write_identity,
)
from agreed.disk.replay import WHAT_TO_DO, Replay, replay_log
from agreed.disk.segments import segment_numbers, segment_path
from agreed.disk.snapshots import SnapshotFile, Snapshots, is_unfinished, receiving_index
from agreed.disk.wal import SEGMENT_SIZE, Wal
from agreed.errors import CorruptData, WrongIdentity
from agreed.types import Identity, NodeId


@dataclass
class Recovered:
    """A data directory in use.  `close` when done."""

    identity: DirectoryIdentity
    ballot: Ballot
    snapshot: SnapshotFile | None
    """The state to begin with; restore it from `snapshots.pieces(snapshot.mark.index)`."""
    entries: list[Entry]
    """What follows it, without gaps; from index 1 on where there is no snapshot."""
    repairs: list[str]
    """For the log of the node, one sentence each; empty after an orderly end."""
    wal: Wal
    snapshots: Snapshots
    lock: Lock

    def close(self) -> None:
        self.wal.close()
        self.snapshots.close()
        self.lock.release()


def recover(
    directory: Path,
    files: Files,
    *,
    name: NodeId,
    fresh_identity: Identity,
    initial_members: bytes = b"",
    consensus: str = "raft",
    segment_size: int = SEGMENT_SIZE,
) -> Recovered:
    """Take up the data directory of the node `name`, or make it.

    `fresh_identity` (a random 63-bit number) and `initial_members` are used only where there is none yet.
    `consensus` is the protocol that the node will speak.
    Raises ConfigurationError (another process uses it), WrongIdentity, CorruptData, DiskFailed.
    """
    with disk_failure(directory, "making it"):
        files.make_directory(directory)
    lock = lock_directory(directory, files)
    try:
        fresh = DirectoryIdentity(fresh_identity, name, 0, 0, initial_members, consensus)
        return _Recovery(directory, files, segment_size).run(lock, fresh)
    except BaseException:
        lock.release()
        raise


class _Recovery:
    def __init__(self, directory: Path, files: Files, segment_size: int) -> None:
        self._directory = directory
        self._files = files
        self._segment_size = segment_size
        self._snapshots = Snapshots(directory, files)
        self._repairs: list[str] = []

    def run(self, lock: Lock, fresh: DirectoryIdentity) -> Recovered:
        # What we see may be a name that the process gave just before it was killed, and which is not yet
        # durable.  From now on we rely on what we see.
        with disk_failure(self._directory, "syncing the directory"):
            self._files.fsync_directory(self._directory)
        identity = self._begin_life(fresh)
        self._remove_leftovers()
        snapshot, replay = self._read()
        if replay.identity != identity.identity:
            raise WrongIdentity(
                f"{self._directory}: the log belongs to another data directory (identity "
                f"{replay.identity:016x}, here {identity.identity:016x}).  {WHAT_TO_DO}"
            )
        wal = Wal.resume(self._directory, self._files, replay, segment_size=self._segment_size)
        ballot = replay.ballot
        if snapshot is not None:
            mark = snapshot.mark
            if replay.extent.term_at(mark.index) != mark.term:
                self._repairs.append(
                    f"the log up to {replay.extent.last_index} is void: the snapshot of {mark.index} took "
                    "its place"
                )
                replay.entries.clear()
            if mark.term > ballot.term:
                ballot = Ballot(mark.term, None, ballot.settled)
            wal.start_after(mark.index, mark.term)
        return Recovered(
            identity, ballot, snapshot, replay.entries, self._repairs, wal, self._snapshots, lock
        )

    def _begin_life(self, fresh: DirectoryIdentity) -> DirectoryIdentity:
        found = read_identity(self._directory, self._files)
        if found is None:
            self._begin_first_life(fresh)
            found = fresh
        elif found.name != fresh.name:
            raise WrongIdentity(
                f"{self._directory} belongs to the node {found.name}, this node is {fresh.name}.  A "
                "directory keeps its node for ever: start that node on it, or give this one its own."
            )
        elif found.consensus != fresh.consensus:
            raise WrongIdentity(
                f"{self._directory} was written by a node that spoke {found.consensus}, this one is started "
                f"with {fresh.consensus}.  A cluster keeps its protocol: start it with --consensus "
                f"{found.consensus}, or found another cluster with empty directories."
            )
        begun = msgspec.structs.replace(found, life=found.life + 1)
        write_identity(self._directory, self._files, begun)
        return begun

    def _begin_first_life(self, fresh: DirectoryIdentity) -> None:
        """The log comes first, the identity file last: where that is, a log must be too."""
        numbers = segment_numbers(self._names())
        started = False
        if numbers:
            replay = replay_log(self._directory, self._files, 0)
            assert replay is not None
            started = numbers != [1] or replay.extent.last_index > 0 or replay.ballot != Ballot(0, None)
        if started or self._snapshots.list():
            raise WrongIdentity(
                f"{self._directory} holds a log or snapshots, but the file {IDENTITY_FILE} is gone, and with "
                f"it the knowledge whose they are.  {WHAT_TO_DO}"
            )
        if numbers:
            # A first start that did not get to its end; its identity was never told to anybody.
            self._unlink(segment_path(self._directory, 1).name)
        Wal.create(self._directory, self._files, fresh.identity, segment_size=self._segment_size).close()

    def _remove_leftovers(self) -> None:
        names = self._snapshots.list()
        newest = names[-1].index if names else 0
        for name in self._names():
            index = receiving_index(name)
            if is_unfinished(name) or (index is not None and index <= newest):
                self._unlink(name)
                self._repairs.append(f"removed {name}, which was never finished")

    def _read(self) -> tuple[SnapshotFile | None, Replay]:
        """The newest snapshot that verifies, and a log that reaches back to it."""
        bad = []
        snapshot = None
        for name in reversed(self._snapshots.list()):
            try:
                snapshot = self._snapshots.load(name.index)
                break
            except CorruptData as error:
                bad.append((name, str(error)))
        reaches_to = 0 if snapshot is None else snapshot.mark.index
        replay = replay_log(self._directory, self._files, reaches_to)
        if replay is None:
            raise CorruptData(
                f"{self._directory}: the log is gone, and with it the memory of votes and acknowledgements.  "
                f"{WHAT_TO_DO}"
            )
        if replay.extent.base_index > reaches_to:
            raise CorruptData(self._does_not_reach(replay, reaches_to, [reason for _, reason in bad]))
        instead = "the log" if snapshot is None else f"the snapshot of {reaches_to} and the log after it"
        for name, reason in bad:
            aside = self._snapshots.set_aside(name)
            self._repairs.append(
                f"a snapshot has rotted ({reason}); it is kept as {aside.name}, "
                f"and the state is rebuilt from {instead}"
            )
        for number in replay.leftover:
            self._unlink(segment_path(self._directory, number).name)
            self._repairs.append(f"removed log file {number}, which the snapshot has made superfluous")
        if replay.torn is not None:
            self._repairs.append(
                f"cut a write that never finished (nobody was told that it had) from {replay.torn.path}, "
                f"offset {replay.torn.offset}"
            )
        return snapshot, replay

    def _does_not_reach(self, replay: Replay, reaches_to: int, bad: list[str]) -> str:
        first = segment_path(self._directory, replay.segments[0].number)
        reasons = [
            f"{first}, offset 0: the log begins after entry {replay.extent.base_index}, but the newest sound "
            f"snapshot ends with entry {reaches_to}" + ("" if reaches_to else " (there is none)")
        ]
        if replay.leftover:
            missing = segment_path(self._directory, replay.leftover[-1] + 1)
            reasons.append(f"{missing.name} is missing")
        return ".  ".join([*reasons, *bad, WHAT_TO_DO])

    def _names(self) -> list[str]:
        with disk_failure(self._directory, "listing"):
            return self._files.names(self._directory)

    def _unlink(self, name: str) -> None:
        with disk_failure(self._directory / name, "removing"):
            self._files.unlink(self._directory / name)
