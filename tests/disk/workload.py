"""A random life of a data directory, and a model of what it must remember.

The model is told of each step before it is done (`expected` then holds the state before and the state after)
and after it has returned (then only the state after).  A crash in between may leave either; nothing else.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from agreed.consensus.machine import Ballot, Entry, EntryKind, Save, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.disk.files import Files
from agreed.disk.recovery import Recovered, recover
from agreed.disk.snapshots import Snapshots
from tests.disk.faulty_files import FaultyFiles

DIRECTORY = Path("/data")
MEMBERS = Members((Member("n1", 1, "127.0.0.1:1"), Member("n2", 2, "127.0.0.1:2")))
SEGMENT_SIZE = 6000
FRESH_IDENTITY = 0x1234_5678_9ABC_DEF0


class State(NamedTuple):
    """What counts after a restart."""

    ballot: Ballot
    mark: SnapshotMark | None
    payload: bytes
    entries: tuple[Entry, ...]


NEW = State(Ballot(0, None), None, b"", ())


def start(files: Files, fresh_identity: int = FRESH_IDENTITY) -> Recovered:
    return recover(DIRECTORY, files, name="n1", fresh_identity=fresh_identity, segment_size=SEGMENT_SIZE)


def state_of(recovered: Recovered) -> State:
    snapshot = recovered.snapshot
    if snapshot is None:
        return State(recovered.ballot, None, b"", tuple(recovered.entries))
    payload = b"".join(recovered.snapshots.pieces(snapshot.mark.index))
    return State(recovered.ballot, snapshot.mark, payload, tuple(recovered.entries))


def entry(index: int, term: int = 1, payload: bytes = b"payload") -> Entry:
    return Entry(index, term, EntryKind.PAYLOAD, payload)


def filled(count: int, files: Files, batch: int = 1, size: int = 300) -> Recovered:
    """A directory in use, with entries 1 to `count`, `batch` of them in each append."""
    random = Random(count)
    recovered = start(files)
    for first in range(1, count + 1, batch):
        indexes = range(first, min(count, first + batch - 1) + 1)
        entries = [entry(index, 1, random.randbytes(size)) for index in indexes]
        recovered.wal.append([Save(first, Ballot(1, "n1"), entries)])
    return recovered


@dataclass
class Life:
    """Drives one directory; `expected` is what a crash at this very moment may leave."""

    files: Files
    random: Random
    expected: list[State] = field(default_factory=lambda: [NEW])
    log: dict[int, Entry] = field(default_factory=dict)
    ballot: Ballot = NEW.ballot
    snapshot: tuple[SnapshotMark, bytes] | None = None
    last_index: int = 0
    commit: int = 0
    acknowledged_life: int = 0
    recovered: Recovered | None = None

    def run(self, steps: int) -> None:
        self.restart()
        for _ in range(steps):
            action = self.random.choices(
                [self.save, self.take_snapshot, self.install_snapshot, self.restart], [12, 3, 1, 2]
            )[0]
            action()

    @property
    def disk(self) -> Recovered:
        assert self.recovered is not None
        return self.recovered

    def state(self) -> State:
        mark, payload = self.snapshot or (None, b"")
        after = 0 if mark is None else mark.index
        entries = tuple(self.log[index] for index in range(after + 1, self.last_index + 1))
        return State(self.ballot, mark, payload, entries)

    def about_to(self) -> None:
        """Called when the model is changed already: what is expected now is the state before or after."""
        self.expected = [self.expected[-1], self.state()]

    def done(self) -> None:
        self.expected = [self.state()]

    def restart(self) -> None:
        if self.recovered is not None:
            self.recovered.close()
        self.recovered = start(self.files)
        self.acknowledged_life = self.recovered.identity.life
        assert state_of(self.recovered) == self.state()

    def save(self) -> None:
        saves = [self._one_save() for _ in range(self.random.choice([1, 1, 1, 2, 3]))]
        self.about_to()
        self.disk.wal.append(saves)
        self.done()
        self.commit = self.random.randint(self.commit, self.last_index)

    def _one_save(self) -> Save:
        term = self.ballot.term
        if self.random.random() < 0.3 or term == 0:
            term += 1
        self.ballot = Ballot(term, self.random.choice(["n1", "n2", None]))
        first = self.last_index + 1
        if self.random.random() < 0.2:
            first = self.random.randint(self.commit + 1, self.last_index + 1)
        entries = [
            entry(first + offset, term, self._payload(self.random.choice([0, 10, 700, 1500])))
            for offset in range(self.random.choice([0, 1, 1, 2, 4]))
        ]
        if entries:
            for index in range(first, self.last_index + 1):
                del self.log[index]
            self.log.update((each.index, each) for each in entries)
            self.last_index = entries[-1].index
        return Save(0, self.ballot, entries)

    def _payload(self, size: int) -> bytes:
        """Sometimes with zeros, which look like sectors that were never written."""
        return self.random.randbytes(size) if self.random.random() < 0.7 else bytes(size)

    def take_snapshot(self) -> None:
        newest = self.snapshot[0].index if self.snapshot else 0
        if self.commit <= newest:
            return
        index = self.random.randint(newest + 1, self.commit)
        mark = SnapshotMark(index, self.log[index].term, MEMBERS)
        pieces = [self.random.randbytes(self.random.randint(1, 2000)) for _ in range(3)]
        self.snapshot = mark, b"".join(pieces)
        self.about_to()
        writer = self.disk.snapshots.create(mark)
        for piece in pieces:
            writer.write(piece)
        assert writer.finish().mark == mark
        self.done()
        self.disk.wal.forget_before(self.disk.snapshots.log_needed_from)

    def install_snapshot(self) -> None:
        """One that the log does not lead to: it goes on beyond the log, or has another entry at its end."""
        term = self.ballot.term + 1
        index = self.random.randint(self.commit + 1, self.last_index + 30)
        mark = SnapshotMark(index, term, MEMBERS)
        content, payload = snapshot_of_a_peer(mark, self.random)
        self.log.clear()
        self.last_index = self.commit = index
        self.snapshot = mark, payload
        self.ballot = Ballot(term, None)
        self.about_to()
        receiver = self.disk.snapshots.receive(mark)
        while receiver.held < len(content):
            receiver.write(receiver.held, content[receiver.held : receiver.held + 900])
        receiver.finish()
        self.disk.wal.start_after(mark.index, mark.term)
        self.done()


def snapshot_of_a_peer(mark: SnapshotMark, random: Random) -> tuple[bytes, bytes]:
    """The file of a snapshot as a peer has it, and its payload."""
    payload = random.randbytes(3000)
    snapshots = Snapshots(DIRECTORY, FaultyFiles())
    writer = snapshots.create(mark)
    writer.write(payload[:1100])
    writer.write(payload[1100:])
    size = writer.finish().size
    chunk = snapshots.read_chunk(mark.index, 0, size)
    assert chunk is not None
    return chunk.data, payload
