"""One node of whichever system: its name, its ports and the fronts before them, its directory, its process.

Each of a node's real ports has fronts before it (`network.py`): others are told a front's port, and only the
network knows the real one.  Where a node has an address of its own (`namespaces.py`), its fronts are its real
ports.  `joining`: at its next start it asks to be taken into a cluster that runs.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agreed.torture.address import Address
from agreed.torture.processes import LOOPBACK, ServerProcess


@dataclass
class Node:
    """`number` counts from 1; `client_fronts` by the place from which a client calls."""

    number: int
    name: str
    directory: Path
    client_port: int
    peer_port: int
    election_port: int
    peer_front: int
    election_front: int
    client_fronts: dict[str, int]
    host: str = LOOPBACK
    process: ServerProcess | None = None
    joining: bool = False
    troubled: bool = False
    """A fault has this node's process in its hands; no other may touch it meanwhile."""
    excused_until: float = 0.0
    """By the monotonic clock.  Until then it may end over a fault that is over already."""
    lives: list[Path] = field(default_factory=list)

    @property
    def client_address(self) -> Address:
        """For whoever is to be cut off by nobody."""
        return Address(self.host, self.client_port)

    @property
    def data(self) -> Path:
        """The data directory; a new one after the node was thrown out and its data with it."""
        return self.disk / str(len(self.lives))

    @property
    def disk(self) -> Path:
        """Below it lies what the node keeps, and nothing else: what fails is to fail here."""
        return self.directory / "disk"

    @property
    def log(self) -> Path:
        return self.directory / "output.log"

    @property
    def clock_control(self) -> Path:
        """From which libfaketime reads what time it is."""
        return self.directory / "clock"

    @property
    def disk_control(self) -> Path:
        """From which `disk_shim.c` reads what is to fail."""
        return self.directory / "disk.control"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def forget_data(self) -> None:
        """Go on with an empty data directory; the old one is left to lie for whoever wants to look."""
        self.lives.append(self.data)
