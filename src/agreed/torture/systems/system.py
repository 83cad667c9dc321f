"""What has to be known of a system in order to torture it."""
from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from agreed.torture.address import Address
from agreed.torture.client import Client
from agreed.torture.network import Who
from agreed.torture.node import Node


class Role(NamedTuple):
    """What a node says of itself.  `serves`: it answers clients, and knows a leader."""

    leads: bool
    serves: bool


class System(Protocol):
    """`workloads` and `faults`: by name, what can be done with this system; `why_not` explains the rest."""

    name: str
    workloads: frozenset[str]
    faults: frozenset[str]
    uses_libc: bool
    """Whether its nodes ask libc for the time and for their files, where faults can be put in between."""

    def version(self) -> str:
        """For the report.  Raises `NotServing` where the system is not installed."""
        ...

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        """How it is started; writes its configuration below `node.directory` if it needs one."""
        ...

    def peer_fronts(self, node: Node) -> list[tuple[int, int]]:
        """(front, real port) of the ports at which other nodes call this one."""
        ...

    def who(self, nodes: Sequence[Node]) -> Who:
        """Which node calls another one, by the first bytes it says."""
        ...

    async def role(self, node: Node) -> Role | None:
        """Asked at its real port; None: no answer."""
        ...

    def client(self, name: str, addresses: Sequence[Address], dice: random.Random) -> Client:
        ...

    async def digest(self, node: Node) -> Mapping[str, object]:
        """Everything this node holds, by path, after it has caught up with all that was acknowledged."""
        ...
