"""An etcd, or a cluster of this package by etcd's protocol, behind the contract of `agreed.backends`.

backend.py      connect(), and what is read
commits.py      a commit as one transaction
sessions.py     leases, and the one stream that renews them
lines.py        places in a line, as etcd's concurrency package makes them
watches.py      all watches on one stream; changes.py and history.py are made of it
calls.py        what the statuses of calls mean
keys.py         names and bytes
"""

from __future__ import annotations

from agreed.backends.etcd.backend import ETCD, EtcdBackend, connect

__all__ = ["ETCD", "EtcdBackend", "connect"]
