"""The readable part of a trace: what nodes say to each other and become, in the words of the protocol."""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.consensus.machine import Machine
from agreed.consensus.raft.messages import AppendEntries
from agreed.consensus.raft.raft import Raft
from agreed.sim.world import World

if TYPE_CHECKING:
    from agreed.sim.node import Node


class Story:
    def __init__(self, world: World) -> None:
        self._world = world
        self._sent: dict[tuple[str, int], tuple[int, bytes]] = {}
        """(To whom, which object the frame is) -> when, and the frame: kept, so no other is that object."""

    def sent(self, node: Node, target: str, message: object, frame: bytes) -> None:
        now = self._world.now
        self._sent[target, id(frame)] = now, frame
        self._world.trace.tell(now, "sent", node.name, told(message), target)

    def heard(self, node: Node, source: str, message: object, frame: bytes) -> None:
        """However late, and however often."""
        began, _ = self._sent.get((node.name, id(frame)), (None, b""))
        self._world.trace.tell(self._world.now, "message", source, told(message), node.name, began)

    def state(self, node: Node, raft: Raft, before: object) -> None:
        text = f"{raft.role.name} of term {raft.term}, log to {raft.log.last_index}, commit {raft.commit}"
        self._world.trace.tell(self._world.now, "state", node.name, text)

    def standing(self, node: Node, machine: Machine) -> None:
        role = machine.standing().role
        text = f"{role} of term {machine.term}, log to {machine.last_index}, commit {machine.commit}"
        self._world.trace.tell(self._world.now, "state", node.name, text)

    def elected(self, node: Node, raft: Raft) -> None:
        self._world.trace.tell(self._world.now, "state", node.name, f"leads term {raft.term}")


def told(message: object) -> str:
    """A message in one line."""
    if isinstance(message, AppendEntries):
        entries = f" +{len(message.entries)}" if message.entries else ""
        return (
            f"AppendEntries term {message.term} after ({message.prev_index}, {message.prev_term}){entries} "
            f"commit {message.commit}"
        )
    fields = getattr(message, "__struct_fields__", ())
    parts = []
    for name in fields:
        value = getattr(message, name)
        if isinstance(value, int | str | bool) or value is None:
            parts.append(f"{name} {value}")
    return f"{type(message).__name__} {', '.join(parts)}".strip()
