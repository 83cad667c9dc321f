"""What a simulated cluster is made of: the shipped classes, unless somebody puts others in their place.

Tests put in subclasses that are wrong in one place, and see whether the simulator notices.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.consensus.raft.raft import Raft
from agreed.consensus.vr.viewstamped import Viewstamped
from agreed.consensus.zab.zab import Zab
from agreed.disk.recovery import Recovered, recover
from agreed.replica.founding import Admission, Founding
from agreed.replica.replica import Replica
from agreed.sim.disk import Disk
from agreed.store.machine import Restorer, Store

if TYPE_CHECKING:
    from agreed.sim.node import Node


def _node() -> type[Node]:
    from agreed.sim.node import Node

    return Node


class Parts(msgspec.Struct, frozen=True):
    """All of a node.  Classes are made with the arguments of those that stand here.

    `recover` is called as `agreed.disk.recovery.recover` is; one that passes on `wal=` to it puts in another
    log.  `store` is made empty, `restorer` from a snapshot.  `node` is the driver around them all.
    """

    raft: type[Raft] = Raft
    multipaxos: type[MultiPaxos] = MultiPaxos
    vr: type[Viewstamped] = Viewstamped
    zab: type[Zab] = Zab
    replica: type[Replica] = Replica
    store: type[Store] = Store
    restorer: type[Restorer] = Restorer
    recover: Callable[..., Recovered] = recover
    admission: type[Admission] = Admission
    founding: type[Founding] = Founding
    disk: type[Disk] = Disk
    node: type[Any] = msgspec.field(default_factory=_node)
