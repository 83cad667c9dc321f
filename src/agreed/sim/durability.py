"""What a node has saved must still be there after it was killed, lost its power, or had its disk fail.

Cluster-wide invariants notice a loss only when it has done harm, and it takes several unlucky events in a row
until it does.  Here each node is looked at when it comes back:

    entries     what the log has reported as saved is there when the next process has recovered
    soundness   a data directory that nothing has damaged is not refused
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.sim.outcome import Broken

if TYPE_CHECKING:
    from agreed.sim.node import Node
    from agreed.sim.storage import Storage


def check_kept(node: Node, before: Storage, after: Storage) -> None:
    """The same data directory, before its last process ended and now.  Raises Broken."""
    for index, term in before.saved():
        if not after.holds(index, term):
            raise Broken(
                "what was saved is gone",
                f"{node.name} had saved {index} of term {term}, and has come back without it",
            )


def check_refused(node: Node, reason: str) -> None:
    """Raises Broken."""
    if not node.disk.damaged:
        raise Broken("a sound disk is refused", f"{node.name}: {reason}")
