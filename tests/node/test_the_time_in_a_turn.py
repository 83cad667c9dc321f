"""A process may be stopped anywhere, also between two events of one turn.  What it is asked afterwards must
not be answered by the clock of before, where a lease decides whether it may answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agreed.consensus.members import Member, Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
)
from agreed.consensus.raft.raft import Raft
from agreed.disk.files import RealFiles
from agreed.disk.recovery import recover
from agreed.node import clock
from agreed.node.shell import Shell
from agreed.replica import events
from agreed.replica.replica import Replica
from agreed.replica.settings import Settings
from agreed.replica.words import Surroundings
from agreed.store.machine import Store
from tests.replica.alone import Dice

LEASE_MS = RaftConfig(lease_reads=True).lease_ms


class Peers:
    """Says yes to all that the node asks for."""

    def __init__(self) -> None:
        self.answers: list[object] = []
        self.read_replies: list[ReadIndexReply] = []

    def send(self, peer: str, message: object) -> None:
        match message:
            case RequestVote(term, pre=pre):
                self.answers.append(RequestVoteReply(term, True, pre))
            case AppendEntries(term, prev, _, _, round_number, entries):
                self.answers.append(AppendEntriesReply(term, round_number, prev + len(entries)))
            case ReadIndexReply():
                self.read_replies.append(message)

    def know(self, addresses: object) -> None: ...

    def close(self) -> None: ...


async def until(holds: Callable[[], bool], shell: Shell, peers: Peers) -> None:
    async with asyncio.timeout(30):
        while not holds():
            while peers.answers:
                shell.happened(events.PeerMessage("n2", peers.answers.pop(0)))
            await asyncio.sleep(0.001)


async def read_index_asked_after(
    stopped_ms: int, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> list[bool]:
    """Whether a leader with a lease names an index to a follower that asks, if the process stops for so long
    between the first event of the turn and the question."""
    now = 0

    class Stands(clock.SystemClock):
        """Until it is told to go on."""

        def now(self) -> int:
            return now

        def call_at(self, instant: int, callback: Callable[[], None]) -> clock.Alarm:
            return asyncio.get_running_loop().call_later(max(0, instant - now) / 1000, callback)

    members = Members(
        tuple(Member(name, number, f"{name}:1") for number, name in enumerate(("n1", "n2", "n3")))
    )
    recovered = recover(directory, RealFiles(), name="n1", fresh_identity=7)
    raft = Raft(
        "n1",
        members,
        recovered.ballot,
        None,
        [],
        RaftConfig(lease_reads=True),
        Dice(),
        0,
        members.voters[0].identity,
    )
    replica = Replica("n1", 1, 1, Settings(), raft, Store(), 0, lambda size: bytes(size), Surroundings, 0, 0)
    said: list[str] = []
    shell = Shell(
        replica,
        recovered,
        members.voters[0],
        members,
        1,
        {},
        (0, 0),
        0,
        True,
        None,
        lambda _, text: said.append(text),
    )
    peers = Peers()
    monkeypatch.setattr(shell, "_peers", peers)
    # Of this node alone: other tests may have nodes in this process.
    monkeypatch.setattr(shell, "_clock", Stands())
    try:
        now += 500
        shell.start()
        await until(lambda: replica.leads and raft.commit == raft.last_index > 0, shell, peers)
        now += 100
        shell.start()
        await until(lambda: not peers.answers, shell, peers)
        await asyncio.sleep(0.01)
        await until(lambda: not peers.answers, shell, peers)
        shell.happened(events.PeerMessage("n2", AppendEntriesReply(raft.term, 0, 0)))
        now += stopped_ms
        shell.happened(events.PeerMessage("n3", ReadIndex(5)))
        await asyncio.sleep(0)
        return [reply.index is not None for reply in peers.read_replies]
    finally:
        await shell.close()
        recovered.close()


def test_a_leader_that_was_stopped_within_a_turn_does_not_answer_from_its_old_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked_after(stopped_ms: int) -> list[bool]:
        return asyncio.run(read_index_asked_after(stopped_ms, tmp_path / str(stopped_ms), monkeypatch))

    assert asked_after(0) == [True]
    assert asked_after(LEASE_MS) == []
