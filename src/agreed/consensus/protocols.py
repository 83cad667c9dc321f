"""The protocols that there are, by name: one contract (`contract.py`), one shape (`machine.py`), four papers.

    raft          Ongaro and Ousterhout 2014: who leads has the newest log; changes of members, leases
    multipaxos    Lamport 1998, 2001: any node may lead, and learns what was accepted before it proposes
    vr            Liskov and Cowling 2012, Viewstamped Replication Revisited: primaries take turns, by views
    zab           Junqueira, Reed and Serafini 2011, ZooKeeper Atomic Broadcast: histories made equal

Which of them a machine speaks is told by the class of its knobs.  A cluster keeps the protocol that it was
founded with: what one has written to disk means nothing to another.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agreed.consensus.machine import Ballot, Dice, Entry, Machine, SnapshotMark
from agreed.consensus.members import Members
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.messages import MultiPaxosMessage
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import RaftMessage
from agreed.consensus.raft.raft import Raft
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.vr.messages import VrMessage
from agreed.consensus.vr.viewstamped import Viewstamped
from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.messages import ZabMessage
from agreed.consensus.zab.zab import Zab
from agreed.types import Identity, Instant, NodeId

RAFT: Final = "raft"
MULTIPAXOS: Final = "multipaxos"
VR: Final = "vr"
ZAB: Final = "zab"

NAMES: Final = (RAFT, MULTIPAXOS, VR, ZAB)

ProtocolConfig = RaftConfig | MultiPaxosConfig | VrConfig | ZabConfig
"""The knobs of a machine."""

ConsensusMessage = RaftMessage | MultiPaxosMessage | VrMessage | ZabMessage
"""All that machines say to each other.  Each class has a tag of its own over all protocols, so that a message
of another one is known for what it is."""


def make(
    config: ProtocolConfig,
    me: NodeId,
    members: Members,
    ballot: Ballot,
    mark: SnapshotMark | None,
    entries: Iterable[Entry],
    dice: Dice,
    now: Instant,
    identity: Identity = 0,
) -> Machine:
    """A machine from what lies on disk, as `Raft` describes it.  Raises CorruptData where that does not fit
    together."""
    match config:
        case RaftConfig():
            return Raft(me, members, ballot, mark, entries, config, dice, now, identity)
        case MultiPaxosConfig():
            return MultiPaxos(me, members, ballot, mark, entries, config, dice, now, identity)
        case VrConfig():
            return Viewstamped(me, members, ballot, mark, entries, config, dice, now, identity)
        case ZabConfig():
            return Zab(me, members, ballot, mark, entries, config, dice, now, identity)
