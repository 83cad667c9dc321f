"""The one replicated state machine behind every wire protocol: one revision, one feed, one table of leases.

`commands.py` is what may be put in the log, `machine.py` the only door (`Store.execute`).  The keys live in
spaces with their own invariants: `tree.py` (ZooKeeper: a znode needs its parent) and `flat.py` (etcd: sorted
keys and ranges).  Deterministic: no clock, no dice, no iteration over hashed sets; time comes in as the stamp
which the leader put into the entry.
"""
