"""Objects as numbers, one for each form, so that a state of a cluster is a handful of small numbers.

With `symmetry`, each number also knows its class under every renaming of the nodes: the same object after
nodes have exchanged their names.  Two objects that are renamings of each other have the same classes, in
another order.
"""
from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

from agreed.sim.explore_graph import Form
from agreed.sim.explore_node import Node
from agreed.types import NodeId

_Numbered = TypeVar("_Numbered")


class Numbers(Generic[_Numbered]):
    """`orders`: in which the names may be put, each a tuple of all of them, the first one as they are."""

    def __init__(self, orders: Sequence[tuple[NodeId, ...]] = ()) -> None:
        self._exact = Form()
        self._renamings = [Form(dict(zip(orders[0], order, strict=True))) for order in orders]
        self._known: dict[bytes, int] = {}
        self._class_numbers: dict[bytes, int] = {}
        self.objects: list[_Numbered] = []
        self.classes: list[tuple[int, ...]] = []
        """Number -> its class under each renaming; empty without symmetry."""
        self.orbits: list[int] = []
        """Number -> the least of its classes: the same for all that are renamings of it."""

    def number(self, value: _Numbered, now: int = 0, serial: int = 0, saved_serial: int = 0) -> int:
        form = _digest(self._exact.of(value, now, serial, saved_serial))
        number = self._known.get(form)
        if number is None:
            number = self._known[form] = len(self.objects)
            self.objects.append(value)
            if self._renamings:
                forms = [_digest(each.of(value, now, serial, saved_serial)) for each in self._renamings]
                known = self._class_numbers
                classes = tuple([known.setdefault(each, len(known)) for each in forms])
                self.classes.append(classes)
                self.orbits.append(min(classes))
        return number


def number_node(numbers: Numbers[Node], node: Node) -> int:
    """What a node's instants and serials are told relative to is its machine's own."""
    raft = node.raft
    if raft is None:
        return numbers.number(node)
    return numbers.number(node, raft.now, raft.serial, raft.saved_serial)


def _digest(form: bytes) -> bytes:
    return blake2b(form, digest_size=16).digest()
