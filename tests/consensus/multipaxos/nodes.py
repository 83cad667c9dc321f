"""What the random world of Multi-Paxos is made of, besides what all such worlds are: a disk that treats a log
as the real one does when a snapshot takes its place."""
from __future__ import annotations

from agreed.consensus.machine import Entry, Save, SnapshotMark
from agreed.consensus.members import Members
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.consensus.multipaxos.slots import from_disk
from tests.consensus import nodes

CONFIG = MultiPaxosConfig(
    heartbeat_ms=20,
    election_timeout_ms=(100, 200),
    leader_loss_delay_ms=(4, 30),
    max_append_bytes=120,
    window_messages=4,
    window_bytes=300,
    reordered_entries=6,
    tail_entries=3,
    tail_bytes=300,
    spare_delay_ms=3,
    read_timeout_ms=100,
)


class Disk(nodes.Disk):
    """The log goes on where a snapshot's last entry stands in it, and is void otherwise."""

    base: tuple[int, int] = (0, 0)

    def write(self, save: Save) -> None:
        if save.entries:
            first = save.entries[0].index
            assert first <= max(self.log, default=self.base[0]) + 1, f"a gap before {first}"
        super().write(save)

    def term_at(self, index: int) -> int | None:
        if index == self.base[0]:
            return self.base[1]
        entry = self.log.get(index)
        return entry.term if entry is not None else None

    def start_after(self, mark: SnapshotMark) -> None:
        if self.term_at(mark.index) != mark.term:
            self.log.clear()
            self.base = mark.index, mark.term

    def holds(self, entry: Entry) -> bool:
        """Accepted, under whatever ballot: who chose it counted that."""
        if self.mark is not None and entry.index <= self.mark.index:
            return True
        held = self.log.get(entry.index)
        return held is not None and from_disk(held)[1] == entry


class Node(nodes.Node):
    disk: Disk

    def __init__(self, name: str, identity: int, members: Members) -> None:
        super().__init__(name, identity, members)
        self.disk = Disk()

    @property
    def paxos(self) -> MultiPaxos:
        assert isinstance(self.machine, MultiPaxos)
        return self.machine
