"""What messages vouch for: refused from a disk that does not have it, and passed from one that has."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from agreed.consensus import protocols
from agreed.consensus.machine import Ballot, Entry, EntryKind
from agreed.consensus.multipaxos import messages as of_multipaxos
from agreed.consensus.vr import messages as of_vr
from agreed.consensus.zab import messages as of_zab
from agreed.sim.votes import Acceptor
from agreed.sim.vouching import Told, vouching

MACHINE = SimpleNamespace(me="n1", term=3, chosen=0, commit=0, role=None)

MESSAGES: list[tuple[str, object]] = [
    (protocols.MULTIPAXOS, of_multipaxos.Prepare(3, 1)),
    (protocols.MULTIPAXOS, of_multipaxos.Promise(3, 1, 0, 0, 0, [])),
    (protocols.MULTIPAXOS, of_multipaxos.Accepted(3, 1, 1, 1)),
    (protocols.VR, of_vr.DoViewChange(3, 3, 1, 3, 0, 0, [])),
    (protocols.VR, of_vr.PrepareOk(3, 1, 1)),
    (protocols.VR, of_vr.StartView(3, 1, 0, 0, 0, 1, [])),
    (protocols.VR, of_vr.Prepare(3, 0, 1, [])),
    (protocols.VR, of_vr.Commit(3, 0, 1, 1)),
    (protocols.ZAB, of_zab.FollowerInfo(3, "n2")),
    (protocols.ZAB, of_zab.LeaderInfo(3)),
    (protocols.ZAB, of_zab.AckEpoch(3, 3, [(3, 1)])),
    (protocols.ZAB, of_zab.AckNewLeader(3, 1)),
    (protocols.ZAB, of_zab.Ack(3, 1)),
    (protocols.ZAB, of_zab.PingReply(3, 1, 1)),
]

IDS = [f"{consensus} {type(message).__name__}" for consensus, message in MESSAGES]


def acceptor(ballot: Ballot, *entries: Entry) -> Acceptor:
    made = Acceptor("n1")
    made.recover(ballot, 0, entries)
    return made


FULL = acceptor(Ballot(3, None, 3), Entry(1, 3, EntryKind.PAYLOAD, b"x"))


@pytest.mark.parametrize(("consensus", "message"), MESSAGES, ids=IDS)
def test_what_is_durable_may_be_vouched_for(consensus: str, message: object) -> None:
    vouching(consensus).check(MACHINE, FULL, message, Told(3, 0))


@pytest.mark.parametrize(("consensus", "message"), MESSAGES, ids=IDS)
def test_a_ballot_that_is_not_durable_is_not_spoken_of(consensus: str, message: object) -> None:
    log = FULL.log[1]
    with pytest.raises(AssertionError, match="durable"):
        vouching(consensus).check(MACHINE, acceptor(Ballot(2, None, 2), log), message, Told())


OF_A_LOG = [pair for pair, name in zip(MESSAGES, IDS, strict=True) if name.split()[1] in {
    "Accepted", "DoViewChange", "PrepareOk", "AckEpoch", "AckNewLeader", "Ack", "PingReply",
}]  # fmt: skip


@pytest.mark.parametrize(("consensus", "message"), OF_A_LOG, ids=lambda value: type(value).__name__)
def test_what_is_acknowledged_is_on_the_disk(consensus: str, message: object) -> None:
    with pytest.raises(AssertionError, match="accepted is durable"):
        vouching(consensus).check(MACHINE, acceptor(Ballot(3, None, 3)), message, Told())


ANSWERS = [pair for pair in MESSAGES if not isinstance(pair[1], of_multipaxos.Prepare)]


@pytest.mark.parametrize(("consensus", "message"), ANSWERS, ids=lambda value: type(value).__name__)
def test_nobody_answers_in_a_ballot_that_it_has_left(consensus: str, message: object) -> None:
    left = acceptor(Ballot(4, None, 4), FULL.log[1])
    with pytest.raises(AssertionError, match="a ballot that was left"):
        vouching(consensus).check(MACHINE, left, message, Told(4, 0))


def test_who_joins_is_told_of_the_newest_commit() -> None:
    zab = vouching(protocols.ZAB)
    zab.check(MACHINE, FULL, of_zab.UpToDate(3, 5), Told(3, 5))
    with pytest.raises(AssertionError, match="newest commit"):
        zab.check(MACHINE, FULL, of_zab.UpToDate(3, 4), Told(3, 5))
