"""The contract over ZooKeeper's protocol: for ZooKeeper servers (3.5 and later), and for clusters of our own.

backend.py      ZooKeeperBackend, and `connect`
tree.py         keys and nodes: where a key stands, and which node is a key
packets.py      several requests in one packet, and their answers
sessions.py     the connections: one for what is asked, one for each other session
plans.py        a commit as one multi, and what has become of one that nobody answered (pure)
commits.py      looks, plans, asks, and begins again where somebody was faster
lines.py        the names under which kazoo and Curator stand in line, and their order (pure)
standing.py     to enter a line, and to leave it
changes.py      to hear that something may have changed
"""

from __future__ import annotations

from agreed.backends.zookeeper.backend import ZooKeeperBackend, connect

__all__ = ["ZooKeeperBackend", "connect"]
