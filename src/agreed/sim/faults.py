"""What is done to the cluster, when its time has come; within a budget, and mended at the end.

The budget is what the cluster is built to survive, so that what is asserted can be achieved: damage that a
disk does not recover from (`DAMAGE`) befalls only so many members that the others still are a majority, none
while members change, and no further one before the damaged member has been replaced.  Everything else may
happen to everybody at once.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agreed.replica.founding import all_members
from agreed.sim.operators import Operators
from agreed.sim.plan import Fault, FaultKind
from agreed.sim.streams import Stream
from agreed.sim.trace import FAULT
from agreed.sim.world import MS

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node

Undo = Callable[[], None]

ANOTHER = "n9"
"""Who is added while somebody else is removed."""

SUCCESSOR_LOOKED_FOR_EVERY_MS = 2

DAMAGE = {FaultKind.ROT, FaultKind.MISDIRECT, FaultKind.WIPE}


def nothing() -> None:
    """Nothing is left to be undone."""


class Faults:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self._network = cluster.network
        self.operators = Operators(cluster)
        self._active: dict[int, tuple[Fault, Undo, int]] = {}
        self._ways: dict[FaultKind, Callable[[Fault], Undo | None]] = {
            FaultKind.CUT: self._cut,
            FaultKind.CUT_ONE_WAY: self._cut_one_way,
            FaultKind.CLOG: self._clog,
            FaultKind.LOSE: lambda fault: self._trouble(fault, "lose"),
            FaultKind.DOUBLE: lambda fault: self._trouble(fault, "double"),
            FaultKind.REPLAY: lambda fault: self._trouble(fault, "replay"),
            FaultKind.CORRUPT: lambda fault: self._trouble(fault, "corrupt"),
            FaultKind.BREAK: self._break,
            FaultKind.KILL: self._kill,
            FaultKind.POWER: self._power,
            FaultKind.PAUSE: self._pause,
            FaultKind.SLOW_DISK: self._slow_disk,
            FaultKind.FULL_DISK: self._full_disk,
            FaultKind.FAILING_SYNC: self._failing_sync,
            FaultKind.READ_ERROR: self._read_error,
            FaultKind.ROT: self._rot,
            FaultKind.MISDIRECT: self._misdirect,
            FaultKind.WIPE: self._wipe,
            FaultKind.DRIFT: self._drift,
            FaultKind.WALL_JUMP: self._wall_jump,
            FaultKind.WALL_STROBE: self._wall_strobe,
            FaultKind.TRANSFER: self._transfer,
            FaultKind.ADD: self._add,
            FaultKind.REMOVE: self._remove,
            FaultKind.MOVE_CLIENTS: self._move_clients,
            FaultKind.GATHER: self._gather,
        }

    # --- beginning and end --------------------------------------------------------------------------------

    def schedule(self) -> None:
        """Put all faults of the plan into the queue."""
        for fault in self._cluster.plan.faults:
            self._world.at(fault.at_ms * MS, self._begin, fault)
        self.operators.begin()

    def _begin(self, fault: Fault, _: object) -> None:
        if self._cluster.calm:
            return
        undo = self._ways[fault.kind](fault)
        if undo is None:
            self._world.mark("fault without effect")
            return
        world = self._world
        world.trace.event(world.now, FAULT, fault.number & 0xFFFF, 1)
        world.mark(f"fault: {fault.kind.value}")
        self._cluster.disturbed()
        if world.trace.telling:
            world.trace.tell(
                world.now, "fault", fault.target, f"{fault.kind.value} {fault.amount or ''}".strip(),
                number=fault.number,
            )  # fmt: skip
        if undo is nothing:
            self._cluster.recorder.fault(fault.kind.value, world.now, world.now, fault.target)
            return
        self._active[fault.number] = (fault, undo, world.now)
        self._cluster.troubles += 1
        world.later(fault.lasting_ms * MS, self._undo, fault.number)

    def _undo(self, number: int, _: object = None) -> None:
        found = self._active.pop(number, None)
        if found is None:
            return
        fault, undo, began = found
        world = self._world
        undo()
        world.trace.event(world.now, FAULT, number & 0xFFFF, 0)
        self._cluster.troubles -= 1
        self._cluster.disturbed()
        if world.trace.telling:
            world.trace.tell(world.now, "mended", fault.target, fault.kind.value, number=number)
        self._cluster.recorder.fault(fault.kind.value, began, world.now, fault.target)

    def end(self) -> None:
        """All faults end, and all that is down comes up."""
        cluster = self._cluster
        cluster.calm = True
        for number in list(self._active):
            self._undo(number)
        cluster.network.loose = False
        for node in cluster.nodes.values():
            node.disk.heal()
            node.clock.drift(self._world.now, 0)
            node.clock_changed()
            node.start()
        for client in cluster.clients:
            client.retire()

    # --- who is meant -------------------------------------------------------------------------------------

    def _node(self, fault: Fault) -> Node | None:
        name = fault.target
        leader = self._cluster.leader()
        if name == "leader":
            return leader
        if name == "follower":
            followers = [n for n in self._cluster.nodes.values() if n.serving and n is not leader]
            return self._dice(fault).pick(followers) if followers else None
        return self._cluster.nodes.get(name)

    def _dice(self, fault: Fault) -> Stream:
        return self._world.stream("fault", fault.number)

    def _link_names(self, target: str) -> list[tuple[str, str]]:
        leader = self._cluster.leader()
        source, _, other = target.partition(">")
        found = []
        for one in self._names(source, leader):
            found += [(one, another) for another in self._names(other, leader) if another != one]
        return found

    def _names(self, name: str, leader: Node | None) -> list[str]:
        if name == "*":
            return list(self._cluster.nodes)
        if name == "leader":
            return [leader.name] if leader is not None else []
        return [name] if name in self._cluster.nodes else []

    # --- the network --------------------------------------------------------------------------------------

    def _cut_successor(self, fault: Fault) -> Undo:
        """Whoever leads next is cut off as soon as it does."""
        leader = self._cluster.leader()
        term = leader.replica.machine.term if leader is not None else 0
        cut: list[tuple[str, str]] = []

        def look(_: object, __: object) -> None:
            if fault.number not in self._active:
                return
            next_one = self._cluster.leader()
            if next_one is None or next_one.replica.machine.term <= term:
                self._world.later(SUCCESSOR_LOOKED_FOR_EVERY_MS * MS, look)
                return
            for name in self._cluster.nodes:
                if name != next_one.name:
                    cut.extend([(next_one.name, name), (name, next_one.name)])
            self._cut_links(cut)

        self._world.later(1, look)
        return lambda: self._mend_links(cut) if cut else None

    def _cut(self, fault: Fault) -> Undo | None:
        if fault.target == "successor":
            return self._cut_successor(fault)
        pairs = self._pairs(fault.target)
        if not pairs:
            return None
        both = pairs + [(other, one) for one, other in pairs]
        self._cut_links(both)
        if fault.amount:
            self._network.break_between(both)
        return lambda: self._mend_links(both)

    def _pairs(self, target: str) -> list[tuple[str, str]]:
        nodes = list(self._cluster.nodes)
        if target == "ring":
            # Each hears its two neighbours; with five nodes that is a majority, for each another one.
            size = len(nodes)
            return [
                (nodes[one], nodes[other])
                for one in range(size)
                for other in range(one + 1, size)
                if min(other - one, size - other + one) > 1
            ]
        leader = self._cluster.leader()
        if target == "leader":
            if leader is None:
                return []
            return [(leader.name, name) for name in nodes if name != leader.name]
        groups = [group.split(",") for group in target.split("|")]
        return [
            (one, other)
            for position, group in enumerate(groups)
            for one in group
            for others in groups[position + 1 :]
            for other in others
            if one in self._cluster.nodes and other in self._cluster.nodes
        ]

    def _cut_links(self, pairs: list[tuple[str, str]]) -> None:
        self._cluster.cuts += 1
        for one, other in pairs:
            self._network.cut(one, other)

    def _mend_links(self, pairs: list[tuple[str, str]]) -> None:
        self._cluster.cuts -= 1
        for one, other in pairs:
            self._network.mend(one, other)

    def _cut_one_way(self, fault: Fault) -> Undo | None:
        pairs = self._link_names(fault.target)
        if not pairs:
            return None
        self._cut_links(pairs)
        return lambda: self._mend_links(pairs)

    def _clog(self, fault: Fault) -> Undo | None:
        links = [self._network.link(*pair) for pair in self._link_names(fault.target)]
        for link in links:
            link.extra_us += fault.amount * MS

        def undo() -> None:
            for link in links:
                link.extra_us -= fault.amount * MS

        return undo if links else None

    def _trouble(self, fault: Fault, what: str) -> Undo | None:
        links = [self._network.link(*pair) for pair in self._link_names(fault.target)]
        for link in links:
            setattr(link, what, getattr(link, what) + fault.amount)
            link.look()

        def undo() -> None:
            for link in links:
                setattr(link, what, getattr(link, what) - fault.amount)
                link.look()

        return undo if links else None

    def _break(self, fault: Fault) -> Undo | None:
        pairs = self._link_names(fault.target)
        self._network.break_between(pairs)
        return nothing if pairs else None

    def _move_clients(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not node.links:
            return None
        for link in list(node.links.values()):
            link.client.leave()
        return nothing

    def _gather(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not node.serving:
            return None
        meetings, dice = self._cluster.meetings, self._dice(fault)
        for client in self._cluster.clients:
            if dice.chance(fault.amount):
                meetings[client.name] = node
                if client.link is not None and client.link.node is not node:
                    client.leave()

        def undo() -> None:
            for name in [name for name, where in meetings.items() if where is node]:
                del meetings[name]

        return undo

    # --- processes and machines ---------------------------------------------------------------------------

    def _kill(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not node.up:
            return None
        self._world.mark("killed while " + ("leading" if node.leads else "following"))
        node.end("killed")
        node.restart_after(max(1, fault.lasting_ms))
        return nothing

    def _power(self, fault: Fault) -> Undo | None:
        everybody = fault.target == "*"
        chosen = list(self._cluster.nodes.values()) if everybody else [self._node(fault)]
        nodes = [node for node in chosen if node is not None and node.up]
        for node in nodes:
            node.power_off()
            node.restart_after(max(1, fault.lasting_ms))
        if everybody and nodes:
            self._world.mark("power lost everywhere")
        return nothing if nodes else None

    def _pause(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not node.up:
            return None
        if node.leads:
            self._world.mark("leader paused")
        node.pause(self._world.now + fault.lasting_ms * MS)
        return lambda: node.wake_up()

    # --- disks --------------------------------------------------------------------------------------------

    def _slow_disk(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None:
            return None
        disk = node.disk
        disk.extra_us += fault.amount * MS

        def undo() -> None:
            disk.extra_us = max(0, disk.extra_us - fault.amount * MS)

        return undo

    def _full_disk(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None:
            return None
        disk = node.disk
        disk.full = True

        def undo() -> None:
            disk.full = False

        return undo

    def _failing_sync(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not node.serving:
            return None
        node.disk.syncs_to_fail = 1
        return nothing

    def _read_error(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None:
            return None
        disk = node.disk
        disk.reads_fail = True

        def undo() -> None:
            disk.reads_fail = False

        return undo

    def _may_damage(self, node: Node | None) -> bool:
        """Whether the cluster is built to survive that this disk is lost now."""
        cluster = self._cluster
        leader = cluster.leader()
        if node is None or leader is None or not node.serving or self.operators.changing:
            return False
        raft = leader.replica.machine
        members = raft.members
        names = [member.name for member in members.voters]
        newest = all(n.replica.machine.term <= raft.term for n in cluster.nodes.values() if n.serving)
        settled = not members.outgoing and raft.snapshot_mark(raft.commit).members == members
        if not newest or not settled or node.name not in names:
            return False
        if any(member.identity != cluster.nodes[member.name].identity for member in members.voters):
            return False
        damaged = {n.name for n in cluster.nodes.values() if n.damaged}
        return len(damaged | {node.name}) <= (len(names) - 1) // 2

    def _rot(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not self._may_damage(node):
            return None
        where = node.disk.rot(self._dice(fault))
        if where is None:
            return None
        node.damaged = True
        if self._world.trace.telling:
            self._world.trace.tell(self._world.now, "disk", node.name, where)
        self._restart_soon(node, fault)
        return nothing

    def _restart_soon(self, node: Node, fault: Fault) -> None:
        """Or nobody would look at the disk again."""
        boot = node.boot

        def look(_: object, __: object) -> None:
            node.disk.writes_to_misdirect = 0
            if node.boot == boot and not self._cluster.calm:
                node.end("restarted by its operator")
                node.restart_after(20)

        self._world.later(fault.lasting_ms * MS, look)

    def _misdirect(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not self._may_damage(node):
            return None
        node.damaged = True
        node.disk.writes_to_misdirect = 1
        self._restart_soon(node, fault)
        return nothing

    def _wipe(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None or not self._may_damage(node):
            return None
        node.wipe()
        node.restart_after(max(1, fault.lasting_ms))
        return nothing

    # --- clocks -------------------------------------------------------------------------------------------

    def _drift(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None:
            return None
        node.clock.drift(self._world.now, fault.amount)
        node.clock_changed()

        def undo() -> None:
            node.clock.drift(self._world.now, 0)
            node.clock_changed()

        return undo

    def _wall_jump(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None:
            return None
        node.clock.set_wall(fault.amount)
        return nothing

    def _wall_strobe(self, fault: Fault) -> Undo | None:
        node = self._node(fault)
        if node is None:
            return None
        dice = self._dice(fault)
        until = self._world.now + fault.lasting_ms * MS

        def strobe(away: bool, _: object) -> None:
            if self._world.now < until and not self._cluster.calm:
                node.clock.set_wall(fault.amount if away else -fault.amount)
                self._world.later(dice.between(5, 80) * MS, strobe, not away)

        strobe(True, None)
        return nothing

    # --- operators ----------------------------------------------------------------------------------------

    def _transfer(self, fault: Fault) -> Undo | None:
        self.operators.transfer(fault.target or None)
        return nothing

    def _may_change(self) -> bool:
        """Nobody changes members while one of them is lost: with one more gone, too few might be left."""
        cluster = self._cluster
        leader = cluster.leader()
        if leader is None or self.operators.changing:
            return False
        members = all_members(leader.replica.members)
        whole = all(cluster.nodes[member.name].identity == member.identity for member in members)
        return whole and not any(node.damaged for node in cluster.nodes.values())

    def _add(self, fault: Fault) -> Undo | None:
        if not self._may_change():
            return None
        return nothing if self.operators.add(fault.target, promote=bool(fault.amount)) else None

    def _remove(self, fault: Fault) -> Undo | None:
        if not self._may_change():
            return None
        node = self._node(fault)
        if node is None:
            return None
        added = bool(fault.amount) and self.operators.add(ANOTHER, promote=False)
        return nothing if self.operators.remove(node.name) or added else None
